"""The keys on one sheet beside the work; a click on a key changes it."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from histobridge.widgets.key_table import CLASS_KEYS, KEYS, Key, KeyTable, pressed_key, shown
from histobridge.widgets.page import ERROR_STYLE, Note, button, heading, row

COLUMNS = (("Tile", "Paint"), ("Tools", "Outlines"), ("Look",))
OF_NAPARI = (("P", "brush"), ("right-drag", "encircle and fill"), ("wheel", "zoom"))
"""What napari itself does on the labels layer, worth knowing here."""
KEY_STYLE = (
    "QPushButton { border: 1px solid #8a8f96; border-radius: 3px; padding: 1px 6px; }"
    "QPushButton:checked { border: 2px solid #3b9ae8; padding: 0px 5px; }"
)


class CheatSheet(QDialog):
    """Not modal; the same table that the keys come from.

    Parameters
    ----------
    table : KeyTable
    changed : callable
        Called when a key was changed.
    parent : QWidget
        Window of napari, which gives the theme.
    """

    # Qt sends the first events before the constructor is through.
    _waiting = ""

    def __init__(self, table: KeyTable, changed: Callable[[], object], parent: QWidget):
        super().__init__(parent)
        self.setWindowTitle("Keys in Review")
        self.setModal(False)
        self._table, self._changed = table, changed
        self.buttons: dict[str, QPushButton] = {}
        self.trouble = Note(style=ERROR_STYLE)
        self.hint = QLabel(
            "Click a key to change it. ? or Esc closes this sheet. Enter presses a button that is framed."
        )
        self.reset_button = button("All keys as at first", self._reset)
        columns = QHBoxLayout()
        columns.setSpacing(18)
        for groups in COLUMNS:
            column = QVBoxLayout()
            for group in groups:
                column.addWidget(heading(group))
                column.addLayout(self._lines(group))
            column.addStretch(1)
            columns.addLayout(column)
        layout = QVBoxLayout(self)
        layout.addLayout(columns)
        for widget in (self.trouble, self.hint, row(self.reset_button)):
            layout.addWidget(widget)
        self._write()

    def _lines(self, group: str) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        fixed = [(f"{CLASS_KEYS[0]} … {CLASS_KEYS[-1]}", "a class"), *OF_NAPARI] if group == "Paint" else []
        fixed += [("Esc", "leave the tool")] if group == "Tools" else []
        for text, meaning in fixed:
            line = grid.rowCount()
            grid.addWidget(QLabel(text), line, 0, Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(QLabel(meaning), line, 1)
        for key in (each for each in KEYS if each.group == group):
            line = grid.rowCount()
            grid.addWidget(self._key_button(key), line, 0)
            grid.addWidget(QLabel(key.words), line, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _key_button(self, key: Key) -> QPushButton:
        made = QPushButton()
        made.setCheckable(True)
        made.setAutoDefault(False)
        made.setStyleSheet(KEY_STYLE)
        made.setToolTip("Click, then press another key")
        made.clicked.connect(lambda _=False, action=key.action: self._ask(action))
        made.installEventFilter(self)
        self.buttons[key.action] = made
        return made

    # -- show ------------------------------------------------------------------------------------------------------

    def open_beside(self, widget: QWidget) -> None:
        """Show the sheet in the middle of the window, over the canvas rather than over the dock."""
        self._ask("")
        self.adjustSize()
        window = widget.window()
        room = max(0, window.width() - widget.width() - self.width())
        corner = window.mapToGlobal(window.rect().topLeft())
        self.move(corner.x() + room // 2, corner.y() + max(0, (window.height() - self.height()) // 2))
        self.show()
        self.raise_()
        self.activateWindow()

    def _write(self) -> None:
        for action, made in self.buttons.items():
            made.setText("press…" if action == self._waiting else shown(self._table.key(action)))
            made.setMinimumWidth(made.fontMetrics().horizontalAdvance(made.text()) + 24)
            made.setChecked(action == self._waiting)
        self.reset_button.setEnabled(self._table.changed)

    # -- change ----------------------------------------------------------------------------------------------------

    def _ask(self, action: str) -> None:
        """Wait for another key for an action; for none, stop waiting."""
        self._waiting = "" if action == self._waiting else action
        self.trouble.say("")
        self._write()

    def _reset(self) -> None:
        self._waiting = ""
        self._table.reset()
        self.trouble.say("")
        self._write()
        self._changed()

    def eventFilter(self, watched: object, event: QEvent | None) -> bool:
        """Hear every key while one is waited for, also Tab and Space, which Qt would take."""
        heard = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
        return bool(self._waiting and heard and self._take(event))

    def event(self, event: QEvent | None) -> bool:
        """The same when the sheet itself has the focus."""
        if self._waiting and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._take(event)
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Close on ? and Esc."""
        if event is not None and pressed_key(event) in (self._table.key("sheet"), "Escape"):
            self.close()
        else:
            super().keyPressEvent(event)

    def _take(self, event: QKeyEvent) -> bool:
        key = pressed_key(event)
        if not key:
            return True
        if key == "Escape":
            self._ask("")
            return True
        why_not = self._table.change(self._waiting, key)
        if not why_not:
            self._waiting = ""
        self._write()
        self.trouble.say(why_not)
        if not why_not:
            self._changed()
        return True
