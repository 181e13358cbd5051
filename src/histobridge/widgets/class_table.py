"""The class table: name, value in the files, colour, and what lies inside what."""

from typing import Any

from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from histobridge.core.manifest import ClassSpec
from histobridge.core.project import Project
from histobridge.widgets.page import button, row
from histobridge.widgets.session import Session

COLUMNS = {"name": "Class", "value": "Value", "color": "Colour", "inside": "Inside"}
NEXT_COLORS = ("#E69F00", "#CC79A7", "#009E73", "#D55E00", "#0072B2", "#FFFFFF")


class ClassTable(QWidget):
    """Edit the classes in place; what is not allowed is told and taken back."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(list(COLUMNS.values()))
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.verticalHeader().hide()
        self.table.setToolTip("Double-click to change; colours open a colour chooser")
        self.table.itemChanged.connect(self._edited)
        self.table.cellDoubleClicked.connect(self._choose_color)
        self.add = button("Add class", self._add, "One more class, with the next free value")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(row(self.add))

    def refresh(self, project: Project) -> None:
        """Show the classes of the project."""
        self.table.blockSignals(True)
        self.table.setRowCount(len(project.classes))
        for index, spec in enumerate(project.classes):
            for column, name in enumerate(COLUMNS):
                item = QTableWidgetItem(str(getattr(spec, name)))
                if name == "color":
                    color = QColor(spec.color)
                    item.setBackground(color)
                    item.setForeground(QColor("black" if color.lightness() > 110 else "white"))
                self.table.setItem(index, column, item)
        self.table.blockSignals(False)
        rows = sum(self.table.rowHeight(index) for index in range(len(project.classes)))
        self.table.setFixedHeight(self.table.horizontalHeader().sizeHint().height() + min(rows, 200) + 4)
        self.setEnabled(self._session.editable)

    def _edited(self, item: QTableWidgetItem) -> None:
        self._change(item.row(), list(COLUMNS)[item.column()], item.text().strip())

    def _choose_color(self, index: int, column: int) -> None:
        if list(COLUMNS)[column] != "color":
            return
        self.table.closePersistentEditor(self.table.item(index, column))
        chosen = QColorDialog.getColor(QColor(self.table.item(index, column).text()), self, "Colour of the class")
        if chosen.isValid():
            self._change(index, "color", chosen.name())

    def _change(self, index: int, name: str, value: str) -> None:
        project = self._session.project
        if project is None:
            return
        values: list[dict[str, Any]] = [spec.model_dump() for spec in project.classes]
        before, values[index][name] = values[index][name], value
        if name == "name":
            for other in values:
                other["inside"] = value if other["inside"] == before else other["inside"]
        self._session.edit(lambda opened: opened.set_classes([ClassSpec.model_validate(each) for each in values]))
        self.refresh(project)

    def _add(self) -> None:
        project = self._session.project
        if project is None:
            return
        taken = {spec.value for spec in project.classes}
        value = next(number for number in range(1, 255) if number not in taken)
        color = NEXT_COLORS[len(taken) % len(NEXT_COLORS)]
        fresh = ClassSpec(name=f"class {value}", value=value, color=color)
        self._session.edit(lambda opened: opened.set_classes([*project.classes, fresh]))
        self.refresh(project)
