"""Puts the keys of the Review page to work: on our labels layer, on the dock's buttons, in the whole window."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QShortcut,
    QTextEdit,
    QWidget,
)

from histobridge.layers import Canvas
from histobridge.widgets.cheat_sheet import CheatSheet
from histobridge.widgets.flip_key import main_window
from histobridge.widgets.key_table import BY_ACTION, CLASS_KEYS, KeyTable, pressed_key, sequences, shown

Press = Callable[[], object]
Hold = Callable[[bool], object]
TOLD = {
    "accept": "accept",
    "erase": "hold to erase",
    "pan": "hold to move",
    "hide": "hold to hide",
    "sheet": "all keys",
}
"""What the status bar names."""
TEXT_FIELDS = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)


class ReviewKeys(QObject):
    """One table, three ears.

    The labels layer has the keys as its own, so that napari keeps its keys on all others. While something of ours in
    the dock has the focus, the keys are taken before it sees them; a text field keeps its letters. What Qt itself would
    take is a shortcut of the window.

    Parameters
    ----------
    page : QWidget
        The keys work from the dock while it is shown.
    canvas : Canvas
    table : KeyTable
    presses, holds : dict
        What the actions of the table do, and ``leave`` what Esc does; a hold is told whether it begins.
    choose_class : callable
        Told the number key that was pressed.
    """

    def __init__(
        self,
        page: QWidget,
        canvas: Canvas,
        table: KeyTable,
        presses: Mapping[str, Press],
        holds: Mapping[str, Hold],
        choose_class: Callable[[int], object],
    ):
        super().__init__(page)
        self._page, self._canvas, self.table = page, canvas, table
        self._presses, self._holds = dict(presses), dict(holds)
        self._choose_class = choose_class
        self._held: dict[str, Hold] = {}
        self._named: list[tuple[QPushButton, str, str]] = []
        self._heard: QWidget | None = None
        self._shortcut: QShortcut | None = None
        self.sheet: CheatSheet | None = None
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_moved)

    # -- the layer -------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Give the labels layer its keys, write them on the buttons, and hear `?` in the whole window."""
        self._canvas.bind(self.pressed_by_key(), self.held_by_key())
        if self._canvas.labels is not None:
            self._canvas.labels.events.mode.connect(self._tell, position="last")
            self._tell()
        for button, pattern, action in self._named:
            button.setText(pattern.format(shown(self.table.key(action))))
        self._canvas.flip.tell()
        window = main_window(self._page)
        if self._shortcut is None and window is not None:
            self._shortcut = QShortcut(window)
            for signal in (self._shortcut.activated, self._shortcut.activatedAmbiguously):
                signal.connect(self.toggle_sheet)
        if self._shortcut is not None:
            self._shortcut.setKeys(sequences(self.table.key("sheet")))

    def _tell(self, _: object = None) -> None:
        """Name our keys in the status bar, where napari names its own after every change of the mode."""
        if self._canvas.labels is not None:
            told = (f"<{shown(self.table.key(action))}> {words}" for action, words in TOLD.items())
            self._canvas.pointer.tell(self._canvas.labels, ", ".join(told))

    def pressed_by_key(self) -> dict[str, Press]:
        """What each key does when pressed."""
        presses = {self.table.key(action): press for action, press in self._presses.items() if action in BY_ACTION}
        for number in CLASS_KEYS:
            presses[number] = lambda number=number: self._choose_class(int(number))
        presses["Escape"] = self._presses["leave"]
        return presses

    def held_by_key(self) -> dict[str, Hold]:
        """What each key does while it is held."""
        return {self.table.key(action): hold for action, hold in self._holds.items()}

    def name(self, button: QPushButton, pattern: str, action: str) -> None:
        """Write the key of an action on a button, for the braces of a pattern, also when it changes."""
        self._named.append((button, pattern, action))
        button.setText(pattern.format(shown(self.table.key(action))))

    # -- the dock --------------------------------------------------------------------------------------------------

    def _focus_moved(self, _: QWidget | None, new: QWidget | None) -> None:
        for hold in self._held.values():
            hold(False)
        self._held = {}
        if self._heard is not None:
            self._heard.removeEventFilter(self)
            self._heard = None
        if new is not None and self._listens_at(new):
            new.installEventFilter(self)
            self._heard = new

    def _listens_at(self, widget: QWidget) -> bool:
        """Whether the keys are ours there: in our docks, but in no text field, no dialog and no open list."""
        if isinstance(widget, TEXT_FIELDS) or (isinstance(widget, QComboBox) and widget.isEditable()):
            return False
        if main_window(widget) is not main_window(self._page) or isinstance(widget.window(), QDialog):
            return False
        if widget.window().windowType() == Qt.WindowType.Popup:
            return False
        above: QWidget | None = widget
        while above is not None and not type(above).__module__.startswith("histobridge."):
            above = above.parentWidget()
        return above is not None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take the keys of the table from what has the focus in the dock."""
        kinds = (QEvent.Type.KeyPress, QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride)
        if not isinstance(event, QKeyEvent) or event.type() not in kinds:
            return False
        key = pressed_key(event)
        if event.type() == QEvent.Type.KeyRelease:
            return self._released(key, event)
        if not self._page.isVisible() or not self._canvas.has_labels:
            return False
        press, hold = self.pressed_by_key().get(key), self.held_by_key().get(key)
        if press is None and key == "Enter" and isinstance(watched, QAbstractButton):
            press = watched.click  # as Space moves the picture
        if press is None and hold is None:
            return False
        event.accept()
        if event.type() == QEvent.Type.KeyPress and not event.isAutoRepeat():
            if press is not None:
                press()
            elif hold is not None:
                self._held[key] = hold
                hold(True)
        return True

    def _released(self, key: str, event: QKeyEvent) -> bool:
        if key not in self._held:
            return False
        if not event.isAutoRepeat():
            self._held.pop(key)(False)
        return True

    # -- the sheet -------------------------------------------------------------------------------------------------

    def toggle_sheet(self) -> None:
        """Show the cheat sheet, or close it."""
        if self.sheet is None:
            self.sheet = CheatSheet(self.table, self.bind, main_window(self._page) or self._page)
        if self.sheet.isVisible():
            self.sheet.close()
        elif self._page.isVisible():
            self.sheet.open_beside(self._page)
