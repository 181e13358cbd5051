"""One journalled change of labels: which pixels, from what, to what."""

import itertools
import json
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.tiles import Window

Kind = Literal["stroke", "undo", "redo", "accept", "confirm", "skip", "ignore", "merge", "own"]
FORMAT = 2
"""Newest format that is read; a record is written in the oldest one that can tell it."""
NOWHERE: Window = (slice(0, 0), slice(0, 0))
_FORMATS: dict[Kind, int] = {"own": 2, "confirm": 2}
_HEAD_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal keeps in memory of a change: all but its pixels.

    Parameters
    ----------
    kind : str
        What the user did; `skip` and `merge` change no pixels.
    tile : str
        Id of the tile in which it was done.
    window : tuple of slice
        Absolute pixels (Y, X) around the change.
    pixels : int
        How many pixels changed.
    of : int
        Sequence number of the change that this one takes back; 0 for none.
    proposal : str
        Id of the run whose proposal the tile showed.
    time : float
        Seconds since 1970.
    sequence : int
        Place in the journal, from 1.
    same : int
        How many of the pixels were undecided and keep the class that was proposed.
    """

    kind: Kind
    tile: str
    window: Window = NOWHERE
    pixels: int = 0
    of: int = 0
    proposal: str = ""
    time: float = 0.0
    sequence: int = 0
    same: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """A piece of sheath belongs to one axon, whichever axon lies nearest.

    Parameters
    ----------
    axon : tuple of int
        A pixel (y, x) inside the axon.
    window : tuple of slice
        Pixels (Y, X) around the piece, counted as those of `axon` are: from the corner of the tile in what a tool
        returns, from that of the image in the journal.
    mask : array (Y, X) of bool
        Pixels of `window` that belong to the axon while they are sheath.
    """

    axon: tuple[int, int]
    window: Window
    mask: NDArray[np.bool_]

    def moved(self, y: int, x: int) -> "Owner":
        """Count from a corner that lies `y` and `x` pixels before the one counted from so far."""
        rows, columns = self.window
        window = slice(rows.start + y, rows.stop + y), slice(columns.start + x, columns.stop + x)
        return Owner((self.axon[0] + y, self.axon[1] + x), window, self.mask)


@dataclass(frozen=True, slots=True)
class Delta:
    """A change in absolute coordinates; applying it again changes nothing more.

    Parameters
    ----------
    entry : Entry
    mask : array (Y, X) of bool
        Pixels of `entry.window` that changed.
    old, new : array (2, N) of uint8
        Class and state of these N pixels before and after, in row order.
    owners : tuple of Owner
        Ownership of sheaths set by the change, in absolute pixels; taking the change back ends it.
    """

    entry: Entry
    mask: NDArray[np.bool_]
    old: NDArray[np.uint8]
    new: NDArray[np.uint8]
    owners: tuple[Owner, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be read back: a journal is too late a place to find out."""
        if self.mask.shape != _shape(self.entry.window):
            raise ValueError(f"a mask of {self.mask.shape} does not fill the window {self.entry.window}")
        for owner in self.owners:
            if owner.mask.shape != _shape(owner.window):
                raise ValueError(f"a mask of {owner.mask.shape} does not fill the window {owner.window}")
        for values in (self.old, self.new):
            if values.dtype != np.uint8 or values.shape != (2, self.entry.pixels):
                raise ValueError(f"expected (2, {self.entry.pixels}) uint8, found {values.shape} {values.dtype}")

    @classmethod
    def event(cls, entry: Entry) -> "Delta":
        """Make a change of no pixels."""
        nothing = np.zeros((2, 0), np.uint8)
        return cls(replace(entry, window=NOWHERE, pixels=0), np.zeros((0, 0), np.bool_), nothing, nothing)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(array.nbytes for array in (self.mask, self.old, self.new, *(owner.mask for owner in self.owners)))

    def apply(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Set the new values in `labels`, (2, Y, X) uint8 of classes and state at `window`."""
        common = intersection(self.entry.window, window)
        if common is None:
            return
        inside = relative(common, self.entry.window)
        mask = self.mask[inside]
        # One array after the other: a mask over two axes of three is several times slower.
        for target, new in zip(labels[:, *relative(common, window)], self.new, strict=True):
            if common == self.entry.window:
                target[mask] = new
            else:
                values = np.zeros(self.mask.shape, np.uint8)
                values[self.mask] = new
                target[mask] = values[inside][mask]

    def reverted(self, current: NDArray[np.uint8], kind: Kind) -> "Delta":
        """Make the change that takes this one back where `current`, (2, Y, X) at its window, still shows it."""
        same = (current[:, self.mask] == self.new).all(axis=0)
        mask = self.mask.copy()
        mask[self.mask] = same
        entry = replace(self.entry, kind=kind, pixels=int(same.sum()), of=self.entry.sequence, same=0)
        return Delta(entry, mask, self.new[:, same], self.old[:, same])


def encode(delta: Delta) -> bytes:
    """Write a change as JSON head and compressed arrays."""
    head: dict[str, Any] = {
        "format": _FORMATS.get(delta.entry.kind, 1),
        "sequence": delta.entry.sequence,
        "kind": delta.entry.kind,
        "tile": delta.entry.tile,
        "box": _box(delta.entry.window),
        "pixels": delta.entry.pixels,
        "of": delta.entry.of,
        "proposal": delta.entry.proposal,
        "time": round(delta.entry.time, 3),
    }
    if delta.entry.same:
        head["same"] = delta.entry.same
    if delta.owners:
        head["owners"] = [[*map(int, (*owner.axon, *_box(owner.window)))] for owner in delta.owners]
    text = json.dumps(head, separators=(",", ":")).encode()
    masks = [np.packbits(mask).tobytes() for mask in (delta.mask, *(owner.mask for owner in delta.owners))]
    arrays = masks[0] + delta.old.tobytes() + delta.new.tobytes() + b"".join(masks[1:])
    return _HEAD_LENGTH.pack(len(text)) + text + zlib.compress(arrays, 1)


def decode_entry(payload: bytes) -> Entry:
    """Read the head of an encoded change.

    Raises
    ------
    ValueError
        If it is not one.
    ProjectError
        If a newer version wrote it.
    """
    try:
        (length,) = _HEAD_LENGTH.unpack_from(payload)
        head = json.loads(payload[_HEAD_LENGTH.size : _HEAD_LENGTH.size + length])
        if int(head["format"]) > FORMAT:
            raise ProjectError(
                f"the label journal has records of format {head['format']}, made by a newer HistoBridge; this one "
                f"reads up to {FORMAT}. Upgrade with: pip install -U napari-histobridge"
            )
        if head["kind"] not in get_args(Kind):
            raise ValueError(f"unknown kind {head['kind']!r}")
        window = _window(*map(int, head["box"]))
        sequence, pixels, of = (int(head[name]) for name in ("sequence", "pixels", "of"))
        same = int(head.get("same", 0))
        moment, tile, proposal = float(head["time"]), str(head["tile"]), str(head["proposal"])
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a journal record: {error}") from error
    return Entry(head["kind"], tile, window, pixels, of, proposal, moment, sequence, same)


def entry_after(payload: bytes | None, before: list[Entry]) -> Entry | None:
    """Read the head of a record; none if it is no record or does not follow those before."""
    if payload is None:
        return None
    try:
        entry = decode_entry(payload)
    except ValueError:
        return None
    return entry if entry.sequence > (before[-1].sequence if before else 0) else None


def decode(payload: bytes) -> Delta:
    """Read an encoded change; raises `ValueError` if it is not one."""
    entry = decode_entry(payload)
    (length,) = _HEAD_LENGTH.unpack_from(payload)
    try:
        arrays = np.frombuffer(zlib.decompress(payload[_HEAD_LENGTH.size + length :]), np.uint8)
        head = json.loads(payload[_HEAD_LENGTH.size : _HEAD_LENGTH.size + length])
        owners = [(int(y), int(x), _window(*map(int, box))) for y, x, *box in head.get("owners", ())]
    except (zlib.error, TypeError, ValueError) as error:
        raise ValueError(f"not a journal record: {error}") from error
    sizes = [-(-height * width // 8) for height, width in map(_shape, (entry.window, *(each[2] for each in owners)))]
    if len(arrays) != sum(sizes) + 4 * entry.pixels:
        raise ValueError(f"journal record {entry.sequence} has {len(arrays)} bytes for {entry.pixels} pixels")
    mask = _unpacked(arrays[: sizes[0]], entry.window)
    end = sizes[0] + 4 * entry.pixels
    old, new = arrays[sizes[0] : end].reshape(2, 2, entry.pixels)
    if np.count_nonzero(mask) != entry.pixels:
        raise ValueError(f"journal record {entry.sequence} does not mark {entry.pixels} pixels")
    starts = itertools.accumulate(sizes[1:], initial=end)
    pieces = [
        _unpacked(arrays[at : at + size], each[2]) for at, size, each in zip(starts, sizes[1:], owners, strict=False)
    ]
    owned = tuple(Owner((y, x), window, piece) for (y, x, window), piece in zip(owners, pieces, strict=True))
    return Delta(entry, mask, old, new, owned)


def _shape(window: Window) -> tuple[int, int]:
    rows, columns = window
    return rows.stop - rows.start, columns.stop - columns.start


def _box(window: Window) -> list[int]:
    """First row and column, height and width."""
    return [window[0].start, window[1].start, *_shape(window)]


def _window(y: int, x: int, height: int, width: int) -> Window:
    if min(height, width) < 0:
        raise ValueError(f"a window of {height} x {width} pixels")
    return slice(y, y + height), slice(x, x + width)


def _unpacked(packed: NDArray[np.uint8], window: Window) -> NDArray[np.bool_]:
    shape = _shape(window)
    return np.unpackbits(packed, count=shape[0] * shape[1]).astype(np.bool_).reshape(shape)


def intersection(one: Window, other: Window) -> Window | None:
    """Pixels in both windows; none if there are none."""
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def relative(window: Window, origin: Window) -> Window:
    """Shift `window` to count from the first pixel of `origin`."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, origin, strict=True))
    return rows, columns
