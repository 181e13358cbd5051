"""The Tiles dock: the worklist as a table with thumbnails, to sort, filter and jump."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from histobridge.core.heads import Key
from histobridge.core.worklist import WorkTile
from histobridge.widgets.desk import Place
from histobridge.widgets.page import ERROR_STYLE, Note, button, row
from histobridge.widgets.session import Session
from histobridge.widgets.thumbnails import Thumbnails
from histobridge.widgets.tile_rows import ROW, THUMBNAIL, UpperHalf, draw_reasons
from histobridge.widgets.tiles_model import COLUMNS, REASON, SCORE, STATUS, STATUSES, TILE, TIME, TilesModel, spent
from histobridge.widgets.worklist import Worklist

WIDTHS = {STATUS: 66, SCORE: 42, TIME: 40}
ALL = "all tiles"
LARGEST_FIRST = (SCORE, TIME)


class TilesTable(QTableView):
    """One row a tile; Enter or a double click opens it."""

    chosen = Signal(object)
    """The `WorkTile` to open."""

    def __init__(self, model: TilesModel):
        super().__init__()
        self._tiles = model
        self.setModel(model)
        self.setAccessibleName("Tiles")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegate(UpperHalf(self))
        self.setColumnHidden(REASON, True)  # it is written below the others
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setMinimumSectionSize(20)
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(TILE, QHeaderView.ResizeMode.Stretch)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.doubleClicked.connect(lambda index: self.chosen.emit(model.row(index.row())))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the cells, and the reasons below them."""
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        draw_reasons(self, painter, REASON)
        painter.end()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Open the row on Enter."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.currentIndex().isValid():
                self.chosen.emit(self._tiles.row(self.currentIndex().row()))
        else:
            super().keyPressEvent(event)

    def mark(self, key: Key | None) -> None:
        """Select the row of a tile and bring it into view."""
        place = self._tiles.place(key)
        if place < 0:
            self.clearSelection()
            return
        self.selectRow(place)
        self.scrollTo(self._tiles.index(place, TILE))


class TilesDock(QWidget):
    """Worklist of the tiles under review.

    Parameters
    ----------
    session : Session
    worklist : Worklist
    jump : callable
        Opens a `Place` on the canvas.
    """

    def __init__(self, session: Session, worklist: Worklist, jump: Callable[[Place], object]):
        super().__init__()
        self._session, self._worklist, self._jump = session, worklist, jump
        blank = QPixmap(THUMBNAIL, THUMBNAIL)
        blank.fill(QColor("transparent"))
        self._blank = QIcon(blank)  # as large as a thumbnail, so that nothing jumps when that comes
        self._thumbnails = Thumbnails(session, self._drawn)
        self.model = TilesModel(lambda tile: self._thumbnails.of(tile) or self._blank)
        self.table = TilesTable(self.model)
        self.table.chosen.connect(self._open)
        self.status = QComboBox()
        self.status.addItem(ALL, "")
        for name in STATUSES:
            self.status.addItem(name, name)
        self.status.setToolTip("Show only tiles that stand so")
        self.status.currentIndexChanged.connect(self._filter)
        self.order = QComboBox()
        for column, name in enumerate(("Queue", *COLUMNS), -1):
            self.order.addItem(f"by {name.lower()}", column)
        self.order.setToolTip("Sort the tiles; the same once more turns the order round")
        self.order.activated.connect(self._sort)
        self.table.horizontalHeader().sortIndicatorChanged.connect(self._sorted)
        self.text = QLineEdit()
        self.text.setPlaceholderText("Image, tile or reason")
        self.text.setClearButtonEnabled(True)
        self.text.textChanged.connect(self._filter)
        self.empty = Note()
        self.sums = Note()
        self.trouble = Note(style=ERROR_STYLE)
        self.save_button = button("Save as table…", self._ask, "What every tile has cost, as CSV")
        filters = QHBoxLayout()
        filters.addWidget(self.status)
        filters.addWidget(self.order)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(4, 4, 4, 4)
        self._layout.addLayout(filters)
        self._actions = row(self.save_button)
        for widget in (self.text, self.empty, self.table, self.sums, self.trouble, self._actions):
            self._layout.addWidget(widget)
        session.project_changed.connect(self._thumbnails.forget)
        worklist.renewed.connect(self._renew)
        worklist.changed.connect(self._change)
        worklist.opened.connect(self.table.mark)
        self._renew()

    def sizeHint(self) -> QSize:
        """Wide enough for tile, status, score and time."""
        return QSize(340, 400)

    def add(self, widget: QWidget) -> None:
        """Put one more button below the table."""
        self._actions.layout().insertWidget(1, widget)

    # -- the list --------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        self.model.show(self._worklist.rows)
        self.table.mark(self._worklist.key)
        self._tell()

    def _change(self, tile: WorkTile) -> None:
        self.model.refresh(tile.key)
        self._tell()

    def _filter(self) -> None:
        self.model.keep(self.status.currentData(), self.text.text())
        self.table.mark(self._worklist.key)
        self._tell()

    def _sort(self) -> None:
        """Sort by what was chosen, also if it has no header; the same once more turns the order round."""
        column, header = self.order.currentData(), self.table.horizontalHeader()
        up, down = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
        order = down if column in LARGEST_FIRST else up
        if column == header.sortIndicatorSection() >= 0:
            order = down if header.sortIndicatorOrder() == up else up
        self.table.sortByColumn(column, order)
        self.table.mark(self._worklist.key)

    def _sorted(self, column: int) -> None:
        """Show by what the table is sorted now."""
        self.order.setCurrentIndex(self.order.findData(column))

    def _tell(self) -> None:
        """Say how many tiles stand how, or why there are none."""
        counts, rows = self._worklist.counts(), self._worklist.rows
        if self._session.project is None:
            self.empty.say("No project is open.")
        elif not rows:
            none = f"There are no {self._worklist.domain} images yet. Add some on the Images page."
            self.empty.say(none if self._worklist.read else "Reading the tiles…")
        else:
            self.empty.say("" if self.model.rowCount() else "No tile is left by this filter. Empty it to see all.")
        told = [f"{counts[name]} {name}" for name in reversed(STATUSES) if counts[name]]
        time = spent(sum(tile.seconds for tile in rows))
        self.sums.say(", ".join(told) + (f"; {time} min active" if time else "") if rows else "")
        # Without numbers names have their room.
        self.table.setColumnHidden(SCORE, all(tile.score is None for tile in rows))
        self.table.setColumnHidden(TIME, not time)
        self.save_button.setEnabled(bool(rows))

    def _drawn(self, key: Key) -> None:
        self.model.refresh(key)

    def _open(self, tile: WorkTile) -> None:
        self._jump(Place(tile.image, tile.tile))

    # -- the table of costs ----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        project = self._session.project
        if project is None:
            return
        name, _ = QFileDialog.getSaveFileName(self, "Save as table", str(project.path / "effort.csv"), "CSV (*.csv)")
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write what every tile has cost as CSV."""
        from histobridge.core.effort import effort_rows, write_effort_table

        project = self._session.project
        if project is None:
            return
        try:
            write_effort_table(effort_rows(project), path)
        except OSError as error:
            self.trouble.say(f"{path} cannot be written: {error.strerror}. Choose another folder.")
        else:
            self.trouble.say("")
            self.sums.say(f"Saved {path.name}.")
