"""What a user does to a tile with mouse and keys, and fibres to do it to."""

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

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


def disc(centre, radius):
    y, x = np.indices((96, 96))
    return np.hypot(y - centre[0], x - centre[1]) < radius


def fibre(classes, centre, radius, thickness, axon=AXON):
    classes[disc(centre, radius + thickness)] = MYELIN
    classes[disc(centre, radius)] = axon
