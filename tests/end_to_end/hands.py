"""What a user does with mouse and keys, for the tests that drive a real window."""

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

HELD, FREE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def open_dock(viewer):
    """Open the dock as Plugins > HistoBridge does."""
    return viewer.window.add_plugin_dock_widget("napari-histobridge", "HistoBridge")[1]


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def point(viewer, layer, row, column):
    """Where a pixel of a layer lies on the canvas widget."""
    world = np.array(layer.data_to_world((row, column)))
    camera, canvas = viewer.scene.camera, canvas_of(viewer)
    y, x = (world - np.array(camera.center)[-2:]) * camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def mouse(viewer, kind, position, buttons):
    """Send one mouse event; QTest moves the pointer without holding the button."""
    canvas = canvas_of(viewer)
    button = FREE if kind == QEvent.Type.MouseMove else HELD
    place = QPointF(position)
    event = QMouseEvent(kind, place, canvas.mapToGlobal(place), button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)
    QTest.qWait(12)  # vispy drops moves that follow each other within 10 ms


def stroke(viewer, layer, row, columns):
    """Draw a horizontal line with the mouse, button held, from the first to the last of two columns."""
    start, stop = columns
    mouse(viewer, QEvent.Type.MouseMove, point(viewer, layer, row, start), FREE)
    mouse(viewer, QEvent.Type.MouseButtonPress, point(viewer, layer, row, start), HELD)
    for column in np.linspace(start, stop, 5):
        mouse(viewer, QEvent.Type.MouseMove, point(viewer, layer, row, column), HELD)
    mouse(viewer, QEvent.Type.MouseButtonRelease, point(viewer, layer, row, stop), FREE)


def press(viewer, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(canvas_of(viewer), key, modifier)


def click(widget):
    """Click a button where the user would; one that is disabled or hidden fails the test."""
    assert widget.isEnabled(), f"{widget.text()} is disabled"
    assert widget.isVisible(), f"{widget.text()} is hidden"
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def stored(project, image):
    """What another reader finds on disk: classes and state of a whole image."""
    record = project.image(image)
    return project.labels(image).read(tuple(slice(0, side) for side in record.shape))
