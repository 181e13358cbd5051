"""A job on a disk that is full, or on a network folder that stumbles: it goes on, and does not seem to run for ever."""

import errno
import os

import pytest

from histobridge.core import files, jobs
from histobridge.core import perform as performing
from histobridge.core.config import SelfTestConfig
from histobridge.core.errors import ProjectError
from histobridge.core.job import Progress
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(performing, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(performing, "END_SECONDS", 0.05)
    project = Project.create(tmp_path / "project")
    return project.create_run("selftest", SelfTestConfig(steps=6, seconds_per_step=0, checkpoint_every=100))


@pytest.fixture
def disk(monkeypatch):
    """A disk that is full while `full` says so, and what was tried to be written to it."""

    class Disk:
        full = False
        tried = 0
        room_after = None

    state, there, opened = Disk(), os.open, files.Path.open

    def check():
        if state.full:
            state.tried += 1
            if state.tried == state.room_after:
                state.full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def low(path, flags, *mode, **named):
        if flags & os.O_CREAT:
            check()
        return there(path, flags, *mode, **named)

    def high(path, mode="r", *given, **named):
        if set(mode) & set("wa"):
            check()
        return opened(path, mode, *given, **named)

    monkeypatch.setattr(os, "open", low)
    monkeypatch.setattr(files.Path, "open", high)
    return state


def fill_at(disk, step, empty_at=0):
    """Fill the disk at one step, and perhaps make room at another."""

    def watch(progress):
        disk.full = disk.full if progress.step not in (step, empty_at) else progress.step == step

    return watch


def test_progress_that_cannot_be_written_ends_no_job(run, disk, monkeypatch):
    """A training of hours failed for a line of its log."""
    monkeypatch.setattr(performing, "STATE_SECONDS", 0)
    monkeypatch.setattr(performing, "EVENT_SECONDS", 0)
    perform(run, fill_at(disk, 2, empty_at=4))
    assert run.state().status == "finished"
    assert disk.tried >= 4
    assert [event["step"] for event in run.events() if event["kind"] == "progress"] == [1, 2, 5, 6]


def test_a_preview_that_cannot_be_written_ends_no_job(run, disk, monkeypatch):
    import numpy as np

    def job(*_):
        for step in (1, 2):
            yield Progress(step, 2, preview={"fake": np.zeros((2, 2), np.uint8)})
        disk.full = False
        return {}

    monkeypatch.setattr(jobs, "start", job)
    perform(run, lambda _: setattr(disk, "full", True))
    assert run.state().status == "finished"


def test_the_end_is_written_as_soon_as_there_is_room(run, disk):
    disk.room_after = 4
    perform(run, fill_at(disk, 5))
    assert run.state().status == "finished"


def test_a_run_whose_end_cannot_be_written_is_interrupted_and_can_be_resumed(run, disk):
    """It was told to run as long as its worker lived, and nothing could be done about it."""
    with pytest.raises(ProjectError, match="is done, but that cannot be written: the disk is full"):
        perform(run, fill_at(disk, 5))
    assert run.state().status == "interrupted"
    disk.full = False
    perform(run)
    assert run.state().status == "finished"


def test_the_room_that_the_old_state_took_does_for_the_new_one(run, disk, monkeypatch):
    unlink = files.Path.unlink

    def make_room(path, **named):
        unlink(path, **named)
        disk.full = disk.full and path.name != "state.json"

    monkeypatch.setattr(files.Path, "unlink", make_room)
    perform(run, fill_at(disk, 5))
    assert run.state().status == "finished"


def test_a_stop_is_heard_on_a_full_disk(run, monkeypatch):
    run.request_cancel()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(files.Path, "touch", full)
        with pytest.raises(CancelledError):
            perform(run)
    assert run.state().status == "cancelled"


def test_a_disk_that_does_not_say_whether_to_stop_ends_no_job(run, monkeypatch):
    exists, stumbled = files.Path.exists, []

    def stumble(path, **named):
        if path.name == "cancel" and len(stumbled) < 3:
            stumbled.append(path)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return exists(path, **named)

    monkeypatch.setattr(files.Path, "exists", stumble)
    perform(run)
    assert (run.state().status, len(stumbled)) == ("finished", 3)


def test_a_job_that_fails_for_the_disk_says_so_in_words(run, monkeypatch):
    def job(*_):
        yield Progress(1, 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.safetensors")

    monkeypatch.setattr(jobs, "start", job)
    with pytest.raises(OSError, match="model"):
        perform(run)
    assert run.state().message.startswith("the disk is full (model.safetensors); see to that, then resume")


def test_one_sign_of_life_that_fails_is_not_the_last(run, monkeypatch):
    """On a network folder that stumbled once, other machines took the job for gone."""
    beats, utime = [], os.utime

    def stumble(path, *given, **named):
        beats.append(path)
        if len(beats) == 1:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        utime(path, *given, **named)

    monkeypatch.setattr(os, "utime", stumble)
    monkeypatch.setattr(performing, "HEARTBEAT_SECONDS", 0.001)
    waited = performing.threading.Event()

    def until_three(_):
        for _ in range(200):
            if len(beats) < 3:
                waited.wait(0.005)

    perform(run, until_three)
    assert len(beats) >= 3


def test_progress_is_written_on_when_the_clock_is_set_back(run, monkeypatch):
    monkeypatch.setattr(performing, "STATE_SECONDS", 0)
    monkeypatch.setattr(performing, "EVENT_SECONDS", 0)
    clock, seen, behind = performing.time.time, [], [0.0]
    monkeypatch.setattr(performing.time, "time", lambda: clock() - behind[0])

    def watch(progress):
        seen.append(run.state().step)
        behind[0] = 3600.0 if progress.step >= 2 else 0.0

    perform(run, watch)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert [event["step"] for event in run.events() if event["kind"] == "progress"] == seen
