import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from histobridge.core import jobs
from histobridge.core import perform as performing
from histobridge.core.config import SelfTestConfig
from histobridge.core.errors import CrashedError, InputError, ProjectError
from histobridge.core.job import Progress, counted, finish
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project
from histobridge.core.runs import RunState


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def new_run(project):
    return lambda **config: project.create_run("selftest", SelfTestConfig(**({"seconds_per_step": 0} | config)))


def kinds(run):
    return [event["kind"] for event in run.events()]


def replace_job(monkeypatch, job):
    """Let every run do `job` instead."""
    monkeypatch.setattr(jobs, "start", lambda project, run: job(run))


def test_job_is_driven_to_its_end(new_run):
    run, seen = new_run(steps=3), []
    result = perform(run, seen.append)
    state = run.state()
    assert [progress.step for progress in seen] == [1, 2, 3]
    assert (state.status, state.step, state.total, state.attempt) == ("finished", 3, 3, 1)
    assert state.result == result
    assert state.metrics == {"seconds": 0}
    assert kinds(run)[-1] == "finished"


def test_finished_job_is_not_done_again(new_run):
    run, seen = new_run(), []
    result = perform(run)
    assert perform(run, seen.append) == result
    assert seen == []


def test_running_job_is_not_started_a_second_time(new_run):
    run = new_run()

    def again(_):
        with pytest.raises(ProjectError, match="is running already"):
            perform(run)

    perform(run, again)
    assert run.state().status == "finished"


def test_stop_is_heard_at_the_next_step_and_the_job_resumes_from_its_checkpoint(new_run):
    run = new_run(steps=5)
    with pytest.raises(CancelledError, match="resume"):
        perform(run, lambda progress: run.request_cancel() if progress.step == 2 else None)
    assert (run.state().status, run.state().step) == ("cancelled", 2)
    assert not run.cancel_requested()
    assert perform(run)["resumed_from"] == 2
    assert (run.state().status, run.state().attempt) == ("finished", 2)


def test_stopped_job_is_closed_so_that_it_can_write_its_checkpoint(new_run, monkeypatch):
    closed = []

    def job(run):
        try:
            for step in range(10):
                yield Progress(step, 10)
        finally:
            closed.append(run.state().status)

    replace_job(monkeypatch, job)
    run = new_run()
    with pytest.raises(CancelledError):
        perform(run, lambda _: run.request_cancel())
    assert closed == ["running"]


def test_stop_before_the_start_does_nothing_of_the_job(new_run):
    run = new_run()
    run.request_cancel()
    seen = []
    with pytest.raises(CancelledError):
        perform(run, seen.append)
    assert seen == []
    assert not (run.path / "checkpoint.json").exists()


def test_ctrl_c_stops_in_order(new_run):
    run = new_run()

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(run, interrupt)
    assert run.state().status == "cancelled"
    assert perform(run)["resumed_from"] == 1


def test_error_of_a_job_is_kept_with_its_traceback(new_run):
    run = new_run(fail_at_step=2)
    with pytest.raises(InputError):
        perform(run)
    state = run.state()
    assert (state.status, state.message) == ("failed", "failed at step 2, as asked")
    assert "selftest.py" in state.error


def test_failed_job_may_be_tried_again(new_run):
    run = new_run(fail_at_step=2)
    for _ in range(3):
        with pytest.raises(InputError):
            perform(run)
    assert run.state().attempt == 3


def test_memory_error_is_told_as_such_with_a_remedy(new_run, monkeypatch):
    def job(_run):
        raise MemoryError
        yield

    replace_job(monkeypatch, job)
    run = new_run()
    with pytest.raises(MemoryError):
        perform(run)
    assert run.state().message.startswith("out of memory: choose a smaller crop")


PERFORM = """
import sys
from pathlib import Path
from histobridge.core.perform import perform
from histobridge.core.runs import Run
perform(Run(Path(sys.argv[1])))
"""


def perform_elsewhere(run):
    return subprocess.run([sys.executable, "-c", PERFORM, str(run.path)], capture_output=True, check=False)


def test_job_goes_on_after_a_crash_and_gives_up_after_the_second_without_progress(new_run):
    run = new_run(steps=5, crash_at_step=3, crashes=2)
    for _ in range(2):
        assert perform_elsewhere(run).returncode != 0
        assert run.state().status == "interrupted"
    with pytest.raises(CrashedError, match="died twice without reaching a new checkpoint"):
        perform(run)
    assert run.state().status == "failed"
    # On the user's word it is tried again, from the checkpoint.
    assert perform(run)["resumed_from"] == 2


def crash(run, *events):
    """Let the run look as a process that was killed leaves it."""
    for kind in events:
        run.log(kind, **({"used_mb": 910, "limit_mb": 1000} if kind == "killed" else {}))
    gone = RunState(status="running", step=7, attempt=run.state().attempt + 1, pid=2**22 + 1, pid_started=1.0)
    run.write_state(gone.model_copy(update={"host": performing.socket.gethostname()}))


def test_crash_after_a_new_checkpoint_counts_as_the_first(new_run):
    run = new_run()
    crash(run)
    run.log("crashed", step=7)
    crash(run, "checkpoint")
    assert perform(run)["resumed_from"] == 0
    assert run.state().status == "finished"


def test_memory_is_named_as_the_cause_when_the_watchdog_saw_it(new_run):
    run = new_run()
    run.log("crashed", step=7)
    crash(run, "killed")
    with pytest.raises(CrashedError, match="out of memory: the job used 910 of 1000 MB"):
        perform(run)


def test_previews_are_kept_as_files(new_run, monkeypatch):
    def job(_run):
        yield Progress(1, 1, preview={"fake": np.full((4, 6), 9, np.uint8)})
        return {}

    replace_job(monkeypatch, job)
    run = new_run()
    perform(run)
    assert (run.path / "preview-fake.png").read_bytes().startswith(b"\x89PNG")


def test_log_holds_no_more_than_a_line_a_second(new_run):
    run = new_run(steps=200, checkpoint_every=1000)
    perform(run)
    assert kinds(run).count("progress") <= 3


def test_every_line_of_the_log_is_json_with_time_and_kind(new_run):
    run = new_run()
    perform(run)
    for line in (run.path / "events.jsonl").read_text().splitlines():
        assert {"time", "kind"} <= json.loads(line).keys()


def test_no_thread_is_left_behind(new_run):
    before = set(threading.enumerate())
    perform(new_run())
    assert set(threading.enumerate()) <= before


def test_finish_returns_what_the_job_returned_and_shows_its_steps():
    def job():
        yield Progress(1, 2)
        yield Progress(2, 2)
        return "done"

    seen = []
    assert finish(job(), seen.append) == "done"
    assert [progress.step for progress in seen] == [1, 2]


def test_counted_puts_a_part_on_the_scale_of_the_whole_and_closes_it():
    closed = []

    def part():
        try:
            yield Progress(1, 2, "half")
            yield Progress(2, 2)
            return 5
        finally:
            closed.append(True)

    seen = []
    assert finish(counted(part(), "second", (1, 2)), seen.append) == 5
    assert [(progress.step, progress.total, progress.message) for progress in seen] == [
        (1500, 2000, "second: half"),
        (2000, 2000, "second"),
    ]
    stopped = counted(part(), "first")
    next(stopped)
    stopped.close()
    assert closed == [True, True]
