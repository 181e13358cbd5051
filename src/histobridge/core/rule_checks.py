"""Single rules of myelinated fibres, checked on a piece of a tile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner, intersection, relative
from histobridge.core.manifest import IGNORE
from histobridge.core.scale import MIN_AREA_PX
from histobridge.core.tiles import Window, overlap
from histobridge.core.tools.near import deepest
from histobridge.core.tools.pick import Mask, beside

ViolationKind = Literal["open", "bare", "shared", "taken", "empty"]
Regions = NDArray[np.int32]

POCKET = 0.5
"""Free space round an axon, as a share of its area, up to which a sheath counts as closed around both."""

SHEATH = 0.35
"""Thickness of a thick sheath (g-ratio 0.6) as a share of the axon's diameter."""

TAKEN = 1 / 3
"""Share of the sheath right beside an axon that may belong to others: a thin shared wall has only one owner."""

RAYS = 48


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is broken at one place.

    Parameters
    ----------
    kind : str
        ``open``: the sheath of an axon has a gap; ``bare``: an axon without a sheath; ``shared``: several axons in one
        sheath with nothing between them; ``taken``: the sheath round an axon belongs to others; ``empty``: a sheath
        without an axon.
    at : tuple of int
        (y, x), pixels of the tile: the gap, or inside the object.
    window : tuple of slice
        Pixels of the tile around the object.
    words : str
        For the user.
    """

    kind: ViolationKind
    at: tuple[int, int]
    window: Window
    words: str


class UnclearError(Exception):
    """The piece shows too little of an object to judge it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a tile.

    Parameters
    ----------
    classes : array (Y, X) of uint8
    pair : tuple of int
        Values of the enclosed and the enclosing class.
    owners : tuple of Owner
        Constraints that stand, counted from the corner of the piece.
    goes_on : tuple of bool
        Whether the tile goes on above, below, to the left, to the right.
    """

    classes: NDArray[np.uint8]
    pair: tuple[int, int]
    owners: tuple[Owner, ...]
    goes_on: tuple[bool, bool, bool, bool]

    @property
    def axons(self) -> Regions:
        """Numbers of the axons, (Y, X)."""
        return regions_of(self.classes == self.pair[0])

    def cut_off(self, regions: Regions) -> NDArray[np.bool_]:
        """Whether each region, by its number, reaches a side behind which the tile goes on."""
        sides = zip(self.goes_on, (regions[0], regions[-1], regions[:, 0], regions[:, -1]), strict=True)
        found = np.zeros(int(regions.max(initial=0)) + 1, np.bool_)
        found[np.concatenate([np.zeros(1, np.int32), *(side for goes_on, side in sides if goes_on)])] = True
        found[0] = False
        return found

    def hidden(self, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether places (2, N), (y, x), lie outside the piece where the tile goes on."""
        above, below, left, right = self.goes_on
        (y, x), (height, width) = places, self.classes.shape
        outside = ((y < 0) & above) | ((y >= height) & below) | ((x < 0) & left) | ((x >= width) & right)
        return np.asarray(outside, np.bool_)

    def partly_seen(self, box: Window, margin: int) -> bool:
        """Whether something this near is the edge of the tile, or ignored."""
        for side, length, before, after in zip(
            box, self.classes.shape, self.goes_on[::2], self.goes_on[1::2], strict=True
        ):
            if (not before and side.start < margin) or (not after and side.stop > length - margin):
                return True
        return bool((self.classes[grown(box, margin)] == IGNORE).any())


def open_sheaths(piece: Piece, axons: Regions, zone: Window) -> Iterator[Violation]:
    """Find axons in `zone` whose sheath is open or missing, or that share one.

    What is not sheath falls into regions; the sheath is closed around axons that fill most of theirs.

    Raises
    ------
    UnclearError
        If the piece shows too little of an object.
    """
    boxes = boxes_of(axons)
    holes = regions_of(piece.classes != piece.pair[1])
    inside = axons > 0
    hole_of = np.zeros(len(boxes) + 1, np.intp)
    hole_of[axons[inside]] = holes[inside]
    last = int(holes.max(initial=0))
    filled = np.bincount(holes[inside], minlength=last + 1)
    is_open = np.bincount(holes.ravel(), minlength=last + 1) - filled > POCKET * filled
    axon_cut, hole_cut = piece.cut_off(axons), piece.cut_off(holes)
    together: dict[int, list[int]] = {}
    for number, box in enumerate(boxes, 1):
        hole = int(hole_of[number])
        if overlap(box, zone) and (axon_cut[number] or (hole_cut[hole] and not is_open[hole])):
            raise UnclearError
        if not is_open[hole]:
            together.setdefault(hole, []).append(number)
        elif overlap(box, zone):
            yield from _open(piece, axons, number, box)
    for numbers in together.values():
        box = _around([boxes[number - 1] for number in numbers])
        if len(numbers) > 1 and overlap(box, zone) and not piece.partly_seen(box, 2):
            smallest = min(numbers, key=lambda number: int(np.count_nonzero(axons[boxes[number - 1]] == number)))
            at = place_of(axons, smallest, boxes[smallest - 1])
            yield Violation("shared", at, box, f"{len(numbers)} axons in one sheath")


def _open(piece: Piece, axons: Regions, number: int, box: Window) -> Iterator[Violation]:
    """Say where the sheath of an axon is open, by rays from its middle; `UnclearError` if one leaves the piece."""
    diameter = 2 * float(np.sqrt(np.count_nonzero(axons[box] == number) / np.pi))
    if piece.partly_seen(box, round(SHEATH * diameter) + 2):
        return
    centre = place_of(axons, number, box)
    angles = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
    steps = np.arange(int(np.hypot(*(side.stop - side.start for side in box)) + diameter) + 8)
    rays = np.rint(np.stack((np.sin(angles), np.cos(angles)))[:, :, None] * steps).astype(np.intp)
    wanted = rays + np.array(centre)[:, None, None]
    places = np.clip(wanted, 0, np.array(piece.classes.shape)[:, None, None] - 1)
    end = len(steps) - (axons[tuple(places)] == number)[:, ::-1].argmax(axis=1)
    sheath = (piece.classes[tuple(places)] == piece.pair[1]) & (steps >= end[:, None])
    gaps = np.where(sheath.any(axis=1), sheath.argmax(axis=1) - end, len(steps))
    reached = np.minimum(gaps + end, len(steps) - 1)
    if piece.hidden(wanted[:, range(RAYS), reached]).any():
        raise UnclearError
    if not (gaps <= SHEATH * diameter + 2).any():
        yield Violation("bare", centre, box, "An axon without a sheath")
        return
    # The middle of the longest run of rays that see the widest gap; the circle is walked twice to close it.
    run = longest = last = 0
    for ray in range(2 * RAYS):
        run = run + 1 if gaps[ray % RAYS] == gaps.max() and run < RAYS else 0
        longest, last = (run, ray) if run > longest else (longest, last)
    ray = (last - longest // 2) % RAYS
    y, x = places[:, ray, min(int(end[ray]) + 1, len(steps) - 1)]
    yield Violation("open", (int(y), int(x)), box, "The sheath of this axon is open here")


def taken_sheaths(piece: Piece, axons: Regions, zone: Window) -> Iterator[Violation]:
    """Find axons in `zone` most of whose sheath was given to others."""
    if not piece.owners:
        return
    given = np.zeros(piece.classes.shape, np.int32)
    for owner, area, mask in _pieces(piece):
        y, x = owner.axon
        seen = 0 <= y < piece.classes.shape[0] and 0 <= x < piece.classes.shape[1]
        # An axon that is not seen here has a number that none of those here has.
        given[area][mask] = axons[y, x] if seen else -1
    for number, box in enumerate(boxes_of(axons), 1):
        near = grown(box, 3)
        if not overlap(box, zone) or not given[near].any() or piece.partly_seen(box, 2):
            continue
        rim = beside(beside(axons[near] == number)) & (piece.classes[near] == piece.pair[1])
        others = (given[near] != 0) & (given[near] != number)
        if rim.any() and others[rim].mean() > TAKEN:
            at = place_of(axons, number, box)
            yield Violation("taken", at, box, "Much of the sheath round this axon belongs to another one")


def empty_sheaths(piece: Piece, axons: Regions, zone: Window) -> Iterator[Violation]:
    """Find sheaths in `zone` without an axon; raises `UnclearError` if the piece shows too little of one."""
    from scipy import ndimage

    parts = regions_of((axons > 0) | (piece.classes == piece.pair[1]))
    areas = np.bincount(parts.ravel())
    owned = np.zeros(len(areas), np.bool_)
    owned[parts[axons > 0]] = True
    for _, area, mask in _pieces(piece):
        owned[parts[area][mask]] = True
    cut = piece.cut_off(parts)
    for number, box in enumerate(boxes_of(parts), 1):
        if owned[number] or not overlap(box, zone):
            continue
        if cut[number]:
            raise UnclearError
        if areas[number] < MIN_AREA_PX or piece.partly_seen(box, 1):
            continue
        # An axon may lie free inside its sheath.
        if not axons[box][ndimage.binary_fill_holes(parts[box] == number)].any():
            yield Violation("empty", place_of(parts, number, box), box, "A sheath without an axon")


def _pieces(piece: Piece) -> Iterator[tuple[Owner, Window, Mask]]:
    """What the user has given to axons, as far as it is seen here, and what of it is sheath."""
    field = (slice(0, piece.classes.shape[0]), slice(0, piece.classes.shape[1]))
    for owner in piece.owners:
        area = intersection(owner.window, field)
        if area is not None:
            yield owner, area, owner.mask[relative(area, owner.window)] & (piece.classes[area] == piece.pair[1])


def regions_of(mask: Mask) -> Regions:
    """Number connected pixels, (Y, X), from 1; 0 outside."""
    from scipy import ndimage

    return np.asarray(ndimage.label(mask)[0], np.int32)


def boxes_of(regions: Regions) -> list[Window]:
    """Window of each region, in the order of their numbers."""
    from scipy import ndimage

    found: list[Window] = ndimage.find_objects(regions)
    return found


def place_of(regions: Regions, number: int, box: Window) -> tuple[int, int]:
    """Deepest pixel of a region that lies in `box`."""
    y, x = deepest(regions[box] == number)
    return box[0].start + y, box[1].start + x


def grown(box: Window, margin: int) -> Window:
    """Add a margin on all sides; past the end of an array a slice stops by itself."""
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns


def _around(boxes: Sequence[Window]) -> Window:
    rows, columns = zip(*boxes, strict=True)
    sides = [slice(min(side.start for side in axis), max(side.stop for side in axis)) for axis in (rows, columns)]
    return sides[0], sides[1]
