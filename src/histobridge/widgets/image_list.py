"""The list of the images of one domain: thumbnail, size, pixel size, subject; takes dropped files."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QDragEnterEvent, QDragMoveEvent, QDropEvent, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from histobridge.core.config import Domain
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.widgets.pictures import pixmap
from histobridge.widgets.session import Session

THUMBNAIL = 40
COLUMNS = ("Image", "Size (px)", "µm/px", "Subject")
PIXEL_SIZE, SUBJECT = 2, 3
UNKNOWN = "unknown"


class ImageList(QTableWidget):
    """One row an image; pixel size and subject can be edited in place."""

    dropped = Signal(list)
    opened = Signal(str)

    def __init__(self, session: Session, domain: Domain):
        super().__init__(0, len(COLUMNS))
        self._session, self._domain = session, domain
        self._thumbnails: dict[str, QIcon] = {}
        blank = QPixmap(THUMBNAIL, THUMBNAIL)
        blank.fill(QColor("transparent"))
        self._blank = QIcon(blank)  # as large as a thumbnail, so that the list does not jump when that comes
        self.setHorizontalHeaderLabels(list(COLUMNS))
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(150)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(THUMBNAIL + 4)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setAcceptDrops(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DropOnly)
        self.cellDoubleClicked.connect(self._open)
        self.itemChanged.connect(self._edited)
        session.project_changed.connect(self._thumbnails.clear)

    def refresh(self, project: Project) -> None:
        """Show the images of the project."""
        records = project.images(self._domain)
        self.blockSignals(True)
        self.setRowCount(len(records))
        for index, record in enumerate(records):
            self._fill(index, record)
        self.blockSignals(False)
        missing = [record.id for record in records if record.id not in self._thumbnails]
        for image_id in missing:
            self._thumbnails[image_id] = self._blank
            self._session.later(
                lambda image_id=image_id: project.pixels(image_id).thumbnail(2 * THUMBNAIL),
                lambda grey, image_id=image_id: self._show_thumbnail(image_id, grey),
            )

    def _fill(self, index: int, record: ImageRecord) -> None:
        known = record.pixel_size_um is not None
        texts = (
            record.id,
            f"{record.shape[1]} × {record.shape[0]}",
            f"{record.pixel_size_um:g}" if known else UNKNOWN,
            record.subject,
        )
        tips = (
            f"{record.id}\nfrom {record.origin or 'unknown'}\ndouble-click to show it",
            record.dtype,
            f"from {record.pixel_size_from or 'the file'}; click to change"
            if known
            else "Type the size of a pixel in µm",
            "Animal or patient; click to change",
        )
        for column, (text, tip) in enumerate(zip(texts, tips, strict=True)):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            item.setData(Qt.ItemDataRole.UserRole, record.id)
            if column not in (PIXEL_SIZE, SUBJECT) or not self._session.editable:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            if column == PIXEL_SIZE and not known:
                item.setBackground(QBrush(QColor("#a02020")))
                item.setForeground(QBrush(QColor("white")))
            self.setItem(index, column, item)
        self.item(index, 0).setIcon(self._thumbnails.get(record.id, self._blank))

    def _show_thumbnail(self, image_id: str, grey: Any) -> None:
        self._thumbnails[image_id] = QIcon(pixmap(grey))
        self.blockSignals(True)
        for index in range(self.rowCount()):
            if self.item(index, 0).data(Qt.ItemDataRole.UserRole) == image_id:
                self.item(index, 0).setIcon(self._thumbnails[image_id])
        self.blockSignals(False)

    def _edited(self, item: QTableWidgetItem) -> None:
        image_id, text = item.data(Qt.ItemDataRole.UserRole), item.text().strip().replace(",", ".")
        if item.column() == SUBJECT:
            self._session.edit(lambda project: project.update_image(image_id, subject=item.text().strip()))
        elif item.column() == PIXEL_SIZE:
            known = text not in ("", UNKNOWN)
            changes = {"pixel_size_um": text if known else None, "pixel_size_from": "user" if known else ""}
            self._session.edit(lambda project: project.update_image(image_id, **changes))
        if self._session.project is not None:
            self.refresh(self._session.project)

    def _open(self, index: int, column: int) -> None:
        if column not in (PIXEL_SIZE, SUBJECT):
            self.opened.emit(self.item(index, 0).data(Qt.ItemDataRole.UserRole))

    # -- dropped files ---------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files and folders."""
        if event is not None and event.mimeData().hasUrls() and self._session.editable:
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent | None) -> None:
        """Take files and folders anywhere on the list."""
        if event is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Tell which files were dropped."""
        if event is not None:
            self.dropped.emit([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])
            event.acceptProposedAction()
