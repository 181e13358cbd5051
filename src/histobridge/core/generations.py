"""Generations of a snapshot: what it held before stays reachable by links, so that damage costs nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import intersection, relative
from histobridge.core.errors import ProjectError
from histobridge.core.files import fsync, keep_bytes
from histobridge.core.label_arrays import NAMES, Chunk, LabelArrays
from histobridge.core.snapshot import (
    ABSENT,
    NEITHER,
    SNAPSHOT,
    Snapshot,
    digest,
    digest_of,
    read_snapshot,
    write_snapshot,
)
from histobridge.core.tiles import Window

KEPT = 3
CatchUp = Callable[[int, Window, NDArray[np.uint8]], None]
"""Applies all edits after one of them to labels, (2, Y, X), of a window."""


class Generations:
    """The newest snapshot of the arrays, the few before it, and the first one.

    A generation is a folder ``generations/<sequence>`` with its own `snapshot.json` and links to the chunk files that
    the following snapshot has replaced. Chunks are found by their digest, wherever they lie.

    Parameters
    ----------
    arrays : LabelArrays
    keep : int
        Generations kept besides the newest and the first.

    Attributes
    ----------
    told : list of str
        What was found damaged, in the user's words.
    damaged : set of Chunk
        Chunks to be written anew by the next snapshot.
    outdated : bool
        Whether the next snapshot has `snapshot.json` or a `zarr.json` to mend.
    """

    def __init__(self, arrays: LabelArrays, keep: int = KEPT):
        self.folder = arrays.folder / "generations"
        self.told: list[str] = []
        self.damaged: set[Chunk] = set()
        self.outdated = False
        self._rebuilt: set[Chunk] = set()
        self._arrays = arrays
        self._keep = keep

    # -- reading ---------------------------------------------------------------------------------------------------

    def newest(self) -> Snapshot:
        """Read `snapshot.json`, or where that is damaged the newest generation that is whole.

        Raises
        ------
        ProjectError
            If a newer version made it.
        """
        path = self._arrays.folder / SNAPSHOT
        found = read_snapshot(path)
        if found is not None:
            return found
        kept = next(self._kept(), None)
        if not path.exists() and self.highest() == 0:  # before the first snapshot, or just during it
            return kept or Snapshot()
        how = f"that of edit {kept.sequence} and the journal are used" if kept else "the whole journal is used"
        self.told.append(f"{path} was damaged or lost; {how} in its place")
        self.outdated = True
        return kept or Snapshot()

    def highest(self) -> int:
        """Highest sequence number of any generation, readable or not; 0 if there is none."""
        return max((int(folder.name) for folder in self._folders()), default=0)

    def stored(self, window: Window, snapshot: Snapshot, catch_up: CatchUp) -> NDArray[np.uint8]:
        """Read the arrays; what is damaged comes from earlier generations and the journal.

        Parameters
        ----------
        window : tuple of slice
            Absolute pixels (Y, X).
        snapshot : Snapshot
            The newest.
        catch_up : callable
            Brings a chunk of an earlier generation up to date.

        Returns
        -------
        array (2, Y, X) of uint8
            Classes and state; `snapshot` or newer.

        Raises
        ------
        ProjectError
            If a chunk is damaged in all generations.
        """
        chunks = self._arrays.chunks(window)
        described = self.metadata_sound(snapshot)
        bad = [chunk for chunk in chunks if not (described and self._sound(chunk, snapshot))]
        if not bad:
            return self._arrays.read(window)
        labels: NDArray[np.uint8] = np.zeros((2, *(side.stop - side.start for side in window)), np.uint8)
        for chunk in chunks:
            place = self._arrays.window(chunk)
            part = intersection(place, window)
            if part is None:
                continue
            if chunk in bad:
                values, sequence = self._read(chunk, snapshot)
                catch_up(sequence, place, values)
            else:
                place, values = part, self._arrays.read(part)
            labels[:, *relative(part, window)] = values[:, *relative(part, place)]
        return labels

    def _sound(self, chunk: Chunk, snapshot: Snapshot) -> bool:
        """Whether the files of a chunk are those of the snapshot; true if it does not say."""
        return snapshot.digests is None or self._digests(chunk) == snapshot.digests.get(chunk, NEITHER)

    def metadata_sound(self, snapshot: Snapshot) -> bool:
        """Whether both `zarr.json` are those of the snapshot; true if it does not say, or had none."""
        pairs = zip(snapshot.metadata, self._metadata(), strict=True)
        if snapshot.digests is None or all(before in (ABSENT, now) for before, now in pairs):
            return True
        if not self.outdated:
            self.outdated = True
            self.told.append(f"a zarr.json in {self._arrays.folder} was damaged or lost; the next edit writes it anew")
        return False

    def _read(self, chunk: Chunk, snapshot: Snapshot) -> tuple[NDArray[np.uint8], int]:
        """Find a chunk in the newest generation that has it whole; also returns the last edit contained in it."""
        where = f"chunk {chunk[0]}/{chunk[1]} of {self._arrays.folder}"
        for each in (snapshot, *self._kept()):
            wanted = (each.digests or {}).get(chunk, NEITHER)
            found = [self._find(name, chunk, one) for name, one in zip(NAMES, wanted, strict=True)]
            if each.digests is None or None in found:
                continue
            self.damaged.add(chunk)
            # At the newest edit it may be a snapshot that was interrupted, or is just being taken.
            if each.sequence < snapshot.sequence and chunk not in self._rebuilt:
                self._rebuilt.add(chunk)
                self.told.append(f"{where} was damaged; it is rebuilt from edit {each.sequence} and the journal")
            return np.stack([self._arrays.decode(chunk, data) for data in found if data is not None]), each.sequence
        raise ProjectError(
            f"{where} is damaged and no earlier generation has it; bring that folder back from a backup, or import the "
            "image and its masks again"
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    def described(self, sequence: int, reviewed: dict[Chunk, int], before: Snapshot, chunks: list[Chunk]) -> Snapshot:
        """Describe the arrays as they are now, after `chunks` were written."""
        digests = dict(self._known(before)) | {chunk: self._digests(chunk) for chunk in chunks}
        whole = {chunk: each for chunk, each in digests.items() if each != NEITHER}
        return Snapshot(sequence, reviewed, whole, self._metadata())

    def preserve(self, snapshot: Snapshot, chunks: list[Chunk]) -> None:
        """Link the files of chunks that are about to be replaced into the generation of `snapshot`, durably."""
        folder = self._folder(snapshot.sequence)
        if read_snapshot(folder / SNAPSHOT) is None:
            folder.mkdir(parents=True, exist_ok=True)
            write_snapshot(folder / SNAPSHOT, self.described(snapshot.sequence, snapshot.reviewed or {}, snapshot, []))
        for chunk in chunks:
            for name in NAMES:
                file, link = self._arrays.file(name, chunk), folder / _link_name(name, chunk)
                if file.exists() and not link.exists():
                    keep_bytes(file, link)
        for each in (folder / SNAPSHOT, folder, self.folder, self._arrays.folder):
            fsync(each)

    def publish(self, snapshot: Snapshot) -> None:
        """Make `snapshot` the newest one, and forget those that are too old."""
        write_snapshot(self._arrays.folder / SNAPSHOT, snapshot)
        self.damaged.clear()
        self.outdated = False
        folder = self._folder(snapshot.sequence)
        folder.mkdir(parents=True, exist_ok=True)
        write_snapshot(folder / SNAPSHOT, snapshot, durable=False)  # `preserve` syncs it before anything needs it
        self._forget()

    def _forget(self) -> None:
        """Remove generations between the first and the newest; what only the first one needs moves there."""
        first, *others = sorted(self._folders(), key=lambda folder: int(folder.name))
        base = read_snapshot(first / SNAPSHOT)
        needed = {} if base is None or base.digests is None else base.digests
        wanted = {
            _link_name(name, chunk): one
            for chunk, pair in needed.items()
            for name, one in zip(NAMES, pair, strict=True)
        }
        for folder in others[: -(self._keep + 1)]:
            for file in folder.iterdir():
                here = first / file.name
                if file.name in wanted and not here.exists() and digest_of(file) == wanted[file.name]:
                    file.replace(here)
                else:
                    file.unlink()
            fsync(first)
            folder.rmdir()

    # -- files -----------------------------------------------------------------------------------------------------

    def _known(self, snapshot: Snapshot) -> dict[Chunk, tuple[str, str]]:
        """Digests of a snapshot; of the arrays as they are if it does not say."""
        stored = self._arrays.stored() if snapshot.digests is None else ()
        return snapshot.digests or {chunk: self._digests(chunk) for chunk in stored}

    def _kept(self) -> Iterator[Snapshot]:
        """All readable generations, the newest first."""
        for folder in sorted(self._folders(), key=lambda folder: -int(folder.name)):
            found = read_snapshot(folder / SNAPSHOT)
            if found is not None and found.sequence == int(folder.name):
                yield found

    def _find(self, name: str, chunk: Chunk, wanted: str) -> bytes | None:
        """Bytes of the chunk file with this digest, empty for a chunk of zeros; none if it lies nowhere."""
        if wanted == ABSENT:
            return b""
        for file in (self._arrays.file(name, chunk), *(each / _link_name(name, chunk) for each in self._folders())):
            with suppress(OSError):
                data = file.read_bytes()
                if digest(data) == wanted:
                    return data
        return None

    def _digests(self, chunk: Chunk) -> tuple[str, str]:
        classes, state = (digest_of(self._arrays.file(name, chunk)) for name in NAMES)
        return classes, state

    def _metadata(self) -> tuple[str, str]:
        classes, state = (digest_of(self._arrays.folder / name / "zarr.json") for name in NAMES)
        return classes, state

    def _folder(self, sequence: int) -> Path:
        return self.folder / f"{sequence:010d}"

    def _folders(self) -> list[Path]:
        return [folder for folder in self.folder.glob("*") if folder.name.isdecimal()]


def _link_name(name: str, chunk: Chunk) -> str:
    return f"{name}-{chunk[0]}-{chunk[1]}"
