"""The Monitor dock follows jobs, and is drawn at most twice a second."""

import time
from itertools import pairwise

import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget
from window_fakes import say

from histobridge.core.config import MatchConfig, TrainTranslatorConfig
from histobridge.widgets.monitor_dock import MonitorDock
from histobridge.widgets.run_views import event_words
from histobridge.widgets.seldom import Seldom
from histobridge.widgets.session import Session


class Times:
    """A clock that stands still, and what is to be done later."""

    def __init__(self):
        self.now, self.due = 100.0, []

    def pass_(self, seconds, seldom):
        self.now += seconds
        while self.due and self.due[0] <= self.now:
            self.due.pop(0)
            seldom.now()


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def make_seldom(times):
    made = []

    def make(act, interval_s):
        made.append(Seldom(act, interval_s, lambda: times.now, lambda ms: times.due.append(times.now + ms / 1000)))
        return made[-1]

    make.made = made
    return make


@pytest.fixture
def monitor(small_project, engine, make_seldom, qtbot):
    session = Session(engine)
    session.open(small_project)
    dock = MonitorDock(session, make_seldom)
    qtbot.addWidget(dock)
    dock.resize(900, 260)
    dock.show()
    yield dock, session
    session.close()


def test_what_is_often_asked_for_is_done_now_and_then_and_the_last_time_too(times, make_seldom):
    done = []
    seldom = make_seldom(lambda: done.append(times.now), 0.5)
    for _ in range(300):
        seldom.ask()
        times.pass_(0.01, seldom)
    times.pass_(1.0, seldom)
    assert len(done) <= 7
    assert min(later - earlier for earlier, later in pairwise(done)) >= 0.5
    assert done[-1] > 102.9


def test_many_events_are_drawn_twice_a_second(monitor, times, make_seldom):
    dock, session = monitor
    run = session.submit("train-translator", TrainTranslatorConfig())
    before = dock.drawings
    for step in range(200):
        run.log("progress", step=step, total=200, metrics={"loss": 1 / (step + 1)})
        session.run_changed.emit(session.followed[run.id])
        times.pass_(0.01, make_seldom.made[0])
    assert 3 <= dock.drawings - before <= 5
    times.pass_(1.0, make_seldom.made[0])
    assert "199/200" in dock.log.toPlainText().splitlines()[-1]


def test_nothing_is_drawn_while_hidden(monitor, times, make_seldom):
    dock, session = monitor
    dock.hide()
    before = dock.drawings
    session.submit("match", MatchConfig())
    times.pass_(5, make_seldom.made[0])
    assert dock.drawings == before


def test_the_chosen_job_shows_state_pictures_log_and_memory(monitor, qtbot):
    dock, session = monitor
    run, other = session.submit("train-translator", TrainTranslatorConfig()), session.submit("match", MatchConfig())
    Image.new("L", (30, 10)).save(run.path / "preview-source_to_target.png")
    say(run, "running", step=5, total=20, message="training", metrics={"loss": 0.25}, started=time.time() - 5)
    session.poll()
    dock.follow(run.id)
    assert dock.state.text().startswith("running · training · step 5 of 20 · loss 0.25 · ≈ 0:1")
    assert list(dock.pictures.shown) == ["source_to_target"]
    assert dock.pictures.shown["source_to_target"].shows_something
    assert "queued" in dock.log.toPlainText()
    assert "25%" in dock.jobs.currentItem().text()
    qtbot.waitUntil(lambda: "this job" in dock.machine.text(), timeout=5000)
    assert "GB free" in dock.machine.text()
    dock.follow(other.id)
    assert dock.pictures.shown == {}
    assert len(dock.log.toPlainText().splitlines()) == 1
    session.close_project()
    dock.draw()
    assert "No job has run yet" in dock.state.text()


def test_stop_and_resume_act_on_the_chosen_job(monitor, engine):
    dock, session = monitor
    run = session.submit("train-translator", TrainTranslatorConfig())
    session.submit("match", MatchConfig())
    dock.jobs.setCurrentRow(1)
    dock.follow(run.id)
    dock.stop.click()
    assert engine.cancelled == [run.id]
    assert not dock.stop.isEnabled()
    say(run, "cancelled", message="stopped as you asked")
    session.poll()
    dock.draw()
    dock.resume.click()
    assert engine.submitted[-1] == run.id


def test_events_are_told_in_words():
    event = {"time": 0, "kind": "progress", "step": 3, "total": 9, "message": "looking", "metrics": {"loss": 0.5}}
    assert event_words(event).endswith("3/9  looking  loss 0.5")
    assert event_words({"time": 0, "kind": "failed", "message": "no room"}).endswith("failed: no room")
    assert event_words({"time": 0, "kind": "checkpoint", "step": 7}).endswith("checkpoint: step 7")


def test_a_click_on_a_job_opens_the_monitor_with_it(make_window, sample):
    _, window = make_window(sample)
    run = window.session.submit("match", MatchConfig())
    window.session.submit("train-translator", TrainTranslatorConfig())
    row = window.jobs.rows()[-1]
    QTest.mouseClick(row.title, Qt.MouseButton.LeftButton)
    dock = window.docks.monitor
    assert isinstance(dock.parentWidget(), QDockWidget) or dock.window() is window.window()
    assert dock.jobs.currentItem().data(Qt.ItemDataRole.UserRole) == run.id
