"""Tiles there and back, one at a time: as a training translator makes them, and as the checks saw them."""

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from histobridge.widgets.page import button, row
from histobridge.widgets.pictures import Picture

WAYS = {
    "source_to_target": "Source → translated → back",
    "target_to_source": "Target → translated → back",
}
ACROSS = 3
"""Square panels in a row of the picture of a way; each row is a tile."""


class Triptych(QWidget):
    """Three panels of a tile for each of some pictures of a run; a button goes to the other tiles.

    Parameters
    ----------
    captions : mapping of str to str
        By the name of a picture, ``preview-<name>.png`` in the folder of the run.
    height : int
        Of a row, in pixels.
    """

    def __init__(self, captions: Mapping[str, str], height: int = 110):
        super().__init__()
        self._files: dict[str, tuple[int, QPixmap]] = {}
        self._tile, self._run = 0, Path()
        self.pictures = {name: Picture(height) for name in captions}
        self.captions: dict[str, QLabel] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for name, text in captions.items():
            self.captions[name] = caption = QLabel(text)
            caption.setAlignment(Qt.AlignmentFlag.AlignCenter)
            caption.setWordWrap(True)
            layout.addWidget(caption)
            layout.addWidget(self.pictures[name])
        self.told = QLabel()
        self.next_button = button("Next tile", self.next, "Show the next of these tiles; a row is one tile")
        self.others = row(self.told, self.next_button)
        layout.addWidget(self.others)
        self._draw()

    def follow(self, folder: Path) -> None:
        """Show the newest pictures of a run, each read again only when it changed."""
        if folder != self._run:
            self._run, self._files, self._tile = folder, {}, 0
        changed = not self._files
        for name in self.pictures:
            file = folder / f"preview-{name}.png"
            stamp = file.stat().st_mtime_ns if file.exists() else 0
            if stamp and stamp != self._files.get(name, (0, None))[0]:
                picture = QPixmap(str(file))
                if not picture.isNull():  # a half-written one is left for the next look
                    self._files[name] = stamp, picture
                    changed = True
        if changed:
            self._draw()

    def tiles(self) -> int:
        """How many tiles there are to see."""
        return max((_rows(picture) for _, picture in self._files.values()), default=0)

    def next(self) -> None:
        """Show the next tile, after the last the first."""
        self._tile = (self._tile + 1) % max(1, self.tiles())
        self._draw()

    def _draw(self) -> None:
        count = self.tiles()
        for name, shown in self.pictures.items():
            _, picture = self._files.get(name, (0, QPixmap()))
            rows = _rows(picture)
            side = picture.height() // max(1, rows)
            top = self._tile % max(1, rows) * side
            shown.show_pixmap(picture.copy(QRect(0, top, picture.width(), side)) if rows else QPixmap())
            for widget in (shown, self.captions[name]):
                widget.setVisible(rows > 0)
        self.told.setText(f"Tile {self._tile + 1} of {count}")
        self.others.setVisible(count > 1)
        self.setVisible(count > 0)


def _rows(picture: QPixmap) -> int:
    """How many rows of square panels a picture has; none if it is not there."""
    return 0 if picture.isNull() else max(1, round(ACROSS * picture.height() / picture.width()))
