"""How a row of the Tiles dock is drawn: thumbnail, name and numbers above, the reason below over the whole width."""

from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from qtpy.QtGui import QIcon, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from histobridge.widgets.tiles_model import TILE

THUMBNAIL = 40
ROW = THUMBNAIL + 6
BESIDE = THUMBNAIL + 6
"""Where text begins beside a thumbnail."""


class UpperHalf(QStyledItemDelegate):
    """Draws the cells in the upper half of a row, and the thumbnail over its whole height."""

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw one cell."""
        assert painter is not None
        part = QStyleOptionViewItem(option)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, option.palette.highlight())
        part.rect = QRect(option.rect)
        part.rect.setHeight(option.rect.height() // 2)
        if index.column() == TILE:
            icon = index.data(Qt.ItemDataRole.DecorationRole)
            if isinstance(icon, QIcon):
                icon.paint(painter, option.rect.left() + 2, option.rect.top() + 3, THUMBNAIL, THUMBNAIL)
            part.rect.setLeft(option.rect.left() + BESIDE)
            painter.setPen(option.palette.color(option.palette.ColorRole.Text))
            name = option.fontMetrics.elidedText(
                str(index.data()).replace("\n", " "), Qt.TextElideMode.ElideMiddle, part.rect.width()
            )
            painter.drawText(part.rect, Qt.AlignmentFlag.AlignVCenter, name)
            return
        super().paint(painter, part, index)


def draw_reasons(view: QTableView, painter: QPainter, reason_column: int) -> None:
    """Write why each tile is in the queue, in the lower half of its row."""
    painter.setPen(view.palette().color(view.foregroundRole()))
    model, width = view.model(), view.viewport().width() - BESIDE - 4
    for row in range(max(0, view.rowAt(0)), model.rowCount()):
        top, height = view.rowViewportPosition(row), view.rowHeight(row)
        if top > view.viewport().height():
            return
        text = str(model.index(row, reason_column).data() or "")
        half = QRect(BESIDE, top + height // 2, width, height // 2)
        shown = view.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width)
        painter.drawText(half, Qt.AlignmentFlag.AlignVCenter, shown)
