import os
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from engine_waiting import MEMORY_MB, THREADS, end, wait_until

from histobridge.core.config import SelfTestConfig
from histobridge.core.runs import LOST_SECONDS, RunState
from histobridge.engine.client import Engine
from histobridge.engine.cluster import find_engine, runtime_folder
from histobridge.engine.run import settled


def submit(engine, project, worker="quick", **config):
    run = project.create_run("selftest", SelfTestConfig(**config))
    engine.submit(run, worker)
    return run


def is_running(run):
    return run.state().status == "running" and run.state().step > 0


def test_submitted_job_finishes_in_another_process_and_leaves_its_progress_in_the_log(engine, project):
    run = submit(engine, project, steps=3)
    state = end(engine, run)
    assert (state.status, state.step, state.total) == ("finished", 3, 3)
    assert state.result["pid"] == state.pid != os.getpid()
    assert state.result["niceness"] >= 10
    kinds = [event["kind"] for event in run.events()]
    assert kinds[:3] == ["queued", "submitted", "started"]
    assert "progress" in kinds
    assert kinds[-1] == "finished"


def test_a_training_never_blocks_a_quick_job(engine, project):
    training = submit(engine, project, "train", steps=1000)
    wait_until(lambda: is_running(training))
    quick = submit(engine, project, steps=1)
    assert end(engine, quick).status == "finished"
    assert is_running(training)
    engine.cancel(training)
    assert end(engine, training, 3).status == "cancelled"


def test_second_training_waits_and_never_starts_once_cancelled(engine, project):
    first = submit(engine, project, "train", steps=1000)
    wait_until(lambda: is_running(first))
    second = submit(engine, project, "train")
    engine.cancel(second)
    assert second.state().status == "cancelled"
    engine.cancel(first)
    third = submit(engine, project, "train", steps=1)
    assert end(engine, third).status == "finished"
    assert "started" not in [event["kind"] for event in second.events()]


def test_stopped_job_keeps_its_checkpoint_and_resumes_from_it(engine, project):
    run = submit(engine, project, steps=20)
    wait_until(lambda: run.state().step >= 2)
    asked = time.monotonic()
    engine.cancel(run)
    stopped = end(engine, run, 3)
    assert stopped.status == "cancelled"
    assert time.monotonic() - asked < 3
    engine.resume(run)
    assert run.state().status == "queued"
    state = end(engine, run)
    assert state.status == "finished"
    assert state.attempt == 2
    assert state.result["resumed_from"] >= 2


def test_job_that_ignores_the_stop_is_killed_within_three_seconds_and_stays_down(engine, project):
    run = submit(engine, project, hang_at_step=2)
    wait_until(lambda: "hanging" in [event["kind"] for event in run.events()])
    asked = time.monotonic()
    engine.cancel(run)
    stopped = end(engine, run, 4)
    assert time.monotonic() - asked < 3
    assert (stopped.status, stopped.step) == ("cancelled", 1)
    assert "ending its process" in stopped.message
    assert end(engine, submit(engine, project, steps=1)).status == "finished"
    assert run.state().status == "cancelled"


def test_worker_too_stuck_to_kill_itself_is_killed_from_outside(engine, project):
    run = submit(engine, project, steps=1000)
    wait_until(lambda: is_running(run))
    process = psutil.Process(run.state().pid)
    process.suspend()
    engine.cancel(run)
    assert end(engine, run, 4).status == "cancelled"
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_job_whose_worker_dies_goes_on_from_its_checkpoint(engine, project):
    run = submit(engine, project, steps=6, crash_at_step=4)
    state = end(engine, run)
    assert state.status == "finished"
    assert state.attempt == 2
    assert state.result["resumed_from"] == 3
    assert "crashed" in [event["kind"] for event in run.events()]


def test_second_crash_without_a_new_checkpoint_is_a_failure_with_its_cause(engine, project):
    run = submit(engine, project, steps=6, crash_at_step=4, crashes=9)
    state = end(engine, run)
    assert state.status == "failed"
    assert "died twice" in state.message
    assert "memory" in state.message
    assert (run.path / "crashes").read_text() == "xx"


def test_job_over_the_memory_limit_fails_as_out_of_memory_with_the_figures(engine, project):
    run = submit(engine, project, "train", steps=1, allocate_mb=1000)
    state = end(engine, run)
    assert state.status == "failed"
    assert state.message.startswith("out of memory")
    assert f"of {MEMORY_MB} MB" in state.message


def test_error_of_a_job_is_told_and_the_worker_lives_on(engine, project):
    run = submit(engine, project, fail_at_step=2)
    failed = end(engine, run)
    assert (failed.status, failed.message) == ("failed", "failed at step 2, as asked")
    assert "Traceback" in failed.error
    after = end(engine, submit(engine, project, steps=1))
    assert after.pid == failed.pid


SUBMIT = """
import sys
from pathlib import Path
from histobridge.core.project import Project
from histobridge.engine.client import Engine
import histobridge.engine.run
assert not {"dask", "distributed", "zarr", "torch"} & set(sys.modules), "too much at import"
engine = Engine()
run = Project.open(Path(sys.argv[1])).run(sys.argv[2])
engine.submit(run)
for state in engine.follow(run):
    print(state.status, state.step, flush=True)
engine.close()
assert not {"torch", "monai"} & set(sys.modules), "torch in the window's process"
"""


def submitter(project, run):
    command = [sys.executable, "-c", SUBMIT, str(project.path), run.id]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("engine")
def test_submitting_process_never_imports_torch_and_the_worker_computes_with_the_threads_asked_for(project):
    run = project.create_run("selftest", SelfTestConfig(steps=1, use_torch=True))
    with submitter(project, run) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert run.state().result["torch_threads"] == THREADS


def test_job_survives_the_killing_of_its_window_and_is_found_again(engine, project):
    run = project.create_run("selftest", SelfTestConfig(steps=20))
    with submitter(project, run) as process:
        wait_until(lambda: is_running(run))
        process.send_signal(signal.SIGKILL)
    step = run.state().step
    (found,) = engine.reattach(project)
    assert found.id == run.id
    state = end(engine, found)
    assert state.status == "finished"
    assert state.attempt == 1
    assert state.step > step


def test_waiting_run_that_the_engine_forgot_is_submitted_again_when_the_window_opens(engine, project):
    submit(engine, project, steps=1)
    lost = project.create_run("selftest", SelfTestConfig(steps=1))
    foreign = project.create_run("selftest", SelfTestConfig(steps=1))
    (submitted,) = [event for event in project.runs()[0].events() if event["kind"] == "submitted"]
    lost.log("submitted", engine=submitted["engine"], host=submitted["host"])
    foreign.log("submitted", engine="tcp://elsewhere:8786", host=submitted["host"])
    assert {lost.id, foreign.id} <= {run.id for run in engine.reattach(project)}
    assert end(engine, lost).status == "finished"
    assert foreign.state().status == "queued"


def test_submitting_twice_runs_once(engine, project):
    run = submit(engine, project, steps=3)
    engine.submit(run)
    Engine.submit(engine, run)
    end(engine, run)
    assert end(engine, submit(engine, project, steps=1)).status == "finished"
    assert [event["kind"] for event in run.events()].count("started") == 1


def test_killed_engine_leaves_no_process_behind_and_the_job_resumes_in_a_new_one(engine, project):
    run = submit(engine, project, steps=30)
    wait_until(lambda: is_running(run))
    scheduler = psutil.Process(find_engine(runtime_folder()).pid)
    workers = scheduler.children(recursive=True)
    scheduler.kill()
    psutil.wait_procs([scheduler, *workers], timeout=60)
    assert not [process for process in workers if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert run.state().status == "interrupted"
    engine.resume(run)
    state = end(engine, run)
    assert state.status == "finished"
    assert state.result["resumed_from"] > 0


def test_a_job_that_writes_for_long_when_it_is_stopped_is_let_to(engine, project):
    """A checkpoint of large networks on a slow disk takes longer than a job may take to notice the stop."""
    run = submit(engine, project, steps=1000, checkpoint_every=1000, stop_seconds=engine.grace_seconds + 1.5)
    wait_until(lambda: is_running(run))
    engine.cancel(run)
    stopped = end(engine, run, 8)
    assert stopped.status == "cancelled"
    assert "ending its process" not in stopped.message
    assert (run.path / "written-when-stopped").exists()
    assert not run.cancel_requested()
    assert psutil.pid_exists(stopped.pid)


def test_a_process_that_is_no_worker_is_not_killed_for_a_stop(project, monkeypatch):
    """It may be a notebook of the user, in the middle of one long step."""
    run = project.create_run("selftest", SelfTestConfig())
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    here = {"pid": process.pid, "pid_started": psutil.Process(process.pid).create_time(), "host": socket.gethostname()}
    run.write_state(RunState(status="running", **here))
    later = []
    monkeypatch.setattr("histobridge.engine.client.later", lambda _, kill, *given: later.append((kill, given)))
    Engine().cancel(run)
    ((kill, given),) = later
    kill(*given)
    try:
        assert process.poll() is None
        assert run.state().status == "running"
    finally:
        process.kill()
        process.wait()


def silent(project, seconds):
    """A run that another machine seems to run, which was silent for so long."""
    run = project.create_run("selftest", SelfTestConfig(steps=1))
    then = time.time() - seconds
    run.write_state(RunState(status="running", host="elsewhere", pid=1, updated=then))
    os.utime(run.path / "state.json", (then, then))
    return run


def test_a_run_of_a_lost_machine_is_taken_over_once_it_was_silent_for_long(project):
    """A scheduler hands a lost task on within seconds, when the run still says that it is running."""
    run = silent(project, LOST_SECONDS - 1)
    assert run.state().status == "running"
    began = time.monotonic()
    assert settled(run).status == "interrupted"
    assert time.monotonic() - began < 5


def test_a_run_of_another_machine_that_lives_is_left_to_it(project):
    run = silent(project, LOST_SECONDS - 20)
    threading.Timer(0.3, run.show_life).start()
    assert settled(run).status == "running"
