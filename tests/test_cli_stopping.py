"""Signals and steps: what stops between two steps, what at once, and what is left behind."""

import signal

import pytest

from histobridge.cli.stopping import interrupted_between_steps, stops_at_next_step
from histobridge.core.job import Progress, finish


@pytest.fixture(autouse=True)
def survive():
    """Without the handlers under test a signal fails the test instead of ending all tests."""

    def told(number, _):
        raise AssertionError(f"signal {number} came through")

    before = signal.signal(signal.SIGTERM, told)
    yield
    signal.signal(signal.SIGTERM, before)


def send(number):
    signal.raise_signal(number)


def test_a_stop_is_asked_for_once_however_often_sigterm_comes(capsys):
    asked = []
    with stops_at_next_step(lambda: asked.append(True)):
        send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert asked == [True]
    assert capsys.readouterr().err.count("SIGTERM") == 1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_after_a_stop_was_asked_for_stops_at_once(first):
    with pytest.raises(KeyboardInterrupt), stops_at_next_step(lambda: None):  # noqa: PT012
        send(first)
        send(signal.SIGINT)


def test_handlers_are_afterwards_as_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stops_at_next_step(lambda: None):
        send(signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_without_a_run_ends_after_a_whole_step(number):
    done = []

    def job():
        for step in range(1, 5):
            if step == 2:
                send(number)
            done.append(step)
            yield Progress(step, 4)

    seen = []
    with pytest.raises(KeyboardInterrupt), interrupted_between_steps(seen.append) as watch:
        finish(job(), watch)
    assert done == [1, 2]
    assert [progress.step for progress in seen] == [1, 2]


def test_the_stop_is_asked_for_though_nobody_reads_what_is_said(monkeypatch):
    class Gone:
        def write(self, _):
            raise BrokenPipeError

    asked = []
    monkeypatch.setattr("sys.stderr", Gone())
    with stops_at_next_step(lambda: asked.append(True)):
        send(signal.SIGTERM)
    assert asked == [True]
