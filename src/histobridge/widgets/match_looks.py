"""What matching does to grey values: the target before and after under one slider, and the histograms of both."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget

from histobridge.widgets.pictures import Picture

BINS = 48
COLORS = {"source": "#9aa0a6", "target": "#E69F00", "matched": "#56B4E9"}
FILL = QColor(154, 160, 166, 80)
LEGEND = " · ".join(f'<span style="color: {color}">■</span> {name}' for name, color in COLORS.items())


class MatchLooks(QWidget):
    """One crop of the target, wiped between as it is and as matched, and how often each grey value comes."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.wiped = WipedPicture(170)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setValue(50)
        self.slider.setAccessibleName("Wipe between the target as it is and as matched")
        self.slider.setToolTip("Left of it the target as it is, right of it as matched")
        self.slider.valueChanged.connect(self.wiped.wipe)
        self.histograms = Histograms()
        self.legend = QLabel(f"Grey values: {LEGEND}")
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        for widget in (self.wiped, self.slider, self.histograms, self.legend):
            layout.addWidget(widget)

    def show_files(self, files: dict[str, Path]) -> None:
        """Show the crops ``source``, ``target`` and ``matched``; nothing where one of them is not there."""
        there = files.keys() >= COLORS.keys() and all(file.exists() for file in files.values())
        self.setVisible(there)
        if there:
            self.wiped.show_file(files["target"])
            self.wiped.show_second(files["matched"])
            self.histograms.show_greys({name: _greys(files[name]) for name in COLORS})


class WipedPicture(Picture):
    """Two pictures of one size in one place: the first left of a line, the second right of it."""

    def __init__(self, height: int):
        super().__init__(height)
        self._second = Picture(height)
        self.at = 50

    def show_second(self, path: Path) -> None:
        """Show another file on the right."""
        self._second.show_file(path)
        self.update()

    def wipe(self, percent: int) -> None:
        """Put the line at a share of the width."""
        self.at = percent
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw both, and the line between them."""
        if self.pixmap.isNull() or self._second.pixmap.isNull():
            return
        painter = QPainter(self)
        where = self.draw(painter, self.pixmap)
        line = where.left() + where.width() * self.at // 100
        painter.setClipRect(QRect(line, 0, self.width() - line, self.height()))
        self.draw(painter, self._second.pixmap)
        painter.setClipping(False)
        painter.setPen(QPen(QColor("white"), 1))
        painter.drawLine(line, where.top(), line, where.bottom())


class Histograms(QWidget):
    """How often each grey value comes in each of some crops; filled for the source, which the others are matched to."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: dict[str, NDArray[np.float64]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Histograms of source, target and matched target")

    def show_greys(self, greys: dict[str, NDArray[np.uint8]]) -> None:
        """Show the histograms of some crops."""
        counts = {name: np.histogram(grey, BINS, (0, 256))[0] for name, grey in greys.items()}
        self.shares = {name: count / count.sum() for name, count in counts.items()}
        self.update()

    def sizeHint(self) -> QSize:
        """The same height always, so that the page does not jump."""
        return QSize(140, 56)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw one line for each, the highest as high as there is room."""
        if not self.shares:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        highest = max(float(share.max()) for share in self.shares.values())
        for name, share in self.shares.items():
            steps = np.linspace(1, self.width() - 1, BINS)
            heights = (self.height() - 2) * (1 - share / highest) + 1
            line = [QPointF(float(x), float(y)) for x, y in zip(steps, heights, strict=True)]
            painter.setPen(QPen(QColor(COLORS[name]), 1.5))
            if name == "source":
                corners = [QPointF(self.width() - 1, self.height() - 1), QPointF(1, self.height() - 1)]
                painter.setBrush(FILL)
                painter.drawPolygon(QPolygonF([*line, *corners]))
                painter.setBrush(Qt.BrushStyle.NoBrush)
            else:
                painter.drawPolyline(QPolygonF(line))


def _greys(path: Path) -> NDArray[np.uint8]:
    """Read a grey picture, (Y, X) uint8."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))
