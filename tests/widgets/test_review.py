"""Review with real mouse strokes and real keys in a real viewer."""

import os

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from histobridge.core.project import Project
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED

needs_gl = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")
pytestmark = needs_gl


@pytest.fixture
def open_review(make_window, sample, qtbot):
    """Put the first target tile on the canvas; a viewer kept by a fixture would count as leaked."""

    def make():
        viewer, window = make_window(sample, show=True)
        viewer.window._qt_window.resize(1400, 900)
        window.go("review", domain="target")
        qtbot.waitExposed(viewer.window._qt_window)
        return viewer, window, window.page("review")

    return make


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def point(viewer, row, column):
    """Where a pixel of the labels layer lies on the canvas widget."""
    layer = next(layer for layer in viewer.layers if layer.name.startswith("labels"))
    world = np.array(layer.data_to_world((row, column)))
    camera = viewer.scene.camera
    canvas = canvas_of(viewer)
    y, x = (world - np.array(camera.center)[-2:]) * camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def mouse(viewer, kind, position, buttons):
    """Send one mouse event; QTest moves the pointer without holding the button."""
    canvas, left = canvas_of(viewer), Qt.MouseButton.LeftButton
    button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else left
    place = QPointF(position)
    event = QMouseEvent(kind, place, canvas.mapToGlobal(place), button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)
    QTest.qWait(12)  # vispy drops moves that follow each other within 10 ms


def stroke(viewer, row, start, stop):
    """Draw a horizontal line with the mouse, button held."""
    held, free = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    mouse(viewer, QEvent.Type.MouseMove, point(viewer, row, start), free)
    mouse(viewer, QEvent.Type.MouseButtonPress, point(viewer, row, start), held)
    for column in np.linspace(start, stop, 5):
        mouse(viewer, QEvent.Type.MouseMove, point(viewer, row, column), held)
    mouse(viewer, QEvent.Type.MouseButtonRelease, point(viewer, row, stop), free)


def press(viewer, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(canvas_of(viewer), key, modifier)


def stored(window, image):
    """What another reader finds on disk."""
    window.page("review").desk.flush()
    project = Project.open(window.session.project.path)
    record = project.image(image)
    return project.labels(image).read(tuple(slice(0, side) for side in record.shape))


def first_target(window):
    return window.session.project.images("target")[0].id


def test_a_stroke_is_on_disk_within_a_second(open_review, qtbot, sample):
    viewer, window, page = open_review()
    image = first_target(window)
    press(viewer, Qt.Key.Key_2)
    stroke(viewer, 40, 30, 60)

    def on_disk():
        return sample.labels(image).read((slice(0, 96), slice(0, 96)))[0][40, 45] == 2

    qtbot.waitUntil(on_disk, timeout=1000)
    classes, state = sample.labels(image).read((slice(0, 96), slice(0, 96)))
    assert set(np.unique(classes[state == CORRECTED])) == {2}
    assert page.chip.text() == "corrected"


def test_undo_and_redo_by_key_and_button_concern_the_open_tile_alone(open_review, qtbot):
    viewer, window, page = open_review()
    image = first_target(window)
    stroke(viewer, 40, 30, 60)
    qtbot.waitUntil(page.undo_button.isEnabled)
    stroke(viewer, 70, 30, 60)
    qtbot.waitUntil(lambda: stored(window, image)[0][70, 45] == 1)
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    classes, _ = stored(window, image)
    assert (classes[40, 45], classes[70, 45]) == (1, 0)
    assert viewer.layers["labels"].data[70, 45] == 0
    page.undo_button.click()
    assert not stored(window, image)[0].any()
    page.redo_button.click()
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    classes, _ = stored(window, image)
    assert (classes[40, 45], classes[70, 45]) == (1, 1)
    second = window.session.project.images("target")[1].id
    press(viewer, Qt.Key.Key_N)
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not viewer.layers["labels"].data.any()
    assert not stored(window, second)[0].any()
    assert stored(window, image)[0][70, 45] == 1


def test_accept_marks_the_tile_and_goes_on_and_reopening_finds_it(open_review, sample):
    viewer, window, page = open_review()
    first, second = (record.id for record in window.session.project.images("target"))
    stroke(viewer, 40, 30, 60)
    press(viewer, Qt.Key.Key_A)
    assert page.desk.place.image == second
    classes, state = stored(window, first)
    assert classes[40, 45] == 1
    assert state[40, 45] == CORRECTED
    assert (state[0] == ACCEPTED).all()
    press(viewer, Qt.Key.Key_B)
    assert page.chip.text() == "accepted"
    assert "100% of this image reviewed" in page.where.text()
    assert viewer.layers["labels"].data[40, 45] == 1
    page.next_button.click()
    stroke(viewer, 40, 30, 60)
    place = page.desk.place
    window.session.close_project()
    assert len(viewer.layers) == 0
    window.open_project(sample.path)
    assert window.step_bar.current == "review"
    assert page.desk.place == place
    assert viewer.layers["labels"].data[40, 45] == 1
    page.skip_button.click()
    assert "last tile" in page.where.text()
    assert page.chip.text() == "skipped"


def test_keys_work_on_the_canvas_and_from_a_button_but_a_text_field_keeps_its_letters(open_review):
    viewer, window, page = open_review()
    brush_erase_and_hide_by_key(viewer)
    page.undo_button.setEnabled(True)
    page.next_button.setFocus()
    QTest.keyClick(page.next_button, Qt.Key.Key_2)
    assert viewer.layers["labels"].selected_label == 2
    QTest.keyClick(page.next_button, Qt.Key.Key_N)
    assert page.desk.place.image == window.session.project.images("target")[1].id
    before = page.desk.place
    window.go("export")
    line = window.page("export").form.editors["out"].line
    line.clear()
    QTest.keyClicks(line, "banana")
    assert line.text() == "banana"
    assert page.desk.place == before


def brush_erase_and_hide_by_key(viewer):
    layer = viewer.layers["labels"]
    before = layer.brush_size
    press(viewer, Qt.Key.Key_BracketRight)
    assert layer.brush_size > before
    press(viewer, Qt.Key.Key_BracketLeft)
    assert layer.brush_size == before
    QTest.keyPress(canvas_of(viewer), Qt.Key.Key_E)
    assert layer.mode == "erase"
    QTest.keyRelease(canvas_of(viewer), Qt.Key.Key_E)
    assert layer.mode == "paint"
    QTest.keyPress(canvas_of(viewer), Qt.Key.Key_H)
    assert not layer.visible
    QTest.keyRelease(canvas_of(viewer), Qt.Key.Key_H)
    assert layer.visible


def test_painting_and_filling_are_saved_and_a_value_that_is_no_class_is_taken_back(open_review, qtbot):
    viewer, window, page = open_review()
    viewer.layers["labels"].selected_label = 77
    stroke(viewer, 40, 30, 60)
    qtbot.waitUntil(lambda: "77 is not a class" in page.trouble.text())
    assert not viewer.layers["labels"].data.any()
    assert not stored(window, first_target(window))[0].any()
    press(viewer, Qt.Key.Key_I)
    stroke(viewer, 40, 30, 60)
    qtbot.waitUntil(lambda: stored(window, first_target(window))[1][40, 45] == IGNORED)
    assert viewer.layers["labels"].data[40, 45] == 255
    viewer.layers["labels"].fill((5, 5), 2)
    qtbot.waitUntil(lambda: stored(window, first_target(window))[0][5, 5] == 2)
    page.domains["source"].click()
    image = window.session.project.images("source")[0].id
    before, state = stored(window, image)
    assert (state == ACCEPTED).all()
    np.testing.assert_array_equal(viewer.layers["labels"].data, before)
    viewer.layers["labels"].fill((0, 0), 2)
    qtbot.waitUntil(lambda: stored(window, image)[0][0, 0] == 2)


def test_a_stroke_just_before_the_window_closes_is_kept(open_review, sample):
    viewer, window, _ = open_review()
    image = first_target(window)
    stroke(viewer, 40, 30, 60)
    viewer.close()
    assert sample.labels(image).read((slice(0, 96), slice(0, 96)))[0][40, 45] == 1


def test_proposals_are_shown_and_merged_until_the_user_decides(make_window, sample, qtbot):
    import zarr
    from window_fakes import say

    from histobridge.core.config import ProposeConfig
    from histobridge.core.files import write_json

    image = sample.images("target")[0].id
    run = sample.create_run("propose", ProposeConfig())
    folder = run.path / "proposals" / image
    for name, value in (("classes", 2), ("confidence", 200)):
        zarr.save_array(folder / name, np.full((96, 96), value, np.uint8))
    write_json(folder / "proposal.json", {"fractions": {"2": 1.0}, "confidence": 0.8})
    say(run, "finished", result={"images": [image], "route": "tutorship", "translator": "instant"})
    viewer, window = make_window(sample, show=True)
    window.go("labels")
    assert "mean confidence 0.80" in window.page("labels").result.text()
    window.page("labels").show_button.click()
    page = window.page("review")
    assert page.chip.text() == "proposed"
    assert (viewer.layers["labels"].data == 2).all()
    page.accept_button.click()
    classes, state = stored(window, image)
    assert (classes == 2).all()
    assert (state == ACCEPTED).all()


def test_a_read_only_project_can_be_looked_at_but_not_painted(make_window, sample):
    from histobridge.core.lock import LockHolder

    lock = sample.path / "edit.lock"
    holder = LockHolder(user="ada", host="elsewhere", pid=1, pid_started=0, since=0, program="napari window")
    lock.write_text(holder.model_dump_json())
    viewer, window = make_window(sample, show=True)
    window.go("review", domain="target")
    page = window.page("review")
    assert "ada on elsewhere" in window.project_bar.read_only.text()
    assert not viewer.layers["labels"].editable
    assert not page.accept_button.isEnabled()
    page.next_button.click()
    assert not viewer.layers["labels"].editable
