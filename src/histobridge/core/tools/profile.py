"""How far a sheath is from a place inside it, in every direction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tools.pick import Mask
from histobridge.core.tools.result import View

DIRECTIONS = 180
REACH_PX = 400
"""Length of a ray."""

STEEPEST = 1.5
"""Largest change of the distance per change of the angle, in units of the distance, along one and the same sheath."""

WALL = 6
"""Most directions beside a gap that are taken for the cut end of a sheath."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Profile:
    """A sheath as seen from a place inside.

    Parameters
    ----------
    centre : tuple of int
        (y, x), pixels of the tile.
    start : ndarray (K,) float
        Pixels from the centre to the inner outline of the sheath, direction k at the angle 2 pi k / K from x to y;
        filled in from both sides where nothing of it is seen.
    thickness : ndarray (K,) float
        Pixels of the enclosing class along the ray; not a number where nothing of the sheath is seen.
    leaves : ndarray (K,) bool
        Rays that come to the edge of the tile first.
    """

    centre: tuple[int, int]
    start: Floats
    thickness: Floats
    leaves: Mask

    @property
    def seen(self) -> Mask:
        """Directions in which there is a sheath."""
        return np.isfinite(self.thickness)

    @property
    def coverage(self) -> float:
        """Share of the directions with a sheath, of those that do not come to the edge of the tile first."""
        counted = np.count_nonzero(~self.leaves | self.seen)
        return float(np.count_nonzero(self.seen) / counted) if counted else 0.0

    @property
    def half(self) -> float:
        """Half the median thickness in pixels, at least half a pixel; 0.5 if there is no sheath."""
        return max(0.5, float(np.median(self.thickness[self.seen])) / 2) if self.seen.any() else 0.5

    @property
    def solidity(self) -> float:
        """Area of the outline over that of its convex hull; what lies between fibres has little."""
        from scipy.spatial import ConvexHull

        angle = np.arange(len(self.start)) * (2 * np.pi / len(self.start))
        y, x = self.start * np.sin(angle), self.start * np.cos(angle)
        area = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        return area / float(ConvexHull(np.stack((y, x), axis=1)).volume)

    @property
    def halves(self) -> Floats:
        """Half the thickness in every direction, (K,), calmed and filled in; a neighbour that touches adds little."""
        from scipy import ndimage

        seen = np.flatnonzero(self.seen)
        calm = ndimage.median_filter(self.thickness[seen], 9, mode="wrap") / 2
        known = calm.clip(self.half / 2, 1.5 * self.half)
        return np.asarray(np.interp(np.arange(len(self.start)), seen, known, period=len(self.start)))

    def direction(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.intp]:
        """Index of the direction in which pixels lie."""
        angle = np.arctan2(y - self.centre[0], x - self.centre[1])
        return np.round(angle * (len(self.start) / (2 * np.pi))).astype(np.intp) % len(self.start)


def look_around(view: View, centre: tuple[int, int]) -> Profile:
    """Measure the sheath around a place.

    Rays go out until they meet the enclosing class. What they meet through a gap, a neighbour's sheath, lies farther
    off than what is seen on both sides of it, with a jump of the distance at both ends; such stretches are taken out,
    the farthest first.

    Parameters
    ----------
    view : View
    centre : tuple of int
        (y, x), pixels of the tile, not of the enclosing class.

    Returns
    -------
    Profile
    """
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    step = np.arange(1, min(REACH_PX, max(view.classes.shape)))
    y = np.round(centre[0] + np.sin(angle)[:, None] * step).astype(np.intp)
    x = np.round(centre[1] + np.cos(angle)[:, None] * step).astype(np.intp)
    height, width = view.classes.shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    value = np.where(inside, view.classes[y.clip(0, height - 1), x.clip(0, width - 1)], IGNORE)
    sheath = value == view.outer
    met = sheath.any(axis=1)
    first = sheath.argmax(axis=1)
    beyond = ~sheath & (np.arange(len(step)) > first[:, None])
    last = np.where(beyond.any(axis=1), beyond.argmax(axis=1), len(step))
    start = _without_neighbours(np.where(met, step[first], np.inf).astype(np.float64))
    thickness = np.where(np.isfinite(start), last - first, np.nan)
    start = _without_walls(start, thickness)
    seen = np.isfinite(start)
    whole = np.interp(angle, angle[seen], start[seen], period=2 * np.pi) if seen.any() else start
    return Profile(centre, np.asarray(whole, np.float64), thickness, ~met & ~inside[:, -1])


def _without_neighbours(start: Floats) -> Floats:
    """Make what is seen through gaps infinite."""
    start = start.copy()
    while True:
        pieces = _pieces(start)
        behind = [
            piece
            for before, piece, after in zip(pieces[-1:] + pieces[:-1], pieces, pieces[1:] + pieces[:1], strict=True)
            # More than half of all that is seen is the sheath itself, behind a crumb.
            if 2 * len(piece) < len(start)
            and start[piece[0]] > start[before[-1]]
            and start[piece[-1]] > start[after[0]]
        ]
        if len(pieces) < 2 or not behind:
            return start
        start[max(behind, key=lambda piece: float(start[piece].mean()))] = np.inf


def _without_walls(start: Floats, thickness: Floats) -> Floats:
    """Make infinite what is seen beside a gap where rays meet the cut end of the sheath, not its inside.

    They meet the sheath later and have a shorter way through it than the rays farther from the gap.
    """
    start = start.copy()
    for _ in range(WALL):
        seen = np.isfinite(start)
        for turn in (1, -1):
            beside_gap = seen & ~np.roll(seen, turn)
            later = start > np.roll(start, -3 * turn)
            thinner = thickness < np.roll(thickness, -3 * turn)
            start[beside_gap & later & thinner] = np.inf
    return start


def _pieces(start: Floats) -> list[NDArray[np.intp]]:
    """Directions without a jump of the distance between them, once around; those that see nothing are left out."""
    count = len(start)
    seen = np.flatnonzero(np.isfinite(start))
    if not seen.size:
        return []
    following = np.roll(seen, -1)
    nearer = np.minimum(start[seen], start[following])
    turned = (following - seen) % count
    jump = np.abs(start[following] - start[seen]) > 1.5 + STEEPEST * nearer * turned * (2 * np.pi / count)
    ends = np.flatnonzero(jump)
    if not ends.size:
        return [seen]
    return [np.asarray(piece) for piece in np.split(np.roll(seen, -int(ends[0]) - 1), np.diff(ends).cumsum())]
