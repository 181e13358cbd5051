"""The contrast of each image, as the user has set it."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from histobridge.layers import Canvas
from histobridge.widgets.session import Session

if TYPE_CHECKING:
    from napari.layers import Image

SETTLED_MS = 300
"""A slider sends many values; the last one is kept."""


class KeptContrast:
    """Sets what was kept when an image is opened, and keeps what is set from then on.

    Parameters
    ----------
    session : Session
    canvas : Canvas
    owner : QWidget
        The timer ends with it.
    """

    def __init__(self, session: Session, canvas: Canvas, owner: QWidget):
        self._session, self._canvas = session, canvas
        self._layer: Image | None = None
        self._image = ""
        self._soon = QTimer(owner)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.keep)

    def follow(self, image: str) -> None:
        """An image lies on the canvas now."""
        layer, project = self._canvas.image, self._session.project
        if layer is None or project is None or layer is self._layer:
            return
        if self._soon.isActive():
            self.keep()
        self._layer, self._image = layer, image
        kept = self._session.remembered.place(project.path).get("contrast", {}).get(image)
        if kept:
            layer.contrast_limits = tuple(kept)
        layer.events.contrast_limits.connect(lambda _: self._soon.start(SETTLED_MS))

    def keep(self) -> None:
        """Remember what is set now."""
        project = self._session.project
        self._soon.stop()
        if project is None or self._layer is None:
            return
        known = self._session.remembered.place(project.path).get("contrast", {})
        limits = [float(value) for value in self._layer.contrast_limits]
        self._session.remembered.stay(project.path, contrast={**known, self._image: limits})
