"""The worklist as a table: sorted and filtered without a view, thumbnails on demand."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QIcon

from histobridge.core.heads import Key
from histobridge.core.worklist import WorkTile

COLUMNS = ("Tile", "Status", "Score", "Time", "Reason")
TIPS = (
    "Image and tile",
    "Where the tile stands",
    "How much there seems to be to learn from it (estimated)",
    "Active time; of a longer pause only 15 seconds count",
    "Why it is in the queue",
)
TILE, STATUS, SCORE, TIME, REASON = range(len(COLUMNS))
STATUSES = ("open", "proposed", "corrected", "skipped", "accepted")
COLORS = {"open": "#5a5f66", "proposed": "#0f6ab4", "corrected": "#8a5a00", "accepted": "#1d7a3a", "skipped": "#5a5f66"}
ANY = QModelIndex()
Role = Qt.ItemDataRole


def spent(seconds: float) -> str:
    """Write active time as ``m:ss``; empty for none."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}" if seconds >= 1 else ""


class TilesModel(QAbstractTableModel):
    """Rows of the worklist; sorting and filtering are lists of Python, quick for thousands.

    Parameters
    ----------
    thumbnail : callable
        Gives the picture of a tile, or none and fetches it.
    """

    def __init__(self, thumbnail: Callable[[WorkTile], QIcon | None] = lambda _: None):
        super().__init__()
        self._thumbnail = thumbnail
        self._all: list[WorkTile] = []
        self._shown: list[WorkTile] = []
        self._places: dict[Key, int] = {}
        self._sorting = (-1, False)
        self._status, self._text = "", ""

    # -- content ---------------------------------------------------------------------------------------------------

    def show(self, rows: Sequence[WorkTile]) -> None:
        """Take other rows."""
        self._all = list(rows)
        self._arrange()

    def keep(self, status: str = "", text: str = "") -> None:
        """Show only tiles of a status, or all, in whose ids or reason a text occurs."""
        self._status, self._text = status, text.strip().casefold()
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, then by the queue; by none: those in the queue first, in its order."""
        self._sorting = (column, order == Qt.SortOrder.DescendingOrder)
        self._arrange()

    def _arrange(self) -> None:
        self.beginResetModel()
        column, descending = self._sorting
        self._shown = sorted((row for row in self._all if self._keeps(row)), key=_turn)
        if column >= 0:
            self._shown.sort(key=_order(column), reverse=descending)
        if column == REASON:
            self._shown.sort(key=lambda row: not row.reason)
        self._places = {row.key: place for place, row in enumerate(self._shown)}
        self.endResetModel()

    def _keeps(self, row: WorkTile) -> bool:
        if self._status and row.status != self._status:
            return False
        return not self._text or self._text in f"{row.image} {row.tile.id} {row.reason}".casefold()

    def refresh(self, key: Key) -> None:
        """Draw one row again; it stays where it is until the next sorting."""
        place = self._places.get(key)
        if place is not None:
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))

    def place(self, key: Key | None) -> int:
        """Row in which a tile is shown; -1 if it is not."""
        return -1 if key is None else self._places.get(key, -1)

    def row(self, place: int) -> WorkTile:
        """Return the tile that is shown in a row."""
        return self._shown[place]

    # -- what views ask --------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = ANY) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex = ANY) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role in (Role.DisplayRole, Role.ToolTipRole):
            return (COLUMNS if role == Role.DisplayRole else TIPS)[section]
        if section == REASON and role == Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        row, column = self._shown[index.row()], index.column()
        if role == Role.DisplayRole:
            return _text(row, column)
        if role == Role.DecorationRole and column == TILE:
            return self._thumbnail(row)
        if role == Role.ForegroundRole and column == STATUS:
            return QColor("white")
        if role == Role.BackgroundRole and column == STATUS:
            return QColor(COLORS[row.status])
        if role == Role.TextAlignmentRole and column in (SCORE, TIME):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Role.ToolTipRole:
            return "\n".join(filter(None, (f"{row.image} {row.tile.id}", row.reason)))
        return None


def _text(row: WorkTile, column: int) -> str:
    score = "" if row.score is None else f"{row.score:.2f}"
    return (f"{row.image}\n{row.tile.id}", row.status, score, spent(row.seconds), row.reason)[column]


def _turn(row: WorkTile) -> tuple[bool, int]:
    return row.rank is None, row.rank or 0


def _order(column: int) -> Callable[[WorkTile], Any]:
    """How rows compare by a column."""
    keys: tuple[Callable[[WorkTile], Any], ...] = (
        lambda row: row.key,
        lambda row: STATUSES.index(row.status),
        lambda row: -1.0 if row.score is None else row.score,
        lambda row: row.seconds,
        _in_words,
    )
    return keys[column]


def _in_words(row: WorkTile) -> list[str | int]:
    """Compare reasons as one reads them: 3 fibres come before 12."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", row.reason)]
