"""The labels of one image: classes and state per pixel, on disk."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Delta, Entry, intersection
from histobridge.core.disk import room_for
from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.generations import KEPT, Generations
from histobridge.core.history import TileHistory
from histobridge.core.journal import Journal
from histobridge.core.label_arrays import CHUNK, Chunk, LabelArrays
from histobridge.core.manifest import IGNORE
from histobridge.core.snapshot import SNAPSHOT, Snapshot
from histobridge.core.states import ACCEPTED, IGNORED
from histobridge.core.tiles import Window

COMPRESSION = 20
"""Pixels to a byte of compressed labels, at the least."""


class LabelStore:
    """Classes and state of every pixel of one image, never wholly in memory.

    Pixels are two zarr arrays, brought up to date by `snapshot`, and the edits since then, which lie in the journal.

    Parameters
    ----------
    folder : Path
        ``labels/<domain>/<id>`` of the project; it need not exist yet, then all pixels read as zeros.
    shape : tuple of int
        Image (Y, X) in pixels.
    writable : bool
        Whether the caller holds the edit lock.
    generations : int
        Snapshots kept besides the newest and the first.

    Attributes
    ----------
    journal : Journal
        All edits; knows what is pending, torn or damaged.
    written : tuple of int
        Chunks that the newest `snapshot` has written so far, and all that it writes.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], writable: bool = False, generations: int = KEPT):
        self.folder = folder
        self.shape = shape
        self.writable = writable
        self._arrays = LabelArrays(folder, shape)
        self._snapshotting = threading.Lock()
        self.written = (0, 0)
        self._generations = Generations(self._arrays, generations)
        self._snapshot = self._generations.newest()
        after = max(self._snapshot.sequence, self._generations.highest())
        self.journal = Journal(folder / "journal.log", after=after)
        self._histories = _histories(self.journal.entries)
        self._total: int | None = None

    @classmethod
    def create(cls, folder: Path, shape: tuple[int, int], classes: Any = None, state: Any = None) -> Self:
        """Make the labels of a new image.

        Parameters
        ----------
        folder : Path
            Made if missing; arrays left there by an interrupted import are replaced.
        shape : tuple of int
            Image (Y, X) in pixels.
        classes : array-like (Y, X) of uint8, optional
            Anything that can be sliced, such as a zarr array; read in parts. 255 means unlabelled. None: nothing
            labelled yet.
        state : array-like (Y, X) of uint8, optional
            0 model, 1 accepted, 2 corrected, 3 ignore. None: unlabelled pixels are ignore and all others accepted, or
            0 everywhere without `classes`.

        Returns
        -------
        LabelStore
            Writable.

        Raises
        ------
        ProjectError
            If edits were already journalled there.
        ValueError
            If an array has another shape.
        """
        for name, array in (("classes", classes), ("state", state)):
            if array is not None and tuple(array.shape) != tuple(shape):
                raise ValueError(f"{name} is {tuple(array.shape)}, the image {tuple(shape)}")
        if (folder / "journal.log").exists():
            raise ProjectError(f"{folder} already holds edited labels; choose another image id")
        if classes is not None or state is not None:
            room_for(folder, shape[0] * shape[1] // COMPRESSION)
        (folder / SNAPSHOT).unlink(missing_ok=True)
        shutil.rmtree(folder / "generations", ignore_errors=True)
        arrays = LabelArrays(folder, shape)
        arrays.create()
        reviewed: dict[Chunk, int] = {}
        if classes is not None or state is not None:
            for chunk in arrays.chunks():
                window = arrays.window(chunk)
                labels = _initial(window, classes, state)
                arrays.write(window, labels)
                reviewed[chunk] = int(np.count_nonzero(labels[1]))
        arrays.sync()
        generations = Generations(arrays)
        generations.publish(generations.described(0, reviewed, Snapshot(digests={}), arrays.chunks()))
        return cls(folder, shape, writable=True)

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return self._arrays.exist or bool(self.journal.entries)

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read one window.

        Parameters
        ----------
        window : tuple of slice
            Absolute pixels (Y, X) inside the image, each side with start and stop.

        Returns
        -------
        classes, state : array (Y, X) of uint8
            Copies; zeros where nothing was stored.

        Raises
        ------
        ProjectError
            If what is stored cannot be read or has another shape.
        """
        classes, state = self._read(window)
        return classes, state

    def reviewed_fraction(self) -> float:
        """Share of all pixels whose state is not 0 (model): accepted, corrected or ignored; 0 to 1.

        Counted at the first call and kept up to date from then on, so that it can be asked after every stroke.
        """
        if self._total is None:
            self._total = sum(self._counts().values())
        return self._total / (self.shape[0] * self.shape[1])

    def corrections(self) -> Iterator[Window]:
        """Windows, disjoint and row by row, that together hold all pixels whose state is not 0 (model)."""
        counts = self._counts()
        return (self._arrays.window(chunk) for chunk in sorted(counts) if counts[chunk])

    def history(self, tile: str) -> TileHistory:
        """What was done in the tile of this id."""
        return self._histories.setdefault(tile, TileHistory())

    def problems(self) -> list[str]:
        """What was found damaged on disk, in the user's words; empty if all is well."""
        found = [
            f"{size} bytes at {offset} of {self.journal.path} cannot be read; edits before and after are kept, and the "
            "file is left as it is for a rescue from a backup"
            for offset, size in self.journal.damaged
        ]
        if self.journal.torn:
            found.append(f"the last {self.journal.torn} bytes of {self.journal.path} are an unfinished edit")
        found += [f"an unfinished edit was moved to {aside}" for aside in self.journal.set_aside]
        return found + self._generations.told

    # -- writing ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Get ready to edit, see `Journal.begin`; raises `LockedError` if this is not allowed here or now."""
        if not self.writable:
            raise LockedError(f"the labels in {self.folder} are open read-only; take the edit lock to change them")
        if self.journal.begin():
            self._snapshot = self._generations.newest()
            self._histories = _histories(self.journal.entries)
            self._total = None

    def append(self, delta: Delta, time: float = 0.0) -> int:
        """Take one edit, of `time` or now, whose old values are what is stored now; returns its number at once.

        Raises `LockedError` in a read-only store.
        """
        self.begin()
        if self._total is not None:
            self._total += int(np.count_nonzero(delta.new[1])) - int(np.count_nonzero(delta.old[1]))
        sequence = self.journal.append(delta, time)
        self.history(delta.entry.tile).add(self.journal.entries[-1])
        return sequence

    def snapshot(self) -> None:
        """Bring the arrays up to date with the journal, so that opening and reading stay quick.

        May be called from any thread. A crash at any point is harmless: the same edits are applied again.

        Raises
        ------
        ProjectError
            If edits cannot be written to the journal, which comes first.
        """
        self.begin()
        with self._snapshotting:
            if not self.journal.flush():
                raise ProjectError(
                    f"{self.journal.path} cannot be written: {self.journal.trouble}; edits stay in memory"
                )
            before, generations = self._snapshot, self._generations
            edits = [entry for entry in self.journal.since(before.sequence) if entry.pixels]
            sound = generations.metadata_sound(before)
            if not edits and not generations.damaged and not generations.outdated:
                return
            chunks = sorted({*self._touched(edits), *generations.damaged})
            room_for(self.folder, 2 * CHUNK * CHUNK * len(chunks))
            reviewed = dict(self._stored_counts())
            if not self._arrays.exist and before.digests is None:
                before = replace(before, digests={})
            generations.preserve(before, chunks)
            self._arrays.ensure(anew=not sound)
            for number, chunk in enumerate(chunks):
                self.written = (number, len(chunks))
                window = self._arrays.window(chunk)
                labels = self._read(window)
                self._arrays.write(window, labels)
                reviewed[chunk] = int(np.count_nonzero(labels[1]))
            self._arrays.sync_names()
            last = edits[-1].sequence if edits else before.sequence
            after = generations.described(last, reviewed, before, chunks)
            generations.publish(after)
            self._snapshot = after

    def close(self) -> None:
        """Write everything and let others edit; raises `ProjectError` and stays open if edits cannot be written."""
        if self.writable and self.journal.begun and self.journal.flush():
            # Without room for a snapshot the edits are still all in the journal.
            with suppress(OSError, ProjectError):
                self.snapshot()
        self.journal.close()

    def _read(self, window: Window) -> NDArray[np.uint8]:
        for side, length in zip(window, self.shape, strict=True):
            if not 0 <= side.start <= side.stop <= length:
                raise ValueError(f"window {window} is not inside the image {self.shape}")
        snapshot = self._snapshot
        labels = self._generations.stored(window, snapshot, self._catch_up)
        # Asked for after the arrays were read: a snapshot in between cannot have stored edits that are missing here.
        self._catch_up(snapshot.sequence, window, labels)
        return labels

    def _catch_up(self, sequence: int, window: Window, labels: NDArray[np.uint8]) -> None:
        for entry in self.journal.since(sequence):
            if intersection(entry.window, window):
                self.journal.read(entry.sequence).apply(window, labels)

    def _touched(self, edits: list[Entry]) -> list[Chunk]:
        return sorted({chunk for edit in edits for chunk in self._arrays.chunks(edit.window)})

    def _counts(self) -> dict[Chunk, int]:
        """Reviewed pixels per chunk, now."""
        touched = self._touched([entry for entry in self.journal.since(self._snapshot.sequence) if entry.pixels])
        fresh = {chunk: int(np.count_nonzero(self._read(self._arrays.window(chunk))[1])) for chunk in touched}
        return self._stored_counts() | fresh

    def _stored_counts(self) -> dict[Chunk, int]:
        """Reviewed pixels per chunk of the arrays; counted when the snapshot does not say."""
        if self._snapshot.reviewed is None:
            counts = {
                chunk: int(np.count_nonzero(self._arrays.read(self._arrays.window(chunk))[1]))
                for chunk in self._arrays.stored()
            }
            self._snapshot = replace(self._snapshot, reviewed=counts)
        return self._snapshot.reviewed or {}


def _initial(window: Window, classes: Any, state: Any) -> NDArray[np.uint8]:
    rows, columns = window
    labels = np.zeros((2, rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    if classes is not None:
        labels[0] = classes[window]
        labels[1] = np.where(labels[0] == IGNORE, IGNORED, ACCEPTED)
    if state is not None:
        labels[1] = state[window]
    labels[0][labels[0] == IGNORE] = 0
    return labels


def _histories(entries: list[Entry]) -> dict[str, TileHistory]:
    histories: dict[str, TileHistory] = {}
    for entry in entries:
        histories.setdefault(entry.tile, TileHistory()).add(entry)
    return histories
