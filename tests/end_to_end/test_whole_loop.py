"""The whole loop with the real buttons in a real viewer, real worker processes behind it."""

import time

import numpy as np
import pytest
import zarr
from hands import click, press, stored, stroke
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.states import ACCEPTED, CORRECTED
from histobridge.widgets.routes import MEASURES

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LINE = np.s_[40, 50:110]


def add_sample(window, qtbot):
    """Images: the sample by its button."""
    page = window.page("images")
    click(next(made for made in page.add_buttons if made.text() == "Sample"))
    project = window.session.project
    qtbot.waitUntil(lambda: all(project.images(domain) for domain in ("source", "target")), timeout=60_000)
    for domain, shown in page.lists.items():
        assert [shown.item(row, 0).text() for row in range(shown.rowCount())] == [
            record.id for record in project.images(domain)
        ]
    assert page.problems.text() == ""


def learn_and_match(window, ended):
    """Match: a tiny network, few steps, set in the form."""
    click(window.step_bar.buttons["match"])
    page = window.page("match")
    page.training.nested["training"].set(preset="tiny", steps=60, crop_px=96, batch_size=4)
    click(page.start_button)
    ended(window, "train-segmenter")
    ended(window, "match")
    assert "Scale: " in page.scale.text()
    assert all(strip.shows_something for strip in page.strips.values())


def propose(window, ended):
    click(window.step_bar.buttons["labels"])
    page = window.page("labels")
    page.form.set(reverse_steps=20, flips=False)
    page.form.nested["training"].set(preset="tiny", steps=60, crop_px=96, batch_size=4)
    click(page.start_button)
    run = ended(window, "propose").run
    assert "with Instant" in page.result.text()
    assert page.chosen.text().startswith("Chosen for you: ")
    assert [row[0] for row in page.evidence.rows()][1:] == list(MEASURES.values())
    return run


def review(viewer, window, qtbot, run):
    """Review: the proposal, a stroke on disk, undo, redo, accept; returns the image."""
    click(window.page("labels").show_button)
    page, project = window.page("review"), window.session.project
    image, layer = page.desk.place.image, viewer.layers["labels"]
    disk = Project.open(project.path)
    proposal = read_proposal(project, run.id, image, page.desk.place.tile.window)[0]
    np.testing.assert_array_equal(layer.data, proposal)
    press(viewer, Qt.Key.Key_2)
    stroke(viewer, layer, 40, (50, 110))
    painted = layer.data.copy()
    assert (painted[LINE] == 2).all()
    qtbot.waitUntil(lambda: (stored(disk, image)[1] == CORRECTED).any(), timeout=1000)
    classes, state = stored(disk, image)
    decided = state == CORRECTED  # all that the stroke went over, not only what it changed
    assert decided[LINE].all()
    assert decided[painted != proposal].all()
    assert (classes[decided] == 2).all()
    assert not decided[:34].any()
    assert not decided[47:].any()
    press(viewer, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(layer.data, proposal)
    qtbot.waitUntil(lambda: not stored(disk, image)[1].any(), timeout=1000)
    press(viewer, Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(layer.data, painted)
    qtbot.waitUntil(lambda: (stored(disk, image)[1] == CORRECTED).any(), timeout=1000)
    press(viewer, Qt.Key.Key_A)
    assert page.desk.place.image != image
    qtbot.waitUntil(lambda: (stored(disk, image)[1] > 0).all(), timeout=1000)
    classes, state = stored(disk, image)
    np.testing.assert_array_equal(classes, painted)
    assert set(np.unique(state)) == {ACCEPTED, CORRECTED}
    return image


def fine_tune_and_promote(window, ended):
    click(window.step_bar.buttons["learn"])
    page = window.page("learn")
    page.form.set(steps=20)
    click(page.start_button)
    run = ended(window, "finetune").run
    assert not page.promote_button.isEnabled()
    page.models.selectRow(0)
    click(page.promote_button)
    assert page.models.item(0, 3).text() == "● in use"
    assert Project.open(window.session.project.path).manifest.active["target_segmenter"] == run.id


def export(window, ended, image):
    """Export: what an independent reader finds is what lies in the project."""
    click(window.step_bar.buttons["export"])
    page, project = window.page("export"), window.session.project
    click(page.start_button)
    result = ended(window, "export").state.result
    assert page.result.text().count("read back and compared, identical") == len(project.images("target"))
    written = next(each for each in result["written"] if each["image"] == image)
    assert written["reviewed_fraction"] == 1
    labels = zarr.open_group(written["path"], mode="r")["labels/classes/0"]
    np.testing.assert_array_equal(labels[:], stored(project, image)[0])


@pytest.mark.timeout(600)
def test_the_whole_loop_and_back(open_window, new_project, qtbot, ended):
    viewer, window = open_window()
    path = new_project(window).path
    add_sample(window, qtbot)
    learn_and_match(window, ended)
    image = review(viewer, window, qtbot, propose(window, ended))
    fine_tune_and_promote(window, ended)
    export(window, ended, image)
    click(window.step_bar.buttons["review"])
    place, seen = window.page("review").desk.place, viewer.layers["labels"].data.copy()
    pixels = stored(window.session.project, image)
    viewer.close()
    del viewer, window
    viewer, window = open_window()
    click(next(made for made in window.welcome.findChildren(QPushButton) if made.text() == path.name))
    assert window.step_bar.current == "review"
    assert window.page("review").desk.place == place
    np.testing.assert_array_equal(viewer.layers["labels"].data, seen)
    np.testing.assert_array_equal(stored(window.session.project, image), pixels)
    done = {item.verb for item in window.session.followed.values() if item.state.status == "finished"}
    assert done - {"rank"} == {"add", "train-segmenter", "match", "propose", "finetune", "export"}
    click(window.step_bar.buttons["learn"])
    assert window.page("learn").models.item(0, 3).text() == "● in use"
    click(window.step_bar.buttons["images"])
    marks = {key: made.text()[0] for key, made in window.step_bar.buttons.items()}
    assert marks == dict.fromkeys(marks, "●") | {"images": "◉"}


def test_a_run_stopped_in_the_jobs_panel_ends_within_3_s(open_window, new_project, qtbot):
    _, window = open_window()
    new_project(window)
    add_sample(window, qtbot)
    click(window.step_bar.buttons["match"])
    page = window.page("match")
    page.training.nested["training"].set(preset="tiny", steps=5000)
    click(page.start_button)
    item = window.session.newest("train-segmenter")
    qtbot.waitUntil(lambda: "loss" in item.state.metrics, timeout=60_000)
    shown = next(made for made in window.jobs.rows() if "Stop" in made.stop.text() and made.stop.isVisible())
    asked = time.monotonic()
    click(shown.stop)
    qtbot.waitUntil(lambda: item.state.status == "cancelled", timeout=10_000)
    assert time.monotonic() - asked < 3
    assert shown.resume.isVisible()
    assert page.start_button.isEnabled()
    assert window.session.newest("match") is None
