"""The order in which tiles are reviewed: by the queue, or image by image; and why each tile is shown."""

from collections.abc import Callable
from dataclasses import dataclass

from histobridge.core.config import Domain
from histobridge.core.errors import ProjectError
from histobridge.core.project import Project
from histobridge.core.queue import Queue, read_queue
from histobridge.core.worth import AT_RANDOM
from histobridge.widgets.desk import Place, on_grid, places
from histobridge.widgets.session import Session

Key = tuple[str, str]
"""Image and tile id."""


class TileOrder:
    """Follows the newest queue; remembers the way, since tiles leave the queue when they are decided.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session):
        self._session = session
        self._project: Project | None = None
        self._run = ""
        self.queue: Queue | None = None
        self._reasons: dict[Key, str] = {}
        self._ranks: dict[Key, int] = {}
        self._fresh = False
        self._last: Place | None = None
        self._lines: dict[str, _Line] = {}
        self._lined_up: tuple[object, object] = (None, None)
        self._way: list[Place] = []
        self.due: Callable[[Project], Place | None] = lambda _: None
        self._onward: Place | None = None
        session.tile_opened.connect(self._opened)

    def _opened(self, place: Place | None) -> None:
        """Keep the last tile of the queue, to go on from there after a way round."""
        if place is not None and not place.check and _key(place) in self._ranks:
            self._last = place

    def refresh(self) -> str:
        """Take the newest queue; returns why it cannot be read, or nothing."""
        known = self._session.project is self._project
        if not known:
            self._project, self._run, self._way = self._session.project, "", []
            self._take(None)
        item = self._session.newest("rank", status="finished")
        if item is None or item.run.id == self._run:
            return ""
        self._run = item.run.id
        try:
            self._take(read_queue(item.run))
        except ProjectError as error:
            self._take(None)
            return str(error)
        self._fresh = self._fresh and known  # One that was made before is gone on with where she was.
        return ""

    def _take(self, queue: Queue | None) -> None:
        self.queue = queue
        tiles = queue.tiles if queue else ()
        self._reasons = {(tile.image, tile.tile): tile.reason for tile in tiles}
        self._ranks = {(tile.image, tile.tile): rank for rank, tile in enumerate(tiles)}
        self._fresh, self._last = bool(tiles), None

    def reason(self, place: Place) -> str:
        """Why a tile is shown; empty if it is not in the queue. A blind check does not show."""
        return AT_RANDOM if place.check else self._reasons.get(_key(place), "")

    def queued(self, project: Project) -> list[Place]:
        """Tiles that wait, the next one first."""
        return self._line(project, "queue").places

    def _line(self, project: Project, name: str) -> "_Line":
        """Tiles of a domain, or of the `queue`, in order; lined up anew where images or the queue have changed."""
        if self._lined_up[0] is not project.manifest or self._lined_up[1] is not self._ranks:
            self._lined_up, self._lines = (project.manifest, self._ranks), {}
        if name not in self._lines:
            if name == "queue":
                known = [place for place in self._line(project, "target").places if _key(place) in self._ranks]
                here = sorted(known, key=lambda place: self._ranks[_key(place)])
            else:
                here = places(project, "source" if name == "source" else "target")
            self._lines[name] = _Line(here, {_key(place): index for index, place in enumerate(here)})
        return self._lines[name]

    def position(self, project: Project, place: Place, *, by_queue: bool) -> str:
        """Say where a tile lies: in the queue, or among all tiles. A blind check stands where one will go on."""
        place = self._onward if place.check and self._onward is not None else place
        domain, place = project.image(place.image).domain, on_grid(project, place)
        if by_queue and domain == "target" and _key(place) in self._ranks:
            line = self._line(project, "queue")
            return f"Tile {line.index[_key(place)] + 1} of {len(line.places)} in the queue."
        line = self._line(project, domain)
        return f"Tile {line.index[_key(place)] + 1} of {len(line.places)}."

    def start(self, project: Project, domain: Domain, *, by_queue: bool) -> list[Place]:
        """Tiles in the order to choose the first one from."""
        everywhere = self._line(project, domain).places
        if not by_queue or domain != "target":
            return everywhere
        return self.queued(project) + [place for place in everywhere if _key(place) not in self._ranks]

    def after(self, project: Project, place: Place, by: int, *, by_queue: bool) -> Place | None:
        """Return the next or the previous tile; none at the end.

        In the queue, back is the way one came, and a queue that is new begins with its first tile. A blind check that
        is due comes in between.
        """
        if by < 0:
            return self._beside(project, place, by, by_queue)
        there = self._onward if place.check else self._beside(project, place, by, by_queue)
        check = self.due(project)
        self._onward = there if check else None
        return check or there

    def _beside(self, project: Project, place: Place, by: int, by_queue: bool) -> Place | None:
        """Return the next or the previous tile without regard to blind checks."""
        domain, place = project.image(place.image).domain, on_grid(project, place)
        if not by_queue or domain != "target" or self.queue is None:
            return _neighbour(self._line(project, domain), place, by)
        queued = self._line(project, "queue")
        if by < 0:
            while self._way and (self._way[-1] == place or not _exists(project, self._way[-1])):
                self._way.pop()
            return self._way.pop() if self._way else _neighbour(queued, place, -1)
        fresh, self._fresh = self._fresh, False
        aside = _key(place) not in queued.index
        if fresh or (aside and self._last is None):
            found = next((each for each in queued.places if each != place), None)
        else:
            found = _neighbour(queued, self._last if aside and self._last else place, 1)
        if found is not None:
            self._way.append(place)
        return found


def _key(place: Place) -> Key:
    return place.image, place.tile.id


@dataclass(frozen=True, slots=True)
class _Line:
    """Tiles in a row, and where each stands in it."""

    places: list[Place]
    index: dict[Key, int]


def _neighbour(line: _Line, place: Place, by: int) -> Place | None:
    index = line.index.get(_key(place), -2) + by
    return line.places[index] if 0 <= index < len(line.places) else None


def _exists(project: Project, place: Place) -> bool:
    return any(place.image == record.id and place.tile in project.tiles(record) for record in project.images("target"))
