"""The worklist behind the Tiles dock, the progress bar and the blind checks: read once, then kept up to date."""

import time
from collections import Counter

from qtpy.QtCore import QObject, QTimer, Signal

from histobridge.core.config import Domain
from histobridge.core.effort import Effort
from histobridge.core.heads import Key
from histobridge.core.worklist import WorkTile, list_tiles
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.session import Followed, Session

LOOK_MS = 1000
ORDERED_BY = ("rank", "propose", "finetune")
"""Jobs after which reasons or proposals are others."""


class Worklist(QObject):
    """All tiles of the domain under review; the file is read in the background, the open tile is asked itself.

    Parameters
    ----------
    session : Session
    desk : Desk
        Where tiles are opened.
    """

    renewed = Signal()
    """All rows are new."""
    changed = Signal(object)
    """One `WorkTile` is told otherwise."""
    opened = Signal(object)
    """Key of the tile that is open now, or none; blind checks do not show."""

    def __init__(self, session: Session, desk: Desk):
        super().__init__()
        self._session, self._desk = session, desk
        self.domain: Domain = "target"
        self.rows: list[WorkTile] = []
        self.read = False
        self._by_key: dict[Key, WorkTile] = {}
        self._place: Place | None = None
        self._edit = desk.edit
        session.project_changed.connect(self._forget)
        session.manifest_changed.connect(self.refresh)
        session.run_ended.connect(self._ended)
        session.tile_opened.connect(self._opened)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(LOOK_MS)

    # -- reading ---------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the list anew, in the background."""
        project, domain = self._session.project, self.domain
        if project is not None:
            self._session.later(lambda: list_tiles(project, domain), lambda rows: self._take(domain, rows))

    def _take(self, domain: Domain, rows: list[WorkTile]) -> None:
        if domain != self.domain:
            return
        self.rows, self.read = rows, True
        self._by_key = {row.key: row for row in rows}
        self.look(quiet=True)
        self.renewed.emit()

    def _forget(self) -> None:
        self.rows, self._by_key, self.read = [], {}, False
        self._place = self._edit = None
        self.renewed.emit()
        self.refresh()

    def _ended(self, item: Followed) -> None:
        if item.verb in ORDERED_BY and item.state.status == "finished":
            self.refresh()

    # -- the open tile ---------------------------------------------------------------------------------------------

    def _opened(self, place: Place | None) -> None:
        self.look()
        self._place = None if place is None or place.check else place
        self._edit = self._desk.edit
        project = self._session.project
        if place is not None and project is not None:
            domain = project.image(place.image).domain
            if domain != self.domain:
                self.domain = domain
                self.refresh()
        self.look()
        self.opened.emit(self.key)

    @property
    def key(self) -> Key | None:
        """Image and id of the open tile."""
        return None if self._place is None else (self._place.image, self._place.tile.id)

    def look(self, *, quiet: bool = False) -> None:
        """Ask the tile that is, or was, open where it stands."""
        row = self._by_key.get(self.key) if self.key else None
        if row is None or self._edit is None or row.status == self._edit.status:
            return
        row.status = self._edit.status
        row.accepted = time.time() if row.status == "accepted" else 0.0
        if not quiet:
            self.changed.emit(row)

    def spend(self, spell: Effort) -> None:
        """Add what was just spent on a tile."""
        row = self._by_key.get((spell.image, spell.tile))
        if row is not None and not spell.check:
            row.seconds += spell.seconds
            self.changed.emit(row)

    # -- sums ------------------------------------------------------------------------------------------------------

    def counts(self) -> Counter[str]:
        """How many tiles there are of each status."""
        return Counter(row.status for row in self.rows)

    def accepted(self) -> dict[Key, float]:
        """When each accepted tile was accepted, in seconds since 1970."""
        return {row.key: row.accepted for row in self.rows if row.status == "accepted"}
