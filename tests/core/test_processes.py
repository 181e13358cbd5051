"""A process is known for what it is when the clock is set, when others may not see it, and after it has gone."""

import errno
import os
import subprocess
import sys

import psutil
import pytest

from histobridge.core.processes import birth_of, identity, process_alive


@pytest.fixture
def clock_was_set(monkeypatch):
    """Let every process seem to be born ten seconds later than it was told to be."""
    born = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + 10)


def alive(known):
    return process_alive(known["pid"], known["pid_started"], known["pid_birth"])


@pytest.mark.skipif(not birth_of(os.getpid()), reason="there is no /proc")
def test_a_process_still_lives_after_the_clock_was_set(request):
    me = identity()
    request.getfixturevalue("clock_was_set")
    assert alive(me)
    assert not process_alive(me["pid"], me["pid_started"])


@pytest.mark.skipif(not birth_of(os.getpid()), reason="there is no /proc")
def test_a_later_process_of_the_same_number_is_another_even_if_the_clock_says_otherwise():
    me = identity()
    boot, ticks = me["pid_birth"].split()
    assert not alive(me | {"pid_birth": f"{boot} {int(ticks) - 1}"})
    assert not alive(me | {"pid_birth": f"another-start-of-linux {ticks}"})


def test_records_of_earlier_versions_are_judged_by_the_clock():
    me = identity()
    assert process_alive(me["pid"], me["pid_started"])
    assert not process_alive(me["pid"], me["pid_started"] - 100)


def test_a_process_that_has_ended_is_dead_and_so_is_one_of_no_number():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        known = {"pid": process.pid, "pid_started": psutil.Process(process.pid).create_time()}
    assert not alive(known | {"pid_birth": ""})
    assert not process_alive(0, 0.0)


@pytest.mark.parametrize(("answer", "lives"), [(errno.EPERM, True), (errno.ESRCH, False)])
def test_a_process_that_only_its_user_may_see_lives(monkeypatch, answer, lives):
    """Mounted with hidepid=2, /proc shows nobody else's."""

    def unseen(pid):
        raise psutil.NoSuchProcess(pid)

    def kill(_pid, _signal):
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(psutil, "Process", unseen)
    monkeypatch.setattr(os, "kill", kill)
    assert process_alive(4321, 1.0, "some-start 5") == lives
