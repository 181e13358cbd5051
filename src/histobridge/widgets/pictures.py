"""Arrays and PNG files as pictures in the dock."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget


def pixmap(grey: NDArray[np.uint8]) -> QPixmap:
    """Turn (Y, X) uint8 into a picture."""
    grey = np.ascontiguousarray(grey)
    height, width = grey.shape
    return QPixmap.fromImage(QImage(grey.data, width, height, width, QImage.Format.Format_Grayscale8).copy())


class Picture(QWidget):
    """A picture that keeps its proportions and fills the width it is given, up to a height."""

    def __init__(self, height: int = 160):
        super().__init__()
        self._pixmap = QPixmap()
        self._height = height
        self._stamp = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_pixmap(self, picture: QPixmap) -> None:
        """Show another picture."""
        self._pixmap = picture
        self.update()

    @property
    def pixmap(self) -> QPixmap:
        """What is shown, as large as it was given."""
        return self._pixmap

    @property
    def shows_something(self) -> bool:
        """Whether there is a picture."""
        return not self._pixmap.isNull()

    def show_file(self, path: Path) -> None:
        """Show a file, read again only when it changed; a half-written one is left for the next look."""
        stamp = path.stat().st_mtime_ns
        if stamp != self._stamp:
            picture = QPixmap(str(path))
            if not picture.isNull():
                self._stamp = stamp
                self.show_pixmap(picture)

    def sizeHint(self) -> QSize:
        """The same height always, so that the page does not jump."""
        return QSize(140, self._height)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the picture in the middle."""
        if not self._pixmap.isNull():
            self.draw(QPainter(self), self._pixmap)

    def draw(self, painter: QPainter, picture: QPixmap) -> QRect:
        """Draw a picture in the middle, as large as it fits, and return where."""
        ratio = self.devicePixelRatioF()
        scaled = picture.scaled(
            self.size() * ratio, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(ratio)
        size = scaled.deviceIndependentSize()
        left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
        painter.drawPixmap(int(left), int(top), scaled)
        return QRect(int(left), int(top), int(size.width()), int(size.height()))
