"""The tile on the desk: opens it on the canvas and carries every finished stroke to the journal."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from histobridge.core.blind import answers, proposal_shown
from histobridge.core.config import Domain
from histobridge.core.corrections import TileEdit
from histobridge.core.delta import intersection, relative
from histobridge.core.history import TileStatus
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE
from histobridge.core.neighbours import surroundings, whole_window
from histobridge.core.project import Project
from histobridge.core.proposals import open_proposal
from histobridge.core.states import IGNORED, MODEL
from histobridge.core.tiles import Tile
from histobridge.layers import Canvas
from histobridge.widgets.kept_stores import UnsavedEdits
from histobridge.widgets.open_image import show_on_canvas


@dataclass(frozen=True, slots=True)
class Place:
    """One tile of one image; `check` is the kind of blind check, empty for the tile itself."""

    image: str
    tile: Tile
    check: str = field(default="", compare=False)


def places(project: Project, domain: Domain) -> list[Place]:
    """All tiles of all images of a domain, in the order they are reviewed."""
    return [Place(record.id, tile) for record in project.images(domain) for tile in project.tiles(record)]


def on_grid(project: Project, place: Place) -> Place:
    """Return the same tile where the grid has it, should its window have been moved."""
    tiles = project.tiles(project.image(place.image))
    return replace(place, tile=next((tile for tile in tiles if tile.id == place.tile.id), place.tile))


class Desk:
    """One open tile; holds no Qt object, so that it can write what is pending when the window is already gone.

    Parameters
    ----------
    canvas : Canvas
    unsaved : UnsavedEdits, optional
        Counts edits that are not on disk, and takes labels that cannot be written when another image is opened.
    """

    def __init__(self, canvas: Canvas, unsaved: UnsavedEdits | None = None):
        unsaved = unsaved or UnsavedEdits()
        unsaved.watch(lambda: self._store)
        self._canvas, self._kept = canvas, unsaved.kept
        self._store: LabelStore | None = None
        self._project: Project | None = None
        self._proposed: Any = None
        self._proposed_by = ("", "")
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

    def put(self, project: Project, place: Place, *, around: bool = True) -> bool:
        """Open a tile, merged with the newest proposal; returns whether the labels layer was made anew.

        Without `around`, what lies around a tile is left to `show_around`, so that the tile is there sooner. If its
        image cannot be shown, the tile before stays; if its labels or proposal cannot be read, no tile is open.
        """
        self.commit()
        show_on_canvas(project, place.image, self._canvas)
        try:
            self._take(project, place)
        except BaseException:
            # What is painted belongs to the tile before, and was carried over: it must not reach this one.
            self.edit = None
            self.close()
            self._canvas.remove("labels")
            raise
        return self._lay(zoom=True, around=around or bool(place.check))

    def _take(self, project: Project, place: Place) -> None:
        """Open the labels and the proposal of a tile."""
        record = project.image(place.image)
        if self._store is None or self._project is not project or _other_labels(self.place, place):
            opened = answers(project, place.image) if place.check else project.labels(place.image)
            if self._store is not None:
                self._kept.put_away(self._store)
            self._forget()
            self._store = self._kept.newest(opened)
        run_id = proposal_shown(project, record, place.tile.id, place.check)
        if self._proposed_by != (run_id, place.image):
            self._proposed = open_proposal(project, run_id, place.image) if run_id else None
            self._proposed_by = (run_id, place.image)
        self.edit = self._opened(place.tile)
        self._project, self.place = project, place

    def _opened(self, tile: Tile) -> TileEdit:
        """Open a window, of the grid or not, with its part of the proposal."""
        assert self._store is not None
        proposal = None if self._proposed is None else np.asarray(self._proposed[tile.window])
        return TileEdit(self._store, tile, proposal, self._proposed_by[0])

    def _lay(self, *, zoom: bool, around: bool = True) -> bool:
        """Show the open window and what lies around it; returns whether the labels layer was made anew."""
        assert self._project is not None
        assert self.edit is not None
        assert self.place is not None
        size_um = self._project.image(self.place.image).pixel_size_um
        tile = self.edit.tile
        origin = (tile.window[0].start, tile.window[1].start)
        fresh = self._canvas.show_labels(self._shown(), origin, size_um, self.edit.store.writable)
        self._canvas.color_labels(self._project.classes)
        if around:
            self.show_around()
        self._canvas.look_at(origin, tile.shape, size_um, zoom=zoom)
        return fresh

    def show_around(self) -> None:
        """Outline what lies around the open window; a blind check is done without it."""
        if not self.lies_open or self.edit is None or self.place is None or self._canvas.labels is None:
            return
        window = self.edit.tile.window
        found = None if self.place.check else surroundings(self.edit.store, self._proposed, window)
        if found is None:
            self._canvas.surroundings.remove()
        else:
            rows, columns = relative(found[1], window)
            self._canvas.surroundings.show(self._canvas.labels, found[0], (rows.start, columns.start))

    # -- a window that is not on the grid --------------------------------------------------------------------------

    @property
    def centred(self) -> bool:
        """Whether the open window is not that of the tile on the grid."""
        if self._project is None or self.place is None:
            return False
        return self.place.tile != on_grid(self._project, self.place).tile

    def centre(self, at: tuple[int, int]) -> bool:
        """Move the open window so that the fibre at a pixel of the image, (row, column), can be edited whole.

        What is done there is stored where it lies and is taken back in this tile, in order. Accepting concerns the
        tile's own pixels only: a fibre belongs to the tile of its centroid, wherever it was corrected. Returns whether
        the window has moved; it moves back with the next tile, or with `home`.
        """
        if not self.lies_open or self._project is None or self._store is None:
            return False
        if self.place is None or self.place.check:
            return False
        self.commit()
        tile = on_grid(self._project, self.place).tile
        window = whole_window(self._store, self._proposed, at, tile.shape)
        if window == self.place.tile.window:
            return False
        self._move(replace(tile, window=window), zoom=False)
        return True

    def home(self) -> None:
        """Open the tile on the grid again, after `centre`."""
        if self.centred and self._project is not None and self.place is not None:
            self.commit()
            self._move(on_grid(self._project, self.place).tile, zoom=True)

    def _move(self, tile: Tile, *, zoom: bool) -> None:
        assert self.place is not None
        self.edit = self._opened(tile)
        self.place = replace(self.place, tile=tile)
        self._lay(zoom=zoom)

    def standings(self) -> dict[str, TileStatus]:
        """Where the tiles of the open image stand in which something was done, by their ids."""
        if self._store is None:
            return {}
        touched = {entry.tile for entry in self._store.journal.entries}
        return {tile: self._store.history(tile).status for tile in touched}

    # -- edits -----------------------------------------------------------------------------------------------------

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
        # A pixel that was painted in the class that is proposed, or that lies under ignore, differs only in its state.
        state, gone_over = self.edit.state, self._canvas.strokes.take(painted)
        repainted = ~left & ((state == IGNORED) | (gone_over & (state == MODEL)))
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
            self._reverted()

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self.commit()
        if self.edit is not None and self.editable and self.edit.redo() is not None:
            self._reverted()

    def _reverted(self) -> None:
        """Show what undo or redo has left, also around the tile if it reached over its border."""
        assert self.edit is not None
        self._canvas.replace_labels(self._shown())
        changed = self.edit.store.journal.entries[-1].window
        if intersection(changed, self.edit.tile.window) != changed:
            self.show_around()

    def accept(self) -> None:
        """Mark the tile as right."""
        self.commit()
        self.home()
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

    def reviewed(self) -> float:
        """Share of the open image that was reviewed, 0 to 1; a blind check does not show."""
        if self._project is not None and self.place is not None and self.place.check:
            return self._project.labels(self.place.image).reviewed_fraction()
        return self._store.reviewed_fraction() if self._store is not None else 0.0

    def close(self) -> None:
        """Put the tile away; its labels are written in the background, as long as `UnsavedEdits.kept` is waited for."""
        self.commit()
        if self._store is not None:
            self._kept.put_away(self._store)
        self._forget()
        with suppress(RuntimeError):  # Qt's side of a viewer may be gone already.
            if self._canvas.labels is not None and self._canvas.has_labels:
                self._canvas.labels.editable = False  # What is painted now would go nowhere.

    def _forget(self) -> None:
        self._store = self._project = self.place = self.edit = self._proposed = None
        self._proposed_by = ("", "")


def _other_labels(one: Place | None, other: Place) -> bool:
    """Whether the labels of two places are different files."""
    return one is None or one.image != other.image or bool(one.check) != bool(other.check)
