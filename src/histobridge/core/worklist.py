"""The worklist: every tile of a domain with where it stands, why it waits, and what it has cost."""

from dataclasses import dataclass

from histobridge.core.config import Domain
from histobridge.core.effort import effort_by_tile, read_effort
from histobridge.core.heads import Key, TileHead, read_heads
from histobridge.core.history import TileStatus
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal
from histobridge.core.queue import newest_queue
from histobridge.core.tiles import Tile


@dataclass(slots=True)
class WorkTile:
    """One tile and all that the worklist says of it.

    Parameters
    ----------
    image : str
        Id of the image.
    tile : Tile
    status : str
        Where it stands.
    accepted : float
        When it was accepted, in seconds since 1970; 0: it is not.
    rank : int or None
        Place in the queue, from 0; none if it is not in it.
    score : float or None
        How much there seems to be to learn from it, 0 to 1.
    reason : str
        Why it is shown.
    seconds : float
        Active seconds spent on it.
    """

    image: str
    tile: Tile
    status: TileStatus = "open"
    accepted: float = 0.0
    rank: int | None = None
    score: float | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> Key:
        """Image and tile id."""
        return self.image, self.tile.id


def list_tiles(project: Project, domain: Domain) -> list[WorkTile]:
    """List all tiles of a domain, image by image; reads journals, the queue and the log of effort, but no pixels.

    Parameters
    ----------
    project : Project
    domain : {"source", "target"}

    Returns
    -------
    list of WorkTile

    Raises
    ------
    ProjectError
        If a journal or the queue cannot be read.
    """
    queue = newest_queue(project) if domain == "target" else None
    waiting = {(tile.image, tile.tile): (rank, tile) for rank, tile in enumerate(queue.tiles if queue else ())}
    spent = effort_by_tile(read_effort(project))
    active = project.active("proposals") if domain == "target" else None
    found = []
    for record in project.images(domain):
        heads = read_heads(project, record.id)
        proposed = active is not None and has_proposal(project, active.id, record.id)
        for tile in project.tiles(record):
            head = heads.get(tile.id, TileHead())
            row = WorkTile(record.id, tile, head.status, head.accepted)
            if proposed and head.status == "open":
                row.status = "proposed"
            if row.key in waiting:
                rank, queued = waiting[row.key]
                row.rank, row.score, row.reason = rank, queued.score, queued.reason
            if row.key in spent:
                row.seconds = spent[row.key].seconds
            found.append(row)
    return found
