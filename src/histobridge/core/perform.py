"""Drive one run to its end in this process: state, event log, cancel, crash count."""

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from histobridge.core import jobs
from histobridge.core.disk import TROUBLE, why
from histobridge.core.errors import CrashedError, HistoBridgeError, ProjectError
from histobridge.core.files import remove_torn
from histobridge.core.job import Job, Progress, finish
from histobridge.core.processes import identity
from histobridge.core.project import Project
from histobridge.core.runs import HEARTBEAT_SECONDS, Run, RunState

STATE_SECONDS = 0.25
EVENT_SECONDS = 1.0
END_SECONDS = 30.0
"""So long the end of a run is tried to be written on a disk that is full or does not answer."""

AGAIN_SECONDS = 0.5
LESS_MEMORY = "choose a smaller crop, batch or network, or free memory, and start it again"


class CancelledError(HistoBridgeError):
    """The job was asked to stop and did; performing the run again resumes it."""


def perform(run: Run, watch: Callable[[Progress], object] = lambda _: None) -> dict[str, Any]:
    """Run a queued, cancelled or interrupted job to its end here and return its result.

    Parameters
    ----------
    run : Run
        Made by `Project.create_run`.
    watch : callable
        Called with every `Progress`.

    Returns
    -------
    dict
        What the job returned; also in `RunState.result`.

    Raises
    ------
    CancelledError, CrashedError, ProjectError
        See `performing`.
    """
    with closing(performing(run)) as job:
        return finish(job, watch)


def performing(run: Run) -> Job[dict[str, Any]]:
    """Run a queued, cancelled or interrupted job, as a job whose progress can be made part of a larger one.

    Closing it early stops the run as if it had been cancelled.

    Parameters
    ----------
    run : Run
        Made by `Project.create_run`.

    Yields
    ------
    Progress
        Of the run.

    Returns
    -------
    dict
        What the job returned; also in `RunState.result`.

    Raises
    ------
    CancelledError
        If a stop was asked for; the checkpoint is kept.
    CrashedError
        If the job died twice without a checkpoint in between, and without having changed anything about it.
    ProjectError
        If another process is working on the run.
    """
    before = run.state()
    if before.status == "finished":
        return before.result
    if before.status == "running":
        raise ProjectError(f"run {run.id} is running already, as process {before.pid} on {before.host}; let it finish")
    state = RunState(
        status="running",
        attempt=before.attempt + 1,
        host=socket.gethostname(),
        started=time.time(),
        updated=time.time(),
        began_at=before.step,
        message="starting",
        **identity(),
    )
    if before.status == "interrupted":
        run.log("crashed", step=before.step, attempt=before.attempt)
    events = _since_order(run)
    if sum(event["kind"] == "crashed" for event in events) >= 2:
        error = CrashedError(_crash_message(events))
        run.end(state, "failed", str(error))
        raise error
    remove_torn(run.path)
    run.write_state(state)
    run.log("started" if before.attempt == 0 else "resumed", attempt=state.attempt, pid=state.pid)
    with _heartbeat(run):
        result = yield from _drive(run, state)
    return result


def _drive(run: Run, state: RunState) -> Job[dict[str, Any]]:
    """Iterate the job, writing state and events on the way."""
    reporter = _Reporter(run, state)
    try:
        _stop_if_asked(run)
        project = Project.open(run.project_path)
        with closing(jobs.start(project, run)) as job:
            while True:
                _stop_if_asked(run)
                try:
                    progress = next(job)
                except StopIteration as stop:
                    result: dict[str, Any] = stop.value or {}
                    break
                reporter(progress)
                yield progress
    except (CancelledError, KeyboardInterrupt, GeneratorExit) as stopped:
        message = str(stopped) or "stopped; resume continues from the last checkpoint"
        _end(run, reporter.state.model_copy(update={"status": "cancelled", "message": message}))
        raise
    except BaseException as error:
        update = {"status": "failed", "message": told(error), "error": traceback.format_exc()}
        _end(run, reporter.state.model_copy(update=update))
        raise
    done = {"status": "finished", "message": "done", "result": result, "step": reporter.state.total}
    if trouble := _end(run, reporter.state.model_copy(update=done)):
        raise ProjectError(f"run {run.id} is done, but that cannot be written: {told(trouble)}") from trouble
    return result


def _end(run: Run, state: RunState) -> OSError | None:
    """Write how a run ended; returns why that could not be written in `END_SECONDS`: then it is interrupted."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            if state.status == "cancelled":
                run.clear_cancel()
            run.write_end(state)
        except OSError as trouble:
            if time.monotonic() > deadline:
                return None if run.let_go(state) else trouble
            time.sleep(AGAIN_SECONDS)
        else:
            return None


def _stop_if_asked(run: Run) -> None:
    asked = False
    with suppress(OSError):  # a disk that does not answer now is asked again at the next step
        asked = run.cancel_requested()
    if asked:
        with suppress(OSError):  # a full disk is no reason to go on
            run.acknowledge_cancel()
        raise CancelledError("stopped as you asked; resume continues from the last checkpoint")


def told(error: BaseException) -> str:
    """Say in the user's words why a job failed."""
    if isinstance(error, OSError) and error.errno in TROUBLE:
        return f"{why(error)} ({error.filename or error.strerror}); see to that, then resume from the last checkpoint"
    if isinstance(error, HistoBridgeError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory: {LESS_MEMORY} ({str(error) or type(error).__name__})"
    return f"{type(error).__name__}: {error}"


@contextmanager
def _heartbeat(run: Run) -> Iterator[None]:
    """Show other machines now and then that the job lives, also during one long step."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            run.show_life()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Reporter:
    """Write progress to the state and the log, no more often than useful; what cannot be written is passed over."""

    def __init__(self, run: Run, state: RunState):
        self.run, self.state = run, state
        self._state_due = self._event_due = 0.0
        self._first = True

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        metrics = {name: float(value) for name, value in progress.metrics.items()}
        update = {"step": progress.step, "total": progress.total, "message": progress.message, "updated": time.time()}
        # It goes on from its last checkpoint, which may be older than what it was seen to do.
        if self._first and progress.step:
            update["began_at"] = min(self.state.began_at, max(0, progress.step - 1))
            self._first = False
        self.state = self.state.model_copy(update=update | ({"metrics": metrics} if metrics else {}))
        if now >= self._state_due:
            self._state_due = now + STATE_SECONDS
            with suppress(OSError):
                self.run.write_state(self.state, durable=False)
        if now >= self._event_due or progress.preview:
            self._event_due = now + EVENT_SECONDS
            for name, image in progress.preview.items():
                _save_preview(self.run, name, image)
            with suppress(OSError):
                self.run.log(
                    "progress", step=progress.step, total=progress.total, message=progress.message, metrics=metrics
                )


def _save_preview(run: Run, name: str, image: Any) -> None:
    """Keep the newest preview of each name as ``preview-<name>.png``."""
    from io import BytesIO

    from PIL import Image

    from histobridge.core.files import write_bytes

    stream = BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    with suppress(OSError):
        write_bytes(run.path / f"preview-{name}.png", stream.getvalue(), durable=False)


def _since_order(run: Run) -> list[dict[str, Any]]:
    """Return the events since the last checkpoint, since the job last ended in order, or since it goes on otherwise."""
    events: list[dict[str, Any]] = []
    for event in run.events():
        if event["kind"] in ("checkpoint", "failed", "cancelled", "changed"):
            events.clear()
        else:
            events.append(event)
    return events


def _crash_message(events: list[dict[str, Any]]) -> str:
    steps = [event.get("step") for event in events if event["kind"] == "crashed"]
    where = f"died twice without reaching a new checkpoint (at steps {steps[0]} and {steps[-1]})"
    killed = next((event for event in reversed(events) if event["kind"] == "killed"), None)
    if killed is not None:
        return f"out of memory: the job used {killed['used_mb']} of {killed['limit_mb']} MB and {where}; {LESS_MEMORY}"
    return f"the job {where}; most often memory ran out: {LESS_MEMORY}"
