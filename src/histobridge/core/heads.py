"""Where every tile stands, from the heads of the journals alone: no pixel is read."""

from dataclasses import dataclass

from histobridge.core.history import TileStatus
from histobridge.core.labels import LabelStore
from histobridge.core.project import Project

Key = tuple[str, str]
"""Image and tile id."""


@dataclass(frozen=True, slots=True)
class TileHead:
    """What is known of a tile in which something was done.

    Parameters
    ----------
    status : str
        Where it stands; ``open`` also where a proposal waits, since the journal does not know of that.
    accepted : float
        When it was accepted, in seconds since 1970; 0: it is not.
    """

    status: TileStatus = "open"
    accepted: float = 0.0


def read_heads(project: Project, image: str) -> dict[str, TileHead]:
    """Read where the tiles of one image stand, as it is on disk.

    Parameters
    ----------
    project : Project
    image : str
        Id of the image.

    Returns
    -------
    dict of str to TileHead
        By tile id; tiles in which nothing was done are not in it.

    Raises
    ------
    ProjectError
        If the journal cannot be read.
    """
    store = project.labels(image)
    try:
        return heads_of(store)
    finally:
        store.close()


def heads_of(store: LabelStore) -> dict[str, TileHead]:
    """Tell where the tiles of open labels stand, what is not yet on disk included; see `read_heads`."""
    entries = list(store.journal.entries)
    accepted = {entry.tile: entry.time for entry in entries if entry.kind in ("accept", "redo")}
    histories = {tile: store.history(tile) for tile in {entry.tile for entry in entries}}
    return {
        tile: TileHead(history.status, accepted.get(tile, 0.0) if history.accepted else 0.0)
        for tile, history in histories.items()
    }
