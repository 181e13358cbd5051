"""The tools by key and by click, with real mouse and key events on a real tile."""

import os

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from window_fakes import proposed

needs_gl = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")
HELD, FREE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
AXON, MYELIN = 1, 2


class Bench:
    """A tile, and what a user does to it."""

    def __init__(self, viewer, page):
        self.viewer, self.page = viewer, page
        self.canvas = viewer.window._qt_viewer.canvas.native

    @property
    def shown(self):
        return np.array(self.page.canvas.labels.data)

    def lay(self, classes):
        """Paint a scene as one stroke."""
        self.page.canvas.replace_labels(classes)
        self.page.desk.commit()

    def point(self, at):
        world = np.array(self.page.canvas.labels.data_to_world(at))
        camera = self.viewer.scene.camera
        y, x = (world - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + x), round(self.canvas.height() / 2 + y))

    def mouse(self, kind, at, buttons):
        button = FREE if kind == QEvent.Type.MouseMove else HELD
        place = QPointF(self.point(at))
        event = QMouseEvent(
            kind, place, self.canvas.mapToGlobal(place), button, buttons, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(self.canvas, event)
        QTest.qWait(12)  # vispy drops moves that follow each other within 10 ms

    def hover(self, at):
        self.viewer.mouse_over_canvas = True
        self.mouse(QEvent.Type.MouseMove, at, FREE)

    def away(self):
        self.viewer.mouse_over_canvas = False

    def click(self, at):
        self.drag(at, at)

    def drag(self, start, stop):
        self.hover(start)
        self.mouse(QEvent.Type.MouseButtonPress, start, HELD)
        for place in np.linspace(start, stop, 4) if start != stop else ():
            self.mouse(QEvent.Type.MouseMove, place, HELD)
        self.mouse(QEvent.Type.MouseButtonRelease, stop, FREE)

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier)

    def undo(self):
        self.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


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


def disc(centre, radius):
    y, x = np.indices((96, 96))
    return np.hypot(y - centre[0], x - centre[1]) < radius


def fibre(classes, centre, radius, thickness, axon=AXON):
    classes[disc(centre, radius + thickness)] = MYELIN
    classes[disc(centre, radius)] = axon


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
    for use in (fill, show_the_leak_and_close, grow, delete, confirm, arm_click_and_leave):
        use(bench, scene)
    scene[:] = 0
    for column in (30, 52):
        fibre(scene, (48, column), 7, 5)
    bench.lay(scene)
    for use in (cut, merge, own, choose_a_class_instead, snap, know_the_classes):
        use(bench, scene)


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


def confirm(bench, scene):
    bench.press(Qt.Key.Key_Y)
    assert "accepted" in bench.page.tools.says.text()
    bench.press(Qt.Key.Key_Y)
    assert "decided already" in bench.page.tools.trouble.text()


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
