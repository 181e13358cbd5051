import errno
import fcntl
import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.lock import EditLock
from histobridge.core.processes import birth_of

HOLD = """
import sys
from pathlib import Path
from histobridge.core.lock import EditLock
EditLock(Path(sys.argv[1]), "other").acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edit.lock"


@pytest.fixture
def other_process(path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_lock_is_taken_and_given_back(path):
    lock = EditLock(path, "window")
    lock.acquire()
    assert lock.held
    assert lock.holder().pid == os.getpid()
    assert lock.holder().program == "window"
    lock.release()
    assert not lock.held
    assert lock.holder() is None


def test_taking_and_giving_back_twice_does_nothing_more(path):
    lock = EditLock(path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert not path.exists()


def test_second_lock_is_refused_and_told_who_holds_it_since_when(path, other_process):
    lock = EditLock(path)
    with pytest.raises(LockedError) as refused:
        lock.acquire()
    text = str(refused.value)
    assert str(other_process.pid) in text
    assert socket.gethostname() in text
    assert " since 20" in text
    assert not lock.held


def test_lock_of_a_killed_process_is_taken_over(path, other_process):
    other_process.kill()
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    # Killed and not yet waited for, as under a container that never reaps.
    assert psutil.Process(other_process.pid).status() == psutil.STATUS_ZOMBIE
    lock = EditLock(path)
    assert lock.holder().stale
    lock.acquire()
    assert lock.holder().pid == os.getpid()


def test_number_of_a_dead_holder_that_another_process_got_is_not_mistaken_for_it(path):
    lock = EditLock(path)
    lock.acquire()
    earlier = {"pid_started": 1.0, "pid_birth": "an-earlier-start-of-linux 1"}
    path.write_text(lock.holder().model_copy(update=earlier).model_dump_json())
    EditLock(path).acquire()


@pytest.mark.skipif(not birth_of(os.getpid()), reason="there is no /proc")
def test_a_holder_keeps_the_lock_when_the_clock_is_set(path, monkeypatch):
    """It looked dead then, and a second window became editor."""
    EditLock(path).acquire()
    born = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + 10)
    with pytest.raises(LockedError):
        EditLock(path).acquire()


def test_a_lock_of_the_version_before_is_understood(path):
    EditLock(path).acquire()
    held = json.loads(path.read_text())
    path.write_text(json.dumps({name: held[name] for name in held if name not in ("schema_version", "pid_birth")}))
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        EditLock(path).acquire()


def test_a_lock_with_a_field_more_is_no_damaged_one(path):
    EditLock(path).acquire()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"window": 3}))
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        EditLock(path).acquire()


@pytest.mark.parametrize("changes", [{"pid": 0}, {"pid": "four"}])
def test_a_lock_of_a_newer_version_is_not_taken_whatever_it_says(path, changes):
    EditLock(path).acquire()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 2} | changes))
    with pytest.raises(LockedError, match=r"schema version 2, made by a newer HistoBridge.*pip install -U"):
        EditLock(path).acquire()


def test_who_was_taken_over_knows_it_also_after_the_other_has_closed(path):
    """It went on editing beside the third one, since the lock's file was gone."""
    first, second, third = (EditLock(path, name) for name in ("first", "second", "third"))
    first.acquire()
    second.acquire(take_over=True)
    with pytest.raises(LockedError, match=r"was taken over by .*second"):
        first.acquire()
    second.release()
    assert first.taken_over
    with pytest.raises(LockedError, match="was taken over by somebody who has closed it since"):
        first.acquire()
    third.acquire()
    assert first.taken_over
    first.release()
    assert third.holder().program == "third"


def test_a_folder_that_is_gone_or_does_not_answer_is_nobody_taking_over(path, monkeypatch):
    lock = EditLock(path)
    lock.acquire()
    with monkeypatch.context() as broken:

        def fail(_):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

        broken.setattr("histobridge.core.lock.read_json", fail)
        assert not lock.taken_over
    path.parent.rename(path.parent.with_name("away"))
    assert not lock.taken_over


def test_a_user_without_a_name_may_edit(path, monkeypatch):
    """Containers run as numbers that no list of users has."""

    def nameless():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    lock = EditLock(path)
    lock.acquire()
    assert lock.holder().user == str(os.getuid())


def test_lock_of_another_machine_is_never_stale_but_can_be_taken_on_the_users_word(path):
    first = EditLock(path)
    first.acquire()
    path.write_text(first.holder().model_copy(update={"host": "elsewhere", "pid": 1}).model_dump_json())
    second = EditLock(path)
    with pytest.raises(LockedError, match="elsewhere"):
        second.acquire()
    second.acquire(take_over=True)
    assert second.holder().host == socket.gethostname()


def test_who_lost_the_lock_does_not_give_back_that_of_another(path):
    first, second = EditLock(path, "first"), EditLock(path, "second")
    first.acquire()
    second.acquire(take_over=True)
    first.release()
    assert second.holder().program == "second"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_damaged_lock_counts_as_stale(path, content):
    path.write_bytes(content)
    lock = EditLock(path)
    lock.acquire()
    assert lock.holder().pid == os.getpid()


def test_of_many_who_see_one_stale_lock_only_one_gets_it(path):
    path.write_bytes(b"")
    command = [sys.executable, "-c", HOLD, str(path)]
    rivals = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(4)
    ]
    said = [rival.stdout.readline() for rival in rivals]
    for rival in rivals:
        rival.communicate("")
    assert sorted(said) == ["", "", "", "held\n"]


def test_giving_back_after_the_folder_was_removed_does_nothing(path):
    lock = EditLock(path)
    lock.acquire()
    for left in path.parent.iterdir():
        left.unlink()
    path.parent.rmdir()
    lock.release()
    assert not lock.held


def test_a_disk_without_hard_links_has_locks_too(path, other_process, monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(LockedError, match="is being edited by"):
        EditLock(path).acquire()
    lock = EditLock(tmp_path / "free.lock")
    lock.acquire()
    assert lock.holder().pid == os.getpid()
    with pytest.raises(LockedError):
        EditLock(tmp_path / "free.lock").acquire()
    lock.release()
    assert lock.holder() is None


def test_a_name_that_was_given_although_the_disk_said_no_is_ours(path, monkeypatch):
    """A network folder may lose its answer and be asked again."""
    link = os.link

    def lost(source, target):
        link(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", lost)
    lock = EditLock(path)
    lock.acquire()
    assert lock.held
    lock.release()
    assert not path.exists()


def test_a_disk_without_file_locks_is_told_with_the_remedy(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    path.write_bytes(b"")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ProjectError, match=r"cannot be locked: the disk has no file locks; .*mount"):
        EditLock(path).acquire()


def test_giving_back_on_a_disk_without_file_locks_raises_nothing(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    lock = EditLock(path)
    lock.acquire()
    monkeypatch.setattr(fcntl, "flock", refuse)
    lock.release()
    assert not lock.held
