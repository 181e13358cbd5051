"""The scale of single target images: from the matching, unless the user sets it."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush, QPalette
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.widgets.session import Session

COLUMNS = ("Image", "Zoom", "Set by")
ZOOM = 1
TIP = "Working pixels per pixel of the image: double it where objects come out half as large; empty: from the matching"


class ScaleTable(QTableWidget):
    """One row a target image; the zoom can be edited in place."""

    def __init__(self, session: Session):
        super().__init__(0, len(COLUMNS))
        self._session = session
        self._working_um: float | None = None
        self.setHorizontalHeaderLabels(list(COLUMNS))
        self.verticalHeader().hide()
        self.setFixedHeight(150)
        self.setToolTip(TIP)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.itemChanged.connect(self._edited)

    def refresh(self, project: Project, working_um: float | None) -> None:
        """Show the images at a scale of the target in µm per working pixel, none if it is not matched yet."""
        self._working_um = working_um
        records = project.images("target")
        self.blockSignals(True)
        self.setRowCount(len(records))
        for index, record in enumerate(records):
            self._fill(index, record)
        self.blockSignals(False)

    def _fill(self, index: int, record: ImageRecord) -> None:
        zoom, by = record.zoom_override, "you"
        if zoom is None:
            by = "matching"
            if record.pixel_size_um is not None and self._working_um is not None:
                zoom = record.pixel_size_um / self._working_um
        for column, text in enumerate((record.id, "" if zoom is None else f"{zoom:.4g}", by)):
            item = QTableWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, record.id)
            if column != ZOOM or not self._session.editable:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            if by == "matching" and column:
                item.setForeground(QBrush(self.palette().color(QPalette.ColorRole.PlaceholderText)))
            self.setItem(index, column, item)

    def _edited(self, item: QTableWidgetItem) -> None:
        image_id, text = item.data(Qt.ItemDataRole.UserRole), item.text().strip().replace(",", ".")
        self._session.edit(lambda project: project.update_image(image_id, zoom_override=text or None))
        if self._session.project is not None:
            self.refresh(self._session.project, self._working_um)
