"""Thumbnails of tiles: read in the background, only those asked for last, the latest kept."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from qtpy.QtGui import QIcon

from histobridge.core.errors import HistoBridgeError
from histobridge.core.heads import Key
from histobridge.core.project import Project
from histobridge.core.worklist import WorkTile
from histobridge.widgets.pictures import pixmap
from histobridge.widgets.session import Session

SIDE_PX = 80
KEPT = 400
WANTED = 60
"""More than fit on a screen; what was scrolled past is not read."""


class Thumbnails:
    """Pictures of tiles by key.

    Parameters
    ----------
    session : Session
        Reads them in its background thread.
    arrived : callable
        Told the key of each that has come.
    """

    def __init__(self, session: Session, arrived: Callable[[Key], object]):
        self._session, self._arrived = session, arrived
        self._kept: OrderedDict[Key, QIcon | None] = OrderedDict()
        self._wanted: OrderedDict[Key, WorkTile] = OrderedDict()
        self._reader: tuple[Project, Any] | None = None
        self._reading = False

    def forget(self) -> None:
        """Start over, as with another project."""
        self._kept.clear()
        self._wanted.clear()
        self._reader, self._reading = None, False

    def of(self, row: WorkTile) -> QIcon | None:
        """Return the picture of a tile, or none and fetch it."""
        if row.key in self._kept:
            self._kept.move_to_end(row.key)
            return self._kept[row.key]
        self._wanted[row.key] = row
        self._wanted.move_to_end(row.key)
        while len(self._wanted) > WANTED:
            self._wanted.popitem(last=False)
        self._next()
        return None

    def _next(self) -> None:
        project = self._session.project
        if self._reading or not self._wanted or project is None:
            return
        key, row = self._wanted.popitem(last=True)
        self._reading = True
        self._session.later(lambda: self._read(project, row), lambda grey: self._take(key, grey))

    def _read(self, project: Project, row: WorkTile) -> Any:
        """Read one, in the background; none where the image cannot be read, which is told elsewhere."""
        from histobridge.core.images.tile_thumbnails import TileThumbnails

        if self._reader is None or self._reader[0] is not project:
            self._reader = (project, TileThumbnails(project, SIDE_PX))
        try:
            return self._reader[1].read(row.image, row.tile.window)
        except (HistoBridgeError, OSError, ValueError):
            return None

    def _take(self, key: Key, grey: Any) -> None:
        self._reading = False
        self._kept[key] = None if grey is None else _icon(grey)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self._arrived(key)
        self._next()


def _icon(grey: Any) -> QIcon:
    """Make an icon that looks the same where its row is selected."""
    made = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
        made.addPixmap(pixmap(grey), mode)
    return made
