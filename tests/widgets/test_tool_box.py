"""The tools by key and by click, with real mouse and key events on a real tile."""

import os

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from tool_hands import AXON, MYELIN, Bench, disc, fibre
from window_fakes import proposed

from histobridge.core.states import CORRECTED

needs_gl = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")


@pytest.fixture
def open_bench(make_window, sample, qtbot):
    def make():
        proposed(sample, sample.images("target"), AXON)  # so that what stays an axon is not decided yet
        viewer, window = make_window(sample, show=True)
        viewer.window._qt_window.resize(900, 560)
        window.go("review", domain="target")
        qtbot.waitExposed(viewer.window._qt_window)
        return Bench(viewer, window.page("review"))

    return make


@needs_gl
def test_every_tool_is_one_step_of_undo_by_key_over_the_place_by_click_or_by_stroke(open_bench, qtbot):
    bench = open_bench()
    scene = np.zeros((96, 96), np.uint8)
    fibre(scene, (25, 25), 9, 5, axon=0)  # an empty ring
    fibre(scene, (25, 70), 9, 5, axon=0)  # an open one
    scene[23:28, 78:] = 0
    scene[disc((70, 25), 8)] = AXON  # an axon without a sheath
    fibre(scene, (70, 70), 9, 5)
    bench.lay(scene)
    see_broken_rules(bench, qtbot)
    for use in (
        brush,
        fill,
        show_the_leak_and_close,
        grow,
        delete,
        move_outlines,
        smooth,
        confirm,
        arm_click_and_leave,
    ):
        use(bench, scene)
    scene[:] = 0
    for column in (30, 52):
        fibre(scene, (48, column), 7, 5)
    bench.lay(scene)
    for use in (cut, merge, own, choose_a_class_instead, snap, know_the_classes):
        use(bench, scene)
    paint_a_polygon(bench, qtbot)


def brush(bench, scene):
    """What a line goes over is decided, where nothing changes too."""
    edit = bench.page.desk.edit
    bench.press(Qt.Key.Key_1)
    bench.page.canvas.labels.brush_size = 4
    bench.drag((70, 22), (70, 28))
    assert (edit.state[69:72, 23:28] == CORRECTED).all()
    bench.undo()
    assert not edit.state[70, 25]
    bench.press(Qt.Key.Key_W)
    bench.drag((70, 25), (70, 45))
    assert (edit.state[disc((70, 25), 8)] == CORRECTED).any()
    bench.undo()
    bench.press(Qt.Key.Key_Escape)
    assert not edit.state[70, 25]
    np.testing.assert_array_equal(bench.shown, scene)


def see_broken_rules(bench, qtbot):
    """They are ringed and counted while one works; a key goes there."""
    rules = bench.page.rules
    qtbot.waitUntil(lambda: "axon without a sheath" in rules.says.text())
    marks = bench.viewer.layers["to check"]
    away = np.hypot(*(marks.data - (70, 25)).T)
    assert away.min() < 8
    np.testing.assert_allclose(marks.scale, bench.page.canvas.labels.scale)
    count = len(marks.data)
    before = bench.viewer.scene.camera.center
    bench.press(Qt.Key.Key_Period)
    assert bench.viewer.scene.camera.center != before
    bench.hover((70, 25))
    bench.press(Qt.Key.Key_S)
    qtbot.waitUntil(lambda: "axon without a sheath" not in rules.says.text())
    assert len(bench.viewer.layers["to check"].data) == count - 1
    bench.undo()
    QTest.mouseClick(rules.on, Qt.MouseButton.LeftButton, pos=QPoint(8, rules.on.height() // 2))
    assert "to check" not in bench.viewer.layers
    assert not rules.says.text() or rules.says.isHidden()


def fill(bench, scene):
    bench.hover((25, 25))
    bench.press(Qt.Key.Key_F)
    assert bench.shown[25, 25] == AXON
    assert bench.page.chip.text() == "corrected"
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def show_the_leak_and_close(bench, scene):
    bench.hover((25, 70))
    bench.press(Qt.Key.Key_F)
    assert "gap" in bench.page.tools.trouble.text()
    assert bench.viewer.layers["preview"].data.any()
    np.testing.assert_array_equal(bench.shown, scene)
    bench.press(Qt.Key.Key_R)
    assert (bench.shown[23:28, 79:83] == MYELIN).any()
    assert "preview" not in bench.viewer.layers
    bench.undo()


def grow(bench, scene):
    bench.hover((70, 25))
    bench.press(Qt.Key.Key_S)
    assert (bench.shown[disc((70, 25), 11) & ~disc((70, 25), 9)] == MYELIN).mean() > 0.9
    bench.undo()


def delete(bench, scene):
    bench.hover((70, 70))
    bench.press(Qt.Key.Key_D)
    assert not bench.shown[disc((70, 70), 14)].any()
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def move_outlines(bench, scene):
    """Each of them is one step of undo; the fibre of (70, 70) has an axon of 9 px and a sheath of 5."""
    fibre_there, axon_there = disc((70, 70), 14), disc((70, 70), 9)
    changed = {
        Qt.Key.Key_Comma: axon_there,
        Qt.Key.Key_Slash: fibre_there & ~axon_there,
        Qt.Key.Key_Semicolon: fibre_there,
        Qt.Key.Key_Apostrophe: ~fibre_there,
    }
    bench.hover((70, 70))
    for key, where in changed.items():
        bench.press(key)
        differ = bench.shown != scene
        assert 40 < differ.sum() < 110, key
        assert where[differ].all(), key
        bench.undo()
        np.testing.assert_array_equal(bench.shown, scene)
    bench.press(Qt.Key.Key_Equal)  # the picture has no fibre there: an edge is found, or it is said that none is
    assert (bench.shown != scene).any() != ("Nothing was changed" in bench.page.tools.trouble.text())
    if (bench.shown != scene).any():
        bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def smooth(bench, scene):
    bench.page.canvas.painted()[83:86, 69:72] = MYELIN  # a tooth at the fibre
    bench.page.desk.commit()
    rough = bench.shown
    bench.hover((70, 70))
    bench.press(Qt.Key.Key_K)
    assert not bench.shown[85, 69:72].any()
    bench.undo()
    np.testing.assert_array_equal(bench.shown, rough)
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def confirm(bench, scene):
    bench.press(Qt.Key.Key_Y)
    assert "accepted" in bench.page.tools.says.text()
    bench.press(Qt.Key.Key_Y)
    assert "decided already" in bench.page.tools.trouble.text()
    bench.undo()
    bench.press(Qt.Key.Key_Y)
    assert "accepted" in bench.page.tools.says.text(), "one undo had taken it back"


def arm_click_and_leave(bench, scene):
    """The mouse is over the dock: a key arms the tool, a click uses it, Esc leaves it."""
    tools = bench.page.tools
    bench.away()
    bench.press(Qt.Key.Key_D)
    assert tools.buttons["delete"].isChecked()
    assert "Click the fibre" in tools.says.text()
    bench.click((70, 70))
    assert not bench.shown[disc((70, 70), 14)].any()
    bench.click((50, 50))
    assert "no object" in tools.trouble.text()
    bench.press(Qt.Key.Key_Escape)
    assert not tools.buttons["delete"].isChecked()
    assert bench.page.canvas.labels.mode == "paint"
    bench.click((50, 50))
    assert bench.shown[50, 50] == AXON  # the brush again


def cut(bench, scene):
    QTest.mouseClick(bench.page.tools.buttons["cut"], Qt.MouseButton.LeftButton)
    bench.drag((30, 41), (66, 41))
    assert (bench.shown[:, 41] == 0).all()
    assert (bench.shown != scene).sum() < 60
    assert "preview" not in bench.viewer.layers
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def merge(bench, scene):
    bench.press(Qt.Key.Key_M)
    bench.click((48, 30))
    assert "second" in bench.page.tools.says.text()
    bench.click((48, 52))
    assert bench.page.tools.trouble.isHidden(), bench.page.tools.trouble.text()
    assert (bench.shown != scene).any()
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def own(bench, scene):
    bench.press(Qt.Key.Key_O)
    bench.click((48, 30))
    bench.click((48, 45))
    assert bench.page.tools.trouble.isHidden(), bench.page.tools.trouble.text()
    assert bench.page.desk.edit.owners
    bench.undo()
    assert not bench.page.desk.edit.owners


def choose_a_class_instead(bench, scene):
    bench.press(Qt.Key.Key_2)
    assert not any(made.isChecked() for made in bench.page.tools.buttons.values())
    assert bench.page.canvas.labels.mode == "paint"


def snap(bench, scene):
    bench.press(Qt.Key.Key_W)
    bench.drag((10, 10), (10, 60))
    assert bench.page.tools.trouble.isHidden(), bench.page.tools.trouble.text()
    assert (bench.shown[:20] == MYELIN).any()
    bench.undo()
    np.testing.assert_array_equal(bench.shown, scene)


def know_the_classes(bench, scene):
    """Without a class inside another, tools that need one are not offered, and their keys do nothing."""
    tools = bench.page.tools
    tools.refresh(nested=False, enabled=True)
    assert tools.buttons["fill"].isHidden()
    assert not tools.buttons["delete"].isHidden()
    before = bench.shown
    bench.hover((48, 30))
    bench.press(Qt.Key.Key_F)
    np.testing.assert_array_equal(bench.shown, before)


def paint_a_polygon(bench, qtbot):
    """With napari's own tool, by clicks and Enter: one step of undo."""
    before, page = bench.shown, bench.page
    bench.press(Qt.Key.Key_Escape)
    page.canvas.labels.mode = "polygon"
    for corner in ((5, 5), (5, 40), (20, 40), (20, 5)):
        bench.click(corner)
    bench.press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: (page.desk.edit.classes != before).any())
    assert (bench.shown[8:18, 8:38] == MYELIN).all()
    bench.undo()
    np.testing.assert_array_equal(bench.shown, before)
    page.canvas.labels.mode = "paint"
