"""The Jobs panel follows runs from their files."""

import time

import pytest
from window_fakes import say

from histobridge.core.config import MatchConfig
from histobridge.core.runs import RunState
from histobridge.widgets.job_panel import DetailsDialog, time_left


@pytest.fixture
def start_job(make_window, sample):
    """Submit a job; a viewer kept by a fixture would count as leaked."""

    def make():
        _, window = make_window(sample)
        run = window.session.submit("match", MatchConfig())
        (row,) = window.jobs.rows()
        return window, run, row

    return make


def test_a_submitted_job_waits_then_shows_its_progress(start_job, engine, qtbot):
    _, run, row = start_job()
    assert engine.submitted == [run.id]
    assert row.message.text() == "waiting for its turn"
    say(run, "running", step=3, total=10, message="looking", started=time.time() - 6)
    qtbot.waitUntil(lambda: row.bar.value() == 3)
    assert row.bar.maximum() == 10
    assert row.message.text() == "looking"
    assert row.left.text().startswith("≈ 0:1")


def test_stop_asks_the_engine(start_job, engine):
    window, run, row = start_job()
    row.stop.click()
    assert engine.cancelled == [run.id]
    assert not row.stop.isEnabled()
    say(run, "cancelled", message="stopped as you asked")
    window.session.poll()
    assert row.message.text() == "stopped as you asked"
    assert row.resume.text() == "Try again"
    say(run, "cancelled", step=3, total=10, message="stopped as you asked")
    window.session.poll()
    assert row.resume.text() == "Resume"
    row.resume.click()
    assert engine.submitted == [run.id, run.id]


def test_a_failure_stays_with_its_words_and_offers_the_traceback(start_job, qtbot):
    window, run, row = start_job()
    say(run, "failed", message="the disk is full; free some space", error="Traceback: OSError 28")
    window.session.poll()
    assert row.error.text() == "the disk is full; free some space"
    row.details.click()
    dialog = row.findChild(DetailsDialog)
    assert dialog.text.toPlainText() == "Traceback: OSError 28"
    assert not dialog.isModal()
    dialog.close()
    row.dismiss.click()
    assert window.jobs.rows() == []


def test_the_end_of_a_job_is_told_once(start_job, qtbot):
    window, run, row = start_job()
    ended = []
    window.session.run_ended.connect(ended.append)
    say(run, "finished", message="done")
    for _ in range(3):
        window.session.poll()
    assert [item.run.id for item in ended] == [run.id]
    assert row.title.text().startswith("✓")


def test_running_jobs_are_found_again_when_the_project_is_reopened(start_job, sample):
    window, run, _ = start_job()
    say(run, "running", step=1, total=2)
    window.session.close_project()
    assert window.jobs.rows() == []
    window.open_project(sample.path)
    (row,) = window.jobs.rows()
    assert row.bar.value() == 1


def test_time_left_is_told_only_when_there_is_something_to_go_by():
    assert time_left(RunState(status="running", total=10), 100.0) == ""
    assert time_left(RunState(status="running", step=5, total=10, started=10.0), 70.0) == "≈ 1:00 left"
    resumed = RunState(status="running", step=5010, total=10_000, started=10.0, began_at=5000)
    assert time_left(resumed, 30.0) == "≈ 166:20 left"
    assert time_left(resumed.model_copy(update={"step": 4990}), 30.0) == "", "it went back to its last checkpoint"
