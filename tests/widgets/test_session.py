"""The session reads what changed on disk, whatever one run or the disk is like."""

import errno
import os

import pytest

from histobridge.core.config import SelfTestConfig
from histobridge.core.project import Project
from histobridge.core.runs import Run, RunState
from histobridge.widgets.session import Session


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "nerve")


@pytest.fixture
def session(engine, qapp):
    made = Session(engine)
    made.told = []
    made.trouble.connect(made.told.append)
    made.project_changed.connect(lambda: made.told.append(""))  # the window clears what it told
    yield made
    made.close()


def test_a_damaged_run_is_told_and_the_others_are_followed(session, project):
    """The window stood still for good."""
    first, last = (project.create_run("selftest", SelfTestConfig()) for _ in range(2))
    (first.path / "run.json").write_bytes(b"{")
    session.open(project)
    assert list(session.followed) == [last.id]
    assert str(first.path) in session.told[-1]
    told = len(session.told)
    last.write_state(RunState(status="finished"))
    session.poll()
    assert session.followed[last.id].state.status == "finished"
    assert len(session.told) == told


def test_a_change_within_the_same_second_of_a_coarse_disk_is_seen(session, project):
    run = project.create_run("selftest", SelfTestConfig())
    session.open(project)
    before = (run.path / "state.json").stat().st_mtime_ns
    run.write_state(RunState(status="finished"))
    os.utime(run.path / "state.json", ns=(before, before))
    session.poll()
    assert session.followed[run.id].state.status == "finished"


def test_a_job_that_cannot_be_written_down_or_stopped_is_told(session, project, engine, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    session.open(project)
    run = project.create_run("selftest", SelfTestConfig())
    monkeypatch.setattr(Run, "create", full)
    monkeypatch.setattr(engine, "cancel", full)
    assert session.submit("selftest", SelfTestConfig()) is None
    assert session.told[-1].startswith("The job could not be started")
    session.cancel(run)
    assert session.told[-1].startswith("The job could not be stopped")
