"""One button a class: number key, colour, name."""

from collections.abc import Callable, Sequence

from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from histobridge.core.manifest import IGNORE, ClassSpec
from histobridge.layers import IGNORED_COLOR
from histobridge.widgets.page import CHOSEN_STYLE

COLUMNS = 3


class ClassButtons(QWidget):
    """Choose what the brush paints."""

    def __init__(self, choose: Callable[[int], object]):
        super().__init__()
        self._choose = choose
        self._shown: tuple[ClassSpec, ...] = ()
        self.buttons: dict[int, QPushButton] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)

    def refresh(self, classes: Sequence[ClassSpec]) -> None:
        """Show these classes, background and ignore."""
        if self._shown == tuple(classes):
            return
        self._shown = tuple(classes)
        for gone in self.buttons.values():
            self._grid.removeWidget(gone)
            gone.deleteLater()
        self.buttons = {}
        entries = [(spec.value, f"{number} {spec.name}", spec.color) for number, spec in enumerate(classes, start=1)]
        entries += [(0, "background", "#000000"), (IGNORE, "I ignore", IGNORED_COLOR)]
        for index, (value, text, color) in enumerate(entries):
            swatch = QPixmap(14, 14)
            swatch.fill(QColor(color))
            made = QPushButton(QIcon(swatch), text)
            made.setCheckable(True)
            made.setStyleSheet(CHOSEN_STYLE)
            made.setToolTip("Paint this; also by its key")
            made.clicked.connect(lambda _=False, value=value: self._choose(value))
            self._grid.addWidget(made, index // COLUMNS, index % COLUMNS)
            self.buttons[value] = made

    def mark(self, value: int) -> None:
        """Show which class the brush paints."""
        for each, made in self.buttons.items():
            made.setChecked(each == value)
