"""Where the open tile lies in its image: a small map, decided tiles tinted; a click opens the tile there."""

from collections.abc import Callable

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from histobridge.core.tiles import Tile, Window, tile_of
from histobridge.layers import Canvas
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.key_table import KeyTable, shown
from histobridge.widgets.page import button
from histobridge.widgets.pictures import pixmap
from histobridge.widgets.session import Session

THUMBNAIL_PX = 320
HEIGHT_PX = 110
SMALLEST_FRAME_PX = 7
KEPT = 8
"""Thumbnails that are kept; the oldest goes first."""

TINTS = {"accepted": "#009e73", "corrected": "#e69f00", "skipped": "#5a5f66"}
"""Colours of a set that colour-blind people tell apart."""

Key = tuple[object, str]


class ImageMap(QWidget):
    """An image in small, tiles on it, and a frame around the open one."""

    clicked = Signal(float, float)
    """Row and column in pixels of the image."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QPixmap()
        self._shape = (1, 1)
        self._tints: list[tuple[Window, str]] = []
        self._frame: Window | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("The whole image. Click to open the tile there.\nGreen: accepted, orange: corrected")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_image(self, picture: QPixmap, shape: tuple[int, int]) -> None:
        """Show another image, (Y, X) in pixels; its picture may be empty until it was read."""
        self._picture, self._shape = picture, shape
        self.update()

    def mark(self, tints: list[tuple[Window, str]], frame: Window | None) -> None:
        """Tint windows of the image and frame another one."""
        if (tints, frame) != (self._tints, self._frame):
            self._tints, self._frame = tints, frame
            self.update()

    def sizeHint(self) -> QSize:
        """The same height always, so that the page does not jump."""
        return QSize(200, HEIGHT_PX)

    def place_of(self, window: Window) -> QRectF:
        """Where a window of the image lies in the widget."""
        left, top, scale = self._fit()
        rows, columns = window
        size = ((columns.stop - columns.start) * scale, (rows.stop - rows.start) * scale)
        return QRectF(left + columns.start * scale, top + rows.start * scale, *size)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the image, the tints, the frame."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        whole = self.place_of((slice(0, self._shape[0]), slice(0, self._shape[1])))
        painter.fillRect(whole, QColor("#3a3f46"))
        if not self._picture.isNull():
            painter.drawPixmap(whole, self._picture, QRectF(self._picture.rect()))
        for window, color in self._tints:
            tint = QColor(color)
            tint.setAlphaF(0.4)
            painter.fillRect(self.place_of(window), tint)
        if self._frame is not None:
            frame = self.place_of(self._frame)
            more = [max(0.0, (SMALLEST_FRAME_PX - side) / 2) for side in (frame.width(), frame.height())]
            frame.adjust(-more[0], -more[1], more[0], more[1])
            for color, width in (("#000000", 4), ("#ffffff", 2)):
                painter.setPen(QPen(QColor(color), width))
                painter.drawRect(frame)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Tell where in the image was clicked."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        left, top, scale = self._fit()
        row, column = (event.position().y() - top) / scale, (event.position().x() - left) / scale
        if 0 <= row < self._shape[0] and 0 <= column < self._shape[1]:
            self.clicked.emit(row, column)

    def _fit(self) -> tuple[float, float, float]:
        """Left and top of the image in the widget, and widget pixels per pixel of the image."""
        height, width = self._shape
        scale = min((self.width() - 4) / width, (self.height() - 4) / height)
        return (self.width() - width * scale) / 2, (self.height() - height * scale) / 2, scale


class Overview(QWidget):
    """The map of the open image, and the button that moves the window to a fibre across the border.

    Parameters
    ----------
    session : Session
    canvas : Canvas
    desk : Desk
    table : KeyTable
    """

    asked = Signal(object)
    """The `Place` that was clicked."""

    def __init__(self, session: Session, canvas: Canvas, desk: Desk, table: KeyTable):
        super().__init__()
        self._session, self._canvas, self._desk, self._table = session, canvas, desk, table
        self._pictures: dict[Key, QPixmap] = {}
        self._waited: set[Key] = set()
        self._shown: tuple[Key, tuple[int, int]] | None = None
        self._tiles: tuple[Tile, ...] = ()
        self.map = ImageMap()
        self.map.clicked.connect(self._ask)
        self.centre_button = button("", self.centre)
        self.centre_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the canvas
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.map, 1)
        layout.addWidget(self.centre_button, 0, Qt.AlignmentFlag.AlignBottom)
        session.project_changed.connect(self._waited.clear)
        self.hide()

    def presses(self) -> dict[str, Callable[[], object]]:
        """What its key does."""
        return {"centre": self.centre}

    def refresh(self) -> None:
        """Show where the open tile lies; nothing if it is the whole image."""
        project, place = self._session.project, self._desk.place
        self._tiles = project.tiles(project.image(place.image)) if project is not None and place is not None else ()
        self.setVisible(len(self._tiles) > 1)
        if project is None or place is None or len(self._tiles) <= 1:
            return
        image, shape = (project.path, place.image), project.image(place.image).shape
        if self._shown != (image, shape):
            self._shown = (image, shape)
            self.map.show_image(self._pictures.get(image, QPixmap()), shape)
        if image not in self._pictures and image not in self._waited:
            self._waited.add(image)
            name = place.image
            self._session.later(
                lambda: project.pixels(name).thumbnail(THUMBNAIL_PX), lambda pixels: self._keep(image, pixmap(pixels))
            )
        tints = {tile: TINTS[status] for tile, status in self._desk.standings().items() if status in TINTS}
        tinted = [(tile.window, tints[tile.id]) for tile in self._tiles if tile.id in tints] if tints else []
        self.map.mark(tinted, place.tile.window)
        back = self._desk.centred
        key = shown(self._table.key("centre"))
        self.centre_button.setText(f"Back to the tile ({key})" if back else f"Centre here ({key})")
        self.centre_button.setToolTip(
            "Show the tile as it lies on the map again"
            if back
            else "Move the window to the fibre under the mouse, or to the middle of what you see,\n"
            "so that a fibre across the border of the tile can be corrected whole"
        )
        self.centre_button.setEnabled(not place.check)

    def centre(self) -> None:
        """Move the window to the fibre under the mouse; the second time back to the tile."""
        at = self._canvas.pointed()
        if self._desk.centred:
            self._desk.home()
        elif at is None or not self._desk.centre(at):
            return
        self.refresh()
        self._session.tile_opened.emit(self._desk.place)

    def _keep(self, key: Key, picture: QPixmap) -> None:
        self._pictures[key] = picture
        self._waited.discard(key)
        while len(self._pictures) > KEPT:
            del self._pictures[next(iter(self._pictures))]
        if self._shown is not None and self._shown[0] == key:
            self.map.show_image(picture, self._shown[1])

    def _ask(self, row: float, column: float) -> None:
        if self._desk.place is not None:
            self.asked.emit(Place(self._desk.place.image, tile_of(self._tiles, row, column)))
