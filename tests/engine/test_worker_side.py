"""What a worker process does when the disk is full, or when another process begins the same run."""

import errno
import os
import signal
import socket
import threading
from contextlib import contextmanager

import psutil
import pytest

from histobridge.core.config import SelfTestConfig
from histobridge.core.runs import Run, RunState
from histobridge.engine import run as worker_side
from histobridge.engine.run import Request, Watchdog, main


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.setattr(worker_side, "memory_limit", lambda: 0)
    return project.create_run("selftest", SelfTestConfig(steps=1, seconds_per_step=0))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("memory_limit", "stopped"), [(1, False), (0, True)])
def test_a_full_disk_keeps_nobody_from_killing_what_must_be_killed(run, monkeypatch, memory_limit, stopped):
    """The watchdog died of its own note."""
    killed = threading.Event()
    monkeypatch.setattr(worker_side, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(worker_side.os, "kill", lambda pid, sign: killed.set() if sign == signal.SIGKILL else None)
    if stopped:
        run.request_cancel()
    for name in ("log", "write_state", "own"):
        monkeypatch.setattr(Run, name, full)
    with Watchdog(run, 0.01, memory_limit):
        assert killed.wait(5)


def joining(monkeypatch, act):
    """Do something while the processes of a training wait for each other."""

    @contextmanager
    def joined(_run, _local):
        act()
        yield

    monkeypatch.setattr("histobridge.engine.gathering.joined", joined)


def test_a_run_that_another_process_begins_meanwhile_is_left_to_it(run, monkeypatch):
    """It was told to have failed while it was being computed."""
    parent = psutil.Process(os.getppid())
    known = {"pid": parent.pid, "pid_started": parent.create_time(), "host": socket.gethostname()}
    other = RunState(status="running", attempt=1, **known)
    joining(monkeypatch, lambda: run.write_state(other))
    assert main(Request(path=run.path).model_dump_json()) == "running"
    assert run.state() == other


def test_processes_that_do_not_find_each_other_fail_the_run(run, monkeypatch):
    def fail():
        raise RuntimeError("nobody came")

    joining(monkeypatch, fail)
    assert main(Request(path=run.path).model_dump_json()) == "failed"
    assert run.state().message == "the processes of this training did not find each other: nobody came"


def test_an_error_before_the_first_step_is_told(run, monkeypatch):
    def lost(_run):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "state.json")

    monkeypatch.setattr("histobridge.core.perform.perform", lost)
    assert main(Request(path=run.path).model_dump_json()) == "failed"
    assert run.state().message.startswith("the disk is full (state.json)")
