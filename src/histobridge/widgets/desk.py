"""The tile on the desk: opens it on the canvas and carries every finished stroke to the journal."""

from dataclasses import dataclass

import numpy as np

from histobridge.core.config import Domain
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.states import IGNORED
from histobridge.core.tiles import Tile
from histobridge.layers import Canvas
from histobridge.widgets.open_image import show_on_canvas


@dataclass(frozen=True, slots=True)
class Place:
    """One tile of one image."""

    image: str
    tile: Tile


def places(project: Project, domain: Domain) -> list[Place]:
    """All tiles of all images of a domain, in the order they are reviewed."""
    return [Place(record.id, tile) for record in project.images(domain) for tile in project.tiles(record)]


class Desk:
    """One open tile; holds no Qt object, so that it can write what is pending when the window is already gone.

    Parameters
    ----------
    canvas : Canvas
    """

    def __init__(self, canvas: Canvas):
        self._canvas = canvas
        self._store: LabelStore | None = None
        self._project: Project | None = None
        self.place: Place | None = None
        self.edit: TileEdit | None = None
        self.strange = ""

    @property
    def lies_open(self) -> bool:
        """Whether a tile is open and still on the canvas."""
        return self.edit is not None and self._canvas.has_labels

    @property
    def editable(self) -> bool:
        """Whether the open tile can be changed."""
        return self.edit is not None and self.edit.store.writable

    def put(self, project: Project, place: Place) -> bool:
        """Open a tile, merged with the newest proposal; returns whether the labels layer was made anew."""
        self.commit()
        record = project.image(place.image)
        if self._store is None or self._project is not project or self.place is None or self.place.image != place.image:
            self.close()
            self._store = project.labels(place.image)
        proposed = project.active("proposals") if record.domain == "target" else None
        has = proposed is not None and has_proposal(project, proposed.id, place.image)
        proposal = read_proposal(project, proposed.id, place.image, place.tile.window)[0] if proposed and has else None
        self.edit = TileEdit(self._store, place.tile, proposal, proposed.id if proposed and has else "")
        self._project, self.place = project, place
        show_on_canvas(project, place.image, self._canvas)
        rows, columns = place.tile.window
        origin = (rows.start, columns.start)
        fresh = self._canvas.show_labels(self._shown(), origin, record.pixel_size_um, self._store.writable)
        self._canvas.color_labels(project.classes)
        self._canvas.look_at(origin, place.tile.shape, record.pixel_size_um)
        return fresh

    def _shown(self) -> np.ndarray:
        """What the canvas shows: classes, and 255 where pixels are ignored."""
        assert self.edit is not None
        classes, state = self.edit.classes, self.edit.state
        classes[state == IGNORED] = IGNORE
        return classes

    def commit(self) -> int:
        """Carry over what was painted since the last time, as one step of undo; returns the changed pixels."""
        painted = self._canvas.painted()
        if self.edit is None or not self.editable or painted is None or painted.shape != self.edit.tile.shape:
            return 0
        classes = self.edit.classes
        ignored = painted == IGNORE
        strange = ~self._allowed()[painted]
        changed = 0
        if ignored.any():
            changed += self.edit.ignore(ignored)
        left = ignored | strange
        # An ignored pixel painted in the class that lies under it differs only in its state.
        repainted = ~left & (self.edit.state == IGNORED)
        changed += self.edit.commit(np.where(left, classes, painted), repainted=repainted)
        self.strange = ""
        if strange.any():
            values = ", ".join(map(str, np.unique(painted[strange])))
            self.strange = f"{values} is not a class of this project, so that stroke was taken back."
            self._canvas.replace_labels(self._shown())
        return changed

    def _allowed(self) -> np.ndarray:
        assert self._project is not None
        allowed = np.zeros(256, bool)
        allowed[[0, IGNORE, *(spec.value for spec in self._project.classes)]] = True
        return allowed

    def undo(self) -> None:
        """Take the last step back."""
        self.commit()
        if self.edit is not None and self.editable and self.edit.undo() is not None:
            self._canvas.replace_labels(self._shown())

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self.commit()
        if self.edit is not None and self.editable and self.edit.redo() is not None:
            self._canvas.replace_labels(self._shown())

    def accept(self) -> None:
        """Mark the tile as right."""
        self.commit()
        if self.edit is not None and self.editable:
            self.edit.accept()

    def skip(self) -> None:
        """Note that the tile was looked at and left."""
        self.commit()
        if self.edit is not None and self.editable:
            self.edit.skip()

    def flush(self) -> None:
        """Put all edits on disk now."""
        self.commit()
        if self.edit is not None and self.editable:
            self.edit.flush()

    def trouble(self) -> str:
        """Say why edits are not on disk; empty if they are, or soon will be."""
        if self.edit is None or not self.edit.store.journal.error:
            return self.strange
        why = self.edit.store.journal.error
        return f"Your corrections cannot be written: {why}. They are kept in memory; make room on the disk."

    def reviewed(self) -> float:
        """Share of the open image that was reviewed, 0 to 1."""
        return self._store.reviewed_fraction() if self._store is not None else 0.0

    def close(self) -> None:
        """Write everything and put the tile away."""
        self.commit()
        if self._store is not None:
            self._store.close()
        self._store = self._project = self.place = self.edit = None
