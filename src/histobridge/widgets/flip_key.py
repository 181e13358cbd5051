"""Tab flips what lies over the open tile, whichever page is open and whoever has the focus."""

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QAbstractButton, QApplication, QMainWindow, QShortcut, QWidget

from histobridge.layers import Canvas
from histobridge.widgets.key_table import KeyTable, sequences


class FlipKey(QObject):
    """Qt moves the focus with Tab before any layer hears of the key, so it is a shortcut of the window, while needed.

    Parameters
    ----------
    dock : QWidget
    canvas : Canvas
    table : KeyTable
    """

    def __init__(self, dock: QWidget, canvas: Canvas, table: KeyTable):
        super().__init__(dock)
        self._dock, self._canvas, self._table = dock, canvas, table
        self._shortcut: QShortcut | None = None
        canvas.flip.watchers.append(self._follow)

    def _follow(self) -> None:
        window = main_window(self._dock)
        if self._shortcut is None and self._canvas.flip.on and window is not None:
            self._shortcut = QShortcut(window)
            for signal in (self._shortcut.activated, self._shortcut.activatedAmbiguously):
                signal.connect(self._pressed)
        if self._shortcut is not None:
            self._shortcut.setKeys(sequences(self._table.key("flip")))
            self._shortcut.setEnabled(self._canvas.flip.on)

    def _pressed(self) -> None:
        """Flip; where Tab has a meaning of its own, as between fields, it keeps that."""
        window, focused = main_window(self._dock), QApplication.focusWidget()
        middle = window.centralWidget() if window is not None else None
        on_canvas = focused is None or (middle is not None and middle.isAncestorOf(focused))
        if self._canvas.flip.on and (on_canvas or isinstance(focused, QAbstractButton)):
            self._canvas.flip.flip()
        else:
            self._dock.focusNextChild()


def main_window(widget: QWidget | None) -> QMainWindow | None:
    """Window of napari that a widget belongs to, also while its dock floats."""
    while widget is not None and not isinstance(widget, QMainWindow):
        widget = widget.parentWidget()
    return widget
