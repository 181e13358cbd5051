"""Edit one tile: what the canvas shows, what changed, undo and redo."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import NOWHERE, Delta, Entry, Kind, Owner, intersection, relative
from histobridge.core.history import TileHistory, TileStatus
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE
from histobridge.core.ownership import standing_owners
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED, MODEL
from histobridge.core.tiles import Tile, Window


class TileEdit:
    """One tile, opened for looking or editing.

    The tile shows what is stored where the user has decided (state other than 0), and the proposal elsewhere; without a
    proposal, all that is stored. Every change is journalled by the store at once. Undo and redo belong to the tile and
    outlive the program.

    Parameters
    ----------
    store : LabelStore
        Labels of the image; edits need it to be writable.
    tile : Tile
        From `tile_grid` of the image.
    proposal : array (Y, X) of uint8, optional
        Classes proposed for the tile.
    proposal_run : str
        Id of the run that proposed them.

    Attributes
    ----------
    baseline : array (Y, X) of uint8
        The proposal; without one, what the tile showed at opening.

    Raises
    ------
    LockedError
        If the store is writable but somebody else edits the same labels.
    ValueError
        If the proposal has another shape than the tile.
    """

    def __init__(
        self, store: LabelStore, tile: Tile, proposal: NDArray[np.uint8] | None = None, proposal_run: str = ""
    ):
        if proposal is not None and proposal.shape != tile.shape:
            raise ValueError(f"the proposal is {proposal.shape}, tile {tile.id} is {tile.shape}")
        self.store = store
        self.tile = tile
        self.proposal_run = proposal_run
        if store.writable:
            store.begin()
        self._proposal = None if proposal is None else np.array(proposal, np.uint8)
        self._seen = store.journal.last
        self._labels: NDArray[np.uint8] = np.stack(store.read(tile.window))
        self._shown: NDArray[np.uint8] = self._merged()
        self.baseline = self._shown.copy() if self._proposal is None else self._proposal
        if store.writable and proposal is not None and self._history.proposal != proposal_run:
            self._event("merge")

    @property
    def _history(self) -> TileHistory:
        return self.store.history(self.tile.id)

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> NDArray[np.uint8]:
        """What the tile shows now, a copy, (Y, X) uint8."""
        return self._shown.copy()

    @property
    def state(self) -> NDArray[np.uint8]:
        """State per pixel, a copy, (Y, X) uint8: 0 model, 1 accepted, 2 corrected, 3 ignore."""
        return np.array(self._labels[1])

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Pixels that show another class than `baseline`."""
        return np.not_equal(self._shown, self.baseline)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """Ownership of sheaths set by hand that reaches into the tile and was not taken back, in pixels of the tile."""
        return standing_owners(self.store.journal, self.tile.window)

    @property
    def status(self) -> TileStatus:
        """Where the tile stands."""
        status = self._history.status
        return "proposed" if status == "open" and self._proposal is not None else status

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._history.undoable)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back and nothing done since."""
        return bool(self._history.redoable)

    # -- editing ---------------------------------------------------------------------------------------------------

    def commit(
        self,
        classes: NDArray[Any],
        near: Window | None = None,
        repainted: NDArray[np.bool_] | None = None,
        owners: tuple[Owner, ...] = (),
    ) -> int:
        """Take over what was painted, as one step of undo.

        Parameters
        ----------
        classes : array (Y, X) of integer
            The painted tile; 0 to 254.
        near : tuple of slice, optional
            Pixels of the tile, counted from its corner, outside which nothing was painted; makes it quicker.
        repainted : array (Y, X) of bool, optional
            Pixels that count as painted although their class is the same, as others that a brush went over do.
        owners : tuple of Owner
            Ownership of sheaths that the same step sets, in pixels of the tile.

        Returns
        -------
        int
            Painted pixels; they become corrected. 0: no step was made, unless to set `owners`.

        Raises
        ------
        LockedError
            If the store is read-only.
        ValueError
            If the shape or a painted value is wrong.
        """
        if classes.shape != self.tile.shape:
            raise ValueError(f"the painted labels are {classes.shape}, tile {self.tile.id} is {self.tile.shape}")
        area = _clipped(near, self.tile.shape)
        differ = classes[area] != self._shown[area]
        if repainted is not None:
            differ |= repainted[area]
        box = _box(differ)
        if box is None:
            if not owners:
                return 0
            box = NOWHERE
        mask = differ[box]
        window = _shifted(box, area)
        painted = classes[window][mask]
        if painted.min(initial=0) < 0 or painted.max(initial=0) >= IGNORE:
            raise ValueError(f"label values must lie in 0 to 254, found {painted.min()} to {painted.max()}")
        new = np.stack((painted, np.full_like(painted, CORRECTED))).astype(np.uint8)
        count = self._change("own" if owners else "stroke", window, mask, new, owners)
        self._shown[window][mask] = painted
        return count

    def own(self, owners: tuple[Owner, ...]) -> None:
        """Set whose pieces of sheath are, in pixels of the tile, as one step of undo; no pixel changes its class."""
        self.commit(self._shown, NOWHERE, owners=owners)

    def accept(self) -> int:
        """Mark every pixel nobody has decided as right, with the class it shows; returns how many those were.

        One step of undo; doing it again does nothing.
        """
        self._catch_up()
        mask = self._labels[1] == MODEL
        if self._history.accepted and not mask.any():
            return 0
        return self._mark("accept", mask, ACCEPTED)

    def accept_only(self, mask: NDArray[np.bool_]) -> int:
        """Mark what nobody has decided within `mask`, (Y, X) of the tile, as right; returns how many pixels those were.

        One step of undo, none if there was nothing to mark; the tile as a whole is not accepted by it.
        """
        self._catch_up()
        mask = self._checked(mask) & (self._labels[1] == MODEL)
        return self._mark("confirm", mask, ACCEPTED) if mask.any() else 0

    def ignore(self, mask: NDArray[np.bool_]) -> int:
        """Leave the pixels of `mask`, (Y, X) of the tile, out of learning; returns how many became so."""
        self._catch_up()
        mask = self._checked(mask) & (self._labels[1] != IGNORED)
        return self._mark("ignore", mask, IGNORED) if mask.any() else 0

    def skip(self) -> None:
        """Note that the user went on without deciding."""
        self._event("skip")

    def undo(self) -> NDArray[np.uint8] | None:
        """Take back the last step; returns what the tile shows then, or none if there is nothing to take back.

        Pixels that were changed since, in an overlapping tile, keep that change.
        """
        return self._revert("undo", self._history.undoable[-1].sequence) if self.can_undo else None

    def redo(self) -> NDArray[np.uint8] | None:
        """Do again what `undo` took back last; returns what the tile shows then, or none if there is nothing."""
        return self._revert("redo", self._history.redoable[-1].sequence) if self.can_redo else None

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every edit is on disk, see `Journal.flush`."""
        return self.store.journal.flush(timeout)

    def _entry(self, kind: Kind) -> Entry:
        return Entry(kind, self.tile.id, proposal=self.proposal_run)

    def _event(self, kind: Kind) -> None:
        self.store.append(Delta.event(self._entry(kind)))

    def _checked(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if mask.shape != self.tile.shape:
            raise ValueError(f"the mask is {mask.shape}, tile {self.tile.id} is {self.tile.shape}")
        return mask.astype(np.bool_)

    def _mark(self, kind: Kind, mask: NDArray[np.bool_], state: int) -> int:
        """Write down the shown classes of `mask` with a new state; an event if the mask is empty."""
        self._shown = self._merged()
        box = _box(mask)
        if box is None:
            self._event(kind)
            return 0
        mask = mask[box]
        shown = self._shown[box][mask]
        return self._change(kind, box, mask, np.stack((shown, np.full_like(shown, state))))

    def _change(
        self,
        kind: Kind,
        local: Window,
        mask: NDArray[np.bool_],
        new: NDArray[np.uint8],
        owners: tuple[Owner, ...] = (),
    ) -> int:
        """Journal new classes and states, (2, N), of the pixels of `mask` at `local`, pixels of the tile."""
        self._catch_up()
        count = int(new.shape[1])
        old = np.stack([array[local][mask] for array in self._labels])
        same = int(np.count_nonzero((old[1] == MODEL) & (new[0] == self._shown[local][mask])))
        entry = replace(self._entry(kind), window=_shifted(local, self.tile.window), pixels=count, same=same)
        placed = tuple(owner.moved(*(side.start for side in self.tile.window)) for owner in owners)
        self.store.append(Delta(entry, mask.copy(), old, new, placed))
        self._catch_up()
        return count

    def _revert(self, kind: Kind, sequence: int) -> NDArray[np.uint8]:
        self.store.begin()
        delta = self.store.journal.read(sequence)
        self._catch_up()
        inside = intersection(window := delta.entry.window, self.tile.window) == window  # then without the disk
        current = self._labels[:, *relative(window, self.tile.window)] if inside else np.stack(self.store.read(window))
        reverted = delta.reverted(current, kind)
        self.store.append(replace(reverted, entry=replace(reverted.entry, proposal=self.proposal_run)))
        self._catch_up()
        self._shown = self._merged()
        return self.classes

    def _catch_up(self) -> None:
        """Apply what was journalled since, here or in overlapping tiles."""
        for entry in self.store.journal.since(self._seen):
            if entry.pixels:
                self.store.journal.read(entry.sequence).apply(self.tile.window, self._labels)
            self._seen = entry.sequence

    def _merged(self) -> NDArray[np.uint8]:
        stored, state = self._labels
        return stored.copy() if self._proposal is None else np.where(state == MODEL, self._proposal, stored)


def tile_status(store: LabelStore, tile: Tile) -> TileStatus:
    """Where a tile stands, from the journal alone; quick enough for a list of all tiles."""
    return store.history(tile.id).status


def _box(mask: NDArray[np.bool_]) -> Window | None:
    """Smallest window around the pixels of `mask`; none if there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    rows_slice = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(mask[rows_slice].any(axis=0))
    return rows_slice, slice(int(columns[0]), int(columns[-1]) + 1)


def _clipped(near: Window | None, shape: tuple[int, int]) -> Window:
    rows, columns = near or (slice(None), slice(None))
    return slice(*rows.indices(shape[0])[:2]), slice(*columns.indices(shape[1])[:2])


def _shifted(window: Window, corner: Window) -> Window:
    """Count `window` from where the pixels start from whose corner `corner` counts."""
    return relative(window, (slice(-corner[0].start, 0), slice(-corner[1].start, 0)))
