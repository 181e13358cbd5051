"""The order in which tiles are reviewed: by the queue, or image by image; and why each tile is shown."""

from collections.abc import Callable

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
        self._way: list[Place] = []
        self.due: Callable[[Project], Place | None] = lambda _: None
        self._onward: Place | None = None

    def refresh(self) -> str:
        """Take the newest queue; returns why it cannot be read, or nothing."""
        if self._session.project is not self._project:
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
        return ""

    def _take(self, queue: Queue | None) -> None:
        self.queue = queue
        tiles = queue.tiles if queue else ()
        self._reasons = {(tile.image, tile.tile): tile.reason for tile in tiles}
        self._ranks = {(tile.image, tile.tile): rank for rank, tile in enumerate(tiles)}
        self._fresh = bool(tiles)

    def reason(self, place: Place) -> str:
        """Why a tile is shown; empty if it is not in the queue. A blind check does not show."""
        return AT_RANDOM if place.check else self._reasons.get(_key(place), "")

    def queued(self, project: Project) -> list[Place]:
        """Tiles that wait, the next one first."""
        known = [place for place in places(project, "target") if _key(place) in self._ranks]
        return sorted(known, key=lambda place: self._ranks[_key(place)])

    def position(self, project: Project, place: Place, *, by_queue: bool) -> str:
        """Say where a tile lies: in the queue, or among all tiles. A blind check stands where one will go on."""
        place = self._onward if place.check and self._onward is not None else place
        domain, place = project.image(place.image).domain, on_grid(project, place)
        if by_queue and domain == "target" and _key(place) in self._ranks:
            queued = self.queued(project)
            return f"Tile {queued.index(place) + 1} of {len(queued)} in the queue."
        here = places(project, domain)
        return f"Tile {here.index(place) + 1} of {len(here)}."

    def start(self, project: Project, domain: Domain, *, by_queue: bool) -> list[Place]:
        """Tiles in the order to choose the first one from."""
        everywhere = places(project, domain)
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
            return _neighbour(places(project, domain), place, by)
        if by < 0:
            while self._way and (self._way[-1] == place or not _exists(project, self._way[-1])):
                self._way.pop()
            return self._way.pop() if self._way else None
        queued = self.queued(project)
        fresh, self._fresh = self._fresh, False
        there = next((each for each in queued if each != place), None) if fresh or place not in queued else None
        found = there or _neighbour(queued, place, 1)
        if found is not None:
            self._way.append(place)
        return found


def _key(place: Place) -> Key:
    return place.image, place.tile.id


def _neighbour(here: list[Place], place: Place, by: int) -> Place | None:
    index = here.index(place) + by if place in here else -1
    return here[index] if 0 <= index < len(here) else None


def _exists(project: Project, place: Place) -> bool:
    return any(place.image == record.id and place.tile in project.tiles(record) for record in project.images("target"))
