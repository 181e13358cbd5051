"""What a worker process is sent: the name of `main` and one line of JSON. Imports nothing heavy."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from pydantic import NonNegativeInt, PositiveFloat

from histobridge.core.config import Config
from histobridge.core.errors import HistoBridgeError, ProjectError
from histobridge.core.runs import Run, RunState

logger = logging.getLogger(__name__)
WATCH_SECONDS = 0.1
SAVE_SECONDS = 120.0
"""How long a job that is stopping may take to write its last checkpoint before its process is killed."""
MEMORY_SHARE = 0.9
"""Of the worker's limit; a little before dask kills without a word."""


class Request(Config):
    """What a worker is asked to do."""

    path: Path
    """Folder of the run, as the worker sees it."""

    grace_seconds: PositiveFloat = 2.0
    """How long a job may take to stop before its process is killed."""

    threads: NonNegativeInt = 0
    """Threads to compute with; 0: what the engine says."""

    local: bool = False
    """Whether the engine of this computer asks, which starts more workers where a training wants them."""


def main(request: str) -> str:
    """Perform one run in this worker process and return how it ended.

    Everything there is to know is in the run's folder; no exception leaves, since the window would have to import
    the library that made it. Safe to be called again for the same run: what has ended or is running is left alone.
    """
    from histobridge.core.perform import CancelledError
    from histobridge.engine.workers import compute_threads, set_threads

    asked = Request.model_validate_json(request)
    run = Run(asked.path)
    if not (run.path / "run.json").exists():
        raise FileNotFoundError(f"{run.path} is not there; all workers must see the project folder under this name")
    state = settled(run)
    if state.ended or state.status == "running":
        return state.status
    set_threads(asked.threads or compute_threads())
    with Watchdog(run, asked.grace_seconds, memory_limit()):
        try:
            _perform(run, asked.local)
        except CancelledError:
            logger.info("run %s was stopped", run.id)
        except BaseException as error:
            logger.exception("run %s failed", run.id)
            _tell(run, state, error)
    return run.state().status


def _perform(run: Run, local: bool) -> None:
    """Perform a run, together with other processes where its config asks for them."""
    from histobridge.core.perform import perform
    from histobridge.engine.gathering import joined

    with ExitStack() as stack:
        try:
            stack.enter_context(joined(run, local))
        except (HistoBridgeError, OSError, RuntimeError, ValueError, ImportError) as error:
            raise ProjectError(f"the processes of this training did not find each other: {error}") from error
        perform(run)


def _tell(run: Run, before: RunState, error: BaseException) -> None:
    """Write why a run did not begin; once it has, here or in another process, its state is that one's to write."""
    from histobridge.core.perform import told

    with suppress(OSError, ProjectError):
        if run.state() == before:
            run.end(before, "failed", told(error))


def settled(run: Run) -> RunState:
    """State of a run; one that another machine seems to run is waited for until it shows life or is taken for gone.

    A scheduler that has lost a worker gives its task to another at once, long before the silence of the first tells.
    """
    before = run.last_life()
    while (state := run.state()).status == "running" and state.host != socket.gethostname():
        if run.last_life() != before:
            break
        time.sleep(WATCH_SECONDS)
    return state


def wake() -> None:
    """Do nothing: a task that makes the engine start a worker ahead of its first job."""


def memory_limit() -> int:
    """Bytes that dask lets this worker process use; 0 if it sets no limit."""
    from distributed import get_worker

    try:
        return int(get_worker().memory_manager.memory_limit or 0)
    except ValueError:
        return 0


class Watchdog:
    """Kills this process when the job ignores a stop, or is about to exceed the memory limit.

    A job that is stopping gets `SAVE_SECONDS` to write what it has learned.

    Parameters
    ----------
    run : Run
        What this process works on.
    grace_seconds : float
        How long a job may take to stop.
    memory_limit : int
        In bytes; 0: none.
    """

    def __init__(self, run: Run, grace_seconds: float, memory_limit: int):
        self.run, self.grace_seconds, self.memory_limit = run, grace_seconds, memory_limit
        self._asked: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        with suppress(OSError):  # then nobody else can kill it
            self.run.own()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(WATCH_SECONDS):
            if self._overdue():
                _kill_this(partial(end_killed, self.run))
            used = process.memory_info().rss
            if self.memory_limit and used > MEMORY_SHARE * self.memory_limit:
                mb = {"used_mb": round(used / 1e6), "limit_mb": round(self.memory_limit / 1e6)}
                _kill_this(partial(self.run.log, "killed", reason="memory", **mb))

    def _overdue(self) -> bool:
        """Whether the job has not stopped in time; while the disk does not answer it may be writing for long."""
        saving = True
        with suppress(OSError):
            # In this order: a job that has stopped takes the request away first.
            saving = self.run.cancel_acknowledged()
            if not self.run.cancel_requested():
                self._asked = None
                return False
            self._asked = self._asked or time.monotonic()
        patience = SAVE_SECONDS if saving else self.grace_seconds
        return self._asked is not None and time.monotonic() - self._asked > patience


def _kill_this(note: Callable[[], object]) -> None:
    """Kill this process, whatever becomes of a note about it."""
    try:
        with suppress(OSError, ProjectError):
            note()
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def end_killed(run: Run) -> None:
    """Write that a run was stopped by killing its process."""
    state = run.state()
    if not state.ended:
        run.end(state, "cancelled", "stopped by ending its process; resume continues from the last checkpoint")
