"""What Ctrl-C and SIGTERM, with which clusters end a job whose time is up, do to a command that works."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from histobridge.core.job import Progress


@contextlib.contextmanager
def stops_at_next_step(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM stop a job between two steps, so that its checkpoint is whole.

    A second Ctrl-C stops at once. A second SIGTERM changes nothing: some programs send it twice, and whoever will not
    wait sends SIGKILL.

    Parameters
    ----------
    stop : callable
        Asks the job to stop; called once.
    """
    asked = False

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if asked:
            return
        asked = True
        stop()
        by = "" if number == signal.SIGINT else " (SIGTERM)"
        with contextlib.suppress(OSError):  # whoever reads it may be gone, by the same signal
            sys.stderr.write(f"\nstopping at the next step{by}; Ctrl-C stops at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def interrupted_between_steps(watch: Callable[[Progress], object]) -> Iterator[Callable[[Progress], object]]:
    """Wrap `watch` so that it raises `KeyboardInterrupt` after a step once a stop is asked for.

    For jobs that have no run of their own whose folder could be told; close the job on the way out.
    """
    stopped: list[bool] = []

    def watched(progress: Progress) -> None:
        watch(progress)
        if stopped:
            raise KeyboardInterrupt

    with stops_at_next_step(lambda: stopped.append(True)):
        yield watched
