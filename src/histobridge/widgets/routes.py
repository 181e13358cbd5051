"""The routes of a proposal: which one to take, and what spoke for each where it was chosen for the user."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QLabel, QRadioButton, QVBoxLayout, QWidget

from histobridge.core.choice import WORDS, Choice
from histobridge.widgets.models import ROUTES
from histobridge.widgets.page import Lines

SAYS = {
    "auto": "Tries both ways, judges them without labels of the target, and says why it chose which.",
    "tutorship": "Your labelled images get the look of the target; a new model learns from them.",
    "adaptation": "The target images get the look of your labelled ones; the model that knows those labels them.",
    "fused": "Tutorship and adaptation, averaged.",
    "model": "The model in use (page Learn), or the segmenter named under More, labels the images as it is.",
}
MEASURES = {
    "reverse": "Reverse test",
    "enclosure": "Closed rings",
    "size": "Object sizes",
    "g_ratio": "g-ratios",
    "consistency": "On your images",
    "total": "Together",
}
"""Short names of what is measured, as in the table."""
TIPS = WORDS | {"total": "mean of the first four; what the routes are compared by"}
COLUMNS = 2


class RouteChoice(QWidget):
    """One radio button a route, and a sentence on the chosen one."""

    changed = Signal()

    def __init__(self, route: str):
        super().__init__()
        self.radios = {name: QRadioButton(text) for name, text in ROUTES.items()}
        self.says = Lines(2)
        group, grid = QButtonGroup(self), QGridLayout()
        for index, (name, radio) in enumerate(self.radios.items()):
            group.addButton(radio)
            radio.setToolTip(f"<qt>{SAYS[name]}</qt>")
            radio.toggled.connect(lambda on: on and self._chosen())
            grid.addWidget(radio, index // COLUMNS, index % COLUMNS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.says)
        self.choose(route)

    @property
    def route(self) -> str:
        """The chosen one."""
        return next(name for name, radio in self.radios.items() if radio.isChecked())

    def choose(self, route: str) -> None:
        """Choose a route; one that is not known changes nothing."""
        if route in self.radios:
            self.radios[route].setChecked(True)

    def _chosen(self) -> None:
        self.says.say(SAYS[self.route])
        self.changed.emit()


class EvidenceTable(QWidget):
    """What spoke for each route: numbers from 0 to 1, more is better, none of them a score against labels."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self.hide()

    def show_choice(self, choice: Choice | None) -> None:
        """Show the evidence of a choice, or nothing."""
        while (item := self._grid.takeAt(0)) is not None:
            gone = item.widget()
            gone.hide()
            gone.deleteLater()
        self.setVisible(choice is not None)
        if choice is None:
            return
        self._put(0, 0, "Estimated", "From 0 to 1, more is better; found without labels of the target, so no scores")
        for column, route in enumerate(choice.evidence, start=1):
            self._put(0, column, ROUTES.get(route, route), "", bold=route == choice.chosen)
        for line, (name, text) in enumerate(MEASURES.items(), start=1):
            self._put(line, 0, text, TIPS[name])
            for column, (route, found) in enumerate(choice.evidence.items(), start=1):
                value = getattr(found, name)
                shown = "–" if value is None else f"{value:.2f}"
                self._put(line, column, shown, TIPS[name], bold=route == choice.chosen)

    def rows(self) -> list[list[str]]:
        """Return the texts of the table."""
        cells = [self._grid.itemAt(index) for index in range(self._grid.count())]
        places = {self._grid.getItemPosition(index)[:2]: cell.widget().text() for index, cell in enumerate(cells)}
        height, width = (1 + max(place[axis] for place in places) if places else 0 for axis in (0, 1))
        return [[places[line, column] for column in range(width)] for line in range(height)]

    def _put(self, line: int, column: int, text: str, tip: str, *, bold: bool = False) -> None:
        cell = QLabel(text)
        cell.setToolTip(f"<qt>{tip}</qt>" if tip else "")
        cell.setStyleSheet("font-weight: bold;" if bold else "")
        cell.setAlignment(Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(cell, line, column)
