"""Drive one run to its end in this process: state, event log, cancel, crash count."""

import os
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psutil

from histobridge.core import jobs
from histobridge.core.errors import CrashedError, HistoBridgeError
from histobridge.core.job import Progress
from histobridge.core.project import Project
from histobridge.core.runs import Run, RunState

STATE_SECONDS = 0.25
EVENT_SECONDS = 1.0


class CancelledError(HistoBridgeError):
    """The job was asked to stop and did; performing the run again resumes it."""


def perform(run: Run, watch: Callable[[Progress], object] = lambda _: None) -> dict[str, Any]:
    """Run a queued, cancelled or interrupted job to its end and return its result.

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
    CancelledError
        If a stop was asked for; the checkpoint is kept.
    CrashedError
        If the job died twice without a checkpoint in between.
    """
    before = run.state()
    if before.status == "finished":
        return before.result
    process = psutil.Process()
    state = RunState(
        status="running",
        attempt=before.attempt + 1,
        pid=os.getpid(),
        pid_started=process.create_time(),
        host=socket.gethostname(),
        started=time.time(),
        updated=time.time(),
        message="starting",
    )
    if before.status == "interrupted":
        run.log("crashed", step=before.step, attempt=before.attempt)
    if _crashes(run) >= 2:
        error = CrashedError(_crash_message(run))
        _end(run, state, "failed", str(error))
        raise error
    run.write_state(state)
    run.log("started" if before.attempt == 0 else "resumed", attempt=state.attempt, pid=state.pid)
    return _drive(run, state, watch)


def _drive(run: Run, state: RunState, watch: Callable[[Progress], object]) -> dict[str, Any]:
    """Iterate the job, writing state and events on the way."""
    reporter = _Reporter(run, state)
    try:
        project = Project.open(run.project_path)
        with closing(jobs.start(project, run)) as job:
            while True:
                if run.cancel_requested():
                    raise CancelledError("stopped as you asked; resume continues from the last checkpoint")
                try:
                    progress = next(job)
                except StopIteration as stop:
                    result: dict[str, Any] = stop.value or {}
                    break
                reporter(progress)
                watch(progress)
    except (CancelledError, KeyboardInterrupt) as stopped:
        run.clear_cancel()
        _end(run, reporter.state, "cancelled", str(stopped) or "stopped by Ctrl-C; resume continues")
        raise
    except BaseException as error:
        text = str(error) if isinstance(error, HistoBridgeError) else f"{type(error).__name__}: {error}"
        _end(run, reporter.state, "failed", text, error=traceback.format_exc())
        raise
    done = reporter.state.model_copy(update={"result": result, "step": reporter.state.total})
    _end(run, done, "finished", "done")
    return result


class _Reporter:
    """Write progress to the state and the log, no more often than useful."""

    def __init__(self, run: Run, state: RunState):
        self.run, self.state = run, state
        self._state_due = self._event_due = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.time()
        metrics = {name: float(value) for name, value in progress.metrics.items()}
        update = {"step": progress.step, "total": progress.total, "message": progress.message, "updated": now}
        self.state = self.state.model_copy(update=update | ({"metrics": metrics} if metrics else {}))
        if now >= self._state_due:
            self.run.write_state(self.state, durable=False)
            self._state_due = now + STATE_SECONDS
        if now >= self._event_due or progress.preview:
            for name, image in progress.preview.items():
                _save_preview(self.run, name, image)
            self.run.log(
                "progress", step=progress.step, total=progress.total, message=progress.message, metrics=metrics
            )
            self._event_due = now + EVENT_SECONDS


def _save_preview(run: Run, name: str, image: Any) -> None:
    """Keep the newest preview of each name as ``preview-<name>.png``."""
    from io import BytesIO

    from PIL import Image

    from histobridge.core.files import write_bytes

    stream = BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    write_bytes(run.path / f"preview-{name}.png", stream.getvalue(), durable=False)


def _end(run: Run, state: RunState, status: str, message: str, error: str = "") -> None:
    update = {"status": status, "message": message, "error": error, "updated": time.time()}
    run.write_state(state.model_copy(update=update))
    run.log(status, message=message)


def _crashes(run: Run) -> int:
    """Crashes since the last checkpoint, or since the job last ended in order."""
    count = 0
    for event in run.events():
        if event["kind"] == "crashed":
            count += 1
        elif event["kind"] in ("checkpoint", "failed", "cancelled"):
            count = 0
    return count


def _crash_message(run: Run) -> str:
    steps = [event.get("step") for event in run.events() if event["kind"] == "crashed"][-2:]
    return (
        f"the job died twice without reaching a new checkpoint (at steps {steps[0]} and {steps[-1]}); "
        "most often memory ran out: choose a smaller crop, batch or network, or free memory, and start it again"
    )
