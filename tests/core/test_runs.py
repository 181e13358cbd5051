import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from histobridge.core.config import SelfTestConfig
from histobridge.core.errors import ProjectError
from histobridge.core.runs import HEARTBEAT_SECONDS, Run, RunState
from histobridge.engine.client import Engine


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "selftest", SelfTestConfig(steps=3))


def running(**changes):
    """State of a run that this process works on."""
    born = psutil.Process().create_time()
    mine = {"pid": os.getpid(), "pid_started": born, "host": socket.gethostname(), "updated": time.time()}
    return RunState(status="running", **(mine | changes))


def test_new_run_is_queued_and_says_what_was_asked(run):
    assert run.state().status == "queued"
    assert run.verb == "selftest"
    assert SelfTestConfig.model_validate(run.config).steps == 3
    assert [event["kind"] for event in run.events()] == ["queued"]
    assert run.project_path == run.path.parent.parent


def test_runs_made_in_a_row_sort_in_that_order(tmp_path):
    runs = [Run.create(tmp_path, "selftest", SelfTestConfig()) for _ in range(20)]
    assert sorted(run.id for run in runs) == [run.id for run in runs]


def test_state_is_read_back_as_written(run):
    state = running(step=3, total=9, message="halb", metrics={"loss": 0.5})
    run.write_state(state)
    assert Run(run.path).state() == state


def test_run_of_a_process_that_is_gone_is_interrupted(run):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        started = psutil.Process(process.pid).create_time()
    run.write_state(running(pid=process.pid, pid_started=started))
    assert run.state().status == "interrupted"


def test_run_of_a_zombie_is_interrupted(run):
    # Not waited for, so it stays in the process table once it has ended.
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    started = psutil.Process(process.pid).create_time()
    run.write_state(running(pid=process.pid, pid_started=started))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert run.state().status == "interrupted"
    process.communicate()


def test_number_of_a_dead_process_that_another_got_is_not_mistaken_for_it(run):
    run.write_state(running(pid_started=psutil.Process().create_time() - 100))
    assert run.state().status == "interrupted"


def test_run_on_another_machine_lives_as_long_as_it_shows_life(run):
    silent = time.time() - 10 * HEARTBEAT_SECONDS
    run.write_state(running(host="elsewhere", updated=silent))
    os.utime(run.path / "state.json", (silent, silent))
    assert run.state().status == "interrupted"
    run.show_life()
    assert run.state().status == "running"


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_clocks_of_two_machines_that_differ_make_nobody_dead_or_alive(run, monkeypatch, ahead):
    """A worker whose clock was behind counted as gone while it worked, one whose clock was ahead never did."""
    run.write_state(running(host="elsewhere", updated=time.time() + ahead))
    clock = time.time
    with monkeypatch.context() as here:
        here.setattr(time, "time", lambda: clock() + ahead)
        run.show_life()
    seen = Run(run.path)
    assert seen.state().status == "running"
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 10 * HEARTBEAT_SECONDS)
    assert seen.state().status == "interrupted"
    run.show_life()
    assert seen.state().status == "running"


def test_who_looks_at_a_run_of_another_machine_leaves_nothing_in_its_folder(run):
    run.write_state(running(host="elsewhere"))
    before = sorted(run.path.iterdir())
    run.state()
    assert sorted(run.path.iterdir()) == before


def test_a_run_of_another_machine_can_be_looked_at_where_nothing_can_be_written(run, monkeypatch):
    run.write_state(running(host="elsewhere"))

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    assert run.state().status == "running"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "odd"}', b"\xff\xfe"])
def test_damaged_state_counts_as_interrupted(run, content):
    (run.path / "state.json").write_bytes(content)
    assert run.state().status == "interrupted"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_damaged_request_is_told_with_a_remedy(run, content):
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(ProjectError, match=f"{run.id}.*start the job again"):
        run.request()


def test_torn_line_of_the_log_is_left_out_and_spoils_no_other(run):
    with (run.path / "events.jsonl").open("a") as stream:
        stream.write('{"kind": "prog')
    run.log("checkpoint", step=2)
    assert [event["kind"] for event in run.events()] == ["queued", "checkpoint"]


def test_lines_of_two_writers_do_not_mix(run):
    other = Run(run.path)
    for step in range(50):
        run.log("progress", step=step)
        other.log("progress", step=step)
    assert len(list(run.events())) == 101


def test_stop_can_be_asked_for_and_forgotten(run):
    assert not run.cancel_requested()
    run.request_cancel()
    assert Run(run.path).cancel_requested()
    run.clear_cancel()
    run.clear_cancel()
    assert not run.cancel_requested()


def test_state_without_log_or_folder_does_not_raise(tmp_path):
    gone = Run(tmp_path / "gone")
    assert gone.state().status == "interrupted"
    assert list(gone.events()) == []


def test_a_state_with_a_field_more_is_no_damaged_one(run):
    run.write_state(RunState(status="finished", step=3))
    path = run.path / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gpu": "large"}))
    assert (run.state().status, run.state().step) == ("finished", 3)


@pytest.mark.parametrize("name", ["state.json", "run.json", "inputs.json"])
def test_files_of_a_newer_version_are_refused_with_the_remedy(run, name):
    """They counted as damaged, and what was finished was done again."""
    run.settle(matching="m")
    path = run.path / name
    values = json.loads(path.read_text())
    assert values["schema_version"] == 1
    path.write_text(json.dumps(values | {"schema_version": 2}))
    read = {"state.json": run.state, "run.json": run.request, "inputs.json": lambda: run.settle(matching="n")}[name]
    with pytest.raises(ProjectError, match=f"{name} has schema version 2, made by a newer.*pip install -U"):
        read()


@pytest.mark.parametrize("name", ["state.json", "run.json", "inputs.json"])
def test_files_of_the_version_before_are_read(run, name):
    run.settle(matching="m")
    path = run.path / name
    values = json.loads(path.read_text())
    del values["schema_version"]
    path.write_text(json.dumps(values))
    assert run.state().status == "queued"
    assert run.verb == "selftest"
    assert run.settle(matching="n") == {"matching": "m"}


def failing(monkeypatch, times):
    """Let the first readings of any file fail as a network folder does."""
    left, read = [None] * times, Path.read_bytes

    def stumble(path):
        if left:
            left.pop()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", stumble)


def test_a_network_folder_that_stumbles_is_asked_again(run, monkeypatch):
    run.write_state(RunState(status="finished"))
    failing(monkeypatch, 2)
    assert run.state().status == "finished"


def test_a_disk_that_does_not_answer_says_nothing_about_the_run(run, monkeypatch):
    """It was taken for interrupted, and a stop then wrote over the state of a live run."""
    run.write_state(running(attempt=3, step=900))
    with monkeypatch.context() as broken:
        failing(broken, 100)
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            run.state()
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            Engine("tcp://x:1").cancel(run)
    assert (run.state().status, run.state().attempt) == ("running", 3)


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
def test_how_a_run_ended_is_known_from_its_log_when_its_state_is_damaged(run, status):
    run.log("started", attempt=1)
    run.end(running(attempt=1, result={"model": "m"}), status, "so it ended")
    (run.path / "state.json").write_bytes(b"\0" * 300)
    state = run.state()
    assert (state.status, state.message, state.result, state.attempt) == (status, "so it ended", {"model": "m"}, 1)
    run.log("resumed", attempt=2)
    assert (run.state().status, run.state().attempt) == ("interrupted", 2)


def test_lines_of_the_log_that_are_no_events_are_left_out(run):
    with (run.path / "events.jsonl").open("a") as stream:
        stream.write('17\n["kind"]\n{"time": 3}\nnull\n')
    assert [event["kind"] for event in run.events()] == ["queued"]


def test_the_end_of_a_log_can_be_read_without_the_rest(run):
    for step in range(100):
        run.log("progress", step=step)
    found = list(run.events(500))
    assert found == list(run.events())[-len(found) :]
    assert 2 < len(found) < 20
    assert list(run.events(10**6)) == list(run.events())
