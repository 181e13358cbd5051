"""Which tool the simulated annotator takes for an error: what is wrong there, as the truth tells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.annotator import EVERYWHERE, Classes, Error
from histobridge.core.annotator_outlines import choose_move
from histobridge.core.fibres import number_fibres
from histobridge.core.manifest import IGNORE
from histobridge.core.tools.fill import is_open, passable
from histobridge.core.tools.near import deepest
from histobridge.core.tools.pick import Mask, beside, connected
from histobridge.core.tools.result import View

FALSE = 0.75
"""Share of a shown fibre that must be background for the fibre to be false."""

ROUND = 0.45
"""Share of a sheath that must be shown for a ring to be closed rather than a sheath to be grown."""

NARROW_PX = 5.0
"""Widest bridge that is cut, and widest gap that is merged; wider ones the brush mends as quickly."""

LEAST_PART = 0.1
"""Share of an axon below which a piece of it is a crumb."""

ROUGH = 1.3
"""Outline of what is shown over that of the truth from which an object is rough."""

LIKE = 0.5
"""Share of its area by which a rough object may differ from the true one; what differs more is not just rough."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Use of one tool.

    Parameters
    ----------
    tool : str
    points : ndarray (N, 2) of float
        Clicks, or the ends of the stroke of a cut; (y, x), pixels of the tile.
    room_px : float
        How far the target reaches around the points.
    """

    tool: str
    points: NDArray[np.float64]
    room_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Tools to use one after another.

    Parameters
    ----------
    steps : tuple of Step
    mends : ndarray (Y, X) of bool
        Pixels of the tile that the brush would have to paint otherwise.
    """

    steps: tuple[Step, ...]
    mends: Mask


class Diagnosis:
    """What is wrong with a tile, seen by someone who knows the truth.

    Parameters
    ----------
    truth : ndarray (Y, X) of uint8
        Class values; 255 unknown.
    pair : tuple of int
        Values of the enclosed and the enclosing class; empty if there are none.
    outlines : bool
        Move whole outlines that are off.
    """

    def __init__(self, truth: Classes, pair: tuple[int, ...], outlines: bool = False):
        self.truth, self.pair, self.outlines = truth, pair, outlines and bool(pair)
        self.values = set(np.unique(truth).tolist()) - {0, IGNORE}
        self.fibres = number_fibres(truth, pair, self.values)

    def bare(self, shown: Classes, error: Error) -> int:
        """Find the fibre of a wrong piece of sheath whose axon is not shown yet.

        Parameters
        ----------
        shown : ndarray (Y, X) of uint8
            Class values.
        error : tuple
            Right class, window of the tile, wrong pixels in it.

        Returns
        -------
        int
            Number of the fibre; 0 if the error is another one.
        """
        if not self.pair or error[0] != self.pair[1]:
            return 0
        fibre = _most(self.fibres, error)
        axon = (self.fibres == fibre) & (self.truth == self.pair[0])
        return fibre if axon.any() and (shown[axon] == self.pair[0]).mean() < 0.5 else 0

    def is_axon(self, error: Error, fibre: int) -> bool:
        """Whether an error is a missing piece of the axon of a fibre.

        Parameters
        ----------
        error : tuple
            Right class, window of the tile, wrong pixels in it.
        fibre : int
            From `bare`.

        Returns
        -------
        bool
        """
        return error[0] in self.pair[:1] and _most(self.fibres, error) == fibre

    def plan(self, view: View, error: Error, small: bool) -> Plan | None:
        """Choose tools for an error.

        Parameters
        ----------
        view : View
            The tile as shown.
        error : tuple
            Right class, window of the tile, wrong pixels in it.
        small : bool
            Whether the error is small or narrow.

        Returns
        -------
        Plan or None
            None: none of the tools is made for this.
        """
        value = error[0]
        wrong = np.zeros(self.truth.shape, np.bool_)
        wrong[error[1]] = error[2]
        instead = _most(view.classes, error)
        found = self._delete(view, error) if value == 0 and instead else None
        if found is None and instead not in (value, 0, IGNORE):
            found = self._cut(view, wrong, instead)
        if found is None and value not in (0, *self.pair[1:]):
            found = self._merge(view, wrong, value)
        if found is None and self.pair and instead == 0:
            found = self._fill(view, wrong) if value == self.pair[0] else self._sheath(view, error, wrong)
        found = self._smooth(view, wrong) if found is None and small else found
        return self._outline(view, (value, instead), wrong) if found is None and self.outlines else found

    def _delete(self, view: View, error: Error) -> Plan | None:
        whole = (slice(0, self.truth.shape[0]), slice(0, self.truth.shape[1]))
        fibres = view.fibres_in(whole)
        fibre = (fibres == _most(fibres, error)) & (fibres > 0)
        false = fibre & (self.truth == 0)
        known = np.count_nonzero(fibre & (self.truth != IGNORE))
        return Plan((_click("delete_fibre", false),), false) if np.count_nonzero(false) > FALSE * known else None

    def _fill(self, view: View, wrong: Mask) -> Plan | None:
        """Fill the ring around an empty axon, which may have to be closed first."""
        fill = _click("fill_inner", wrong)
        place = (int(fill.points[0, 0]), int(fill.points[0, 1]))
        region = connected(passable(view), place)
        axon = connected(self.truth == self.pair[0], place)
        if not is_open(view, region):
            empty = region & (view.classes == 0) & (self.truth != IGNORE)
            right = empty & (self.truth == self.pair[0])
            return Plan((fill,), right) if 2 * right.sum() > empty.sum() else None
        sheath = (self.fibres == self.fibres[place]) & (self.truth == self.pair[1])
        if not sheath.any() or (view.classes[sheath] == self.pair[1]).mean() < ROUND:
            return None
        return Plan((_click("close_ring", wrong), fill), (axon | sheath) & (view.classes == 0))

    def _sheath(self, view: View, error: Error, wrong: Mask) -> Plan | None:
        """Grow the sheath that an axon lacks, or close it where it has a gap."""
        fibre = self.fibres == _most(self.fibres, error)
        axon = fibre & (self.truth == self.pair[0])
        shown = axon & (view.classes == self.pair[0])
        if error[0] != self.pair[1] or 2 * shown.sum() <= axon.sum():
            return None
        sheath = fibre & (self.truth == self.pair[1])
        missing = sheath & (view.classes == 0)
        if missing.sum() > (1 - ROUND) * sheath.sum():
            return Plan((_click("grow_sheath", shown),), missing)
        place = deepest(shown)
        gap = bool((beside(shown) & wrong).any()) and is_open(view, connected(passable(view), place))
        return Plan((_click("close_ring", shown),), missing) if gap else None

    def _cut(self, view: View, wrong: Mask, instead: int) -> Plan | None:
        """Part what has run together by a narrow bridge of a class that is not a sheath."""
        from scipy import ndimage

        if instead in self.pair[1:] or width_of(wrong) > NARROW_PX:
            return None
        y, x = deepest(wrong)
        blob = connected(view.classes == instead, (y, x))
        regions, _ = ndimage.label(self.truth == instead)
        parts = _parts(regions, blob)
        if len(parts) < 2:
            return None
        away = [ndimage.distance_transform_edt(regions != part) for part in parts]
        nearest, second = sorted(away, key=lambda distance: float(distance[y, x]))[:2]
        between = blob & (regions == 0) & (np.abs(nearest - second) <= 1.5)
        places = np.argwhere(between).astype(np.float64)
        if len(places) < 2:
            return None
        centre = places.mean(axis=0)
        along = np.linalg.svd(places - centre, full_matrices=False)[2][0]
        reach = (places - centre) @ along
        ends = np.stack([centre + (reach.min() - 2) * along, centre + (reach.max() + 2) * along])
        return Plan((Step("cut", ends, NARROW_PX),), wrong)

    def _merge(self, view: View, wrong: Mask, value: int) -> Plan | None:
        """Join two pieces of what is one object, parted by a narrow gap of background."""
        from scipy import ndimage

        whole = connected(self.truth == value, deepest(wrong))
        regions, _ = ndimage.label(view.classes == value)
        parts = _parts(regions, whole, int(whole.sum()))
        near = [part for part in parts if (ndimage.binary_dilation(regions == part, EVERYWHERE) & wrong).any()]
        if len(near) < 2 or width_of(wrong) > NARROW_PX:
            return None
        pieces = [whole & (regions == part) for part in near[:2]]
        points = np.array([deepest(piece) for piece in pieces], np.float64)
        return Plan((Step("merge", points, min(width_of(piece) for piece in pieces) / 2),), wrong)

    def _smooth(self, view: View, wrong: Mask) -> Plan | None:
        """Smooth a shown object whose outline is much longer than the true one."""
        fibre, true = self._matched(view, wrong)
        rough = true.any() and _outline(fibre) >= ROUGH * _outline(true)
        if not rough or np.count_nonzero(fibre ^ true) > LIKE * np.count_nonzero(true):
            return None
        return Plan((_click("smooth", fibre),), (fibre ^ true) & (self.truth != IGNORE))

    def _outline(self, view: View, what: tuple[int, int], wrong: Mask) -> Plan | None:
        """Move an outline that is off all around."""
        fibre, true = self._matched(view, wrong)
        axon = fibre & (view.classes == self.pair[0])
        if not true.any() or not axon.any():
            return None
        move = choose_move(view.classes, self.truth, fibre, true, (self.pair[0], self.pair[1]), what)
        return Plan((_click(move[0], axon),) * move[1], move[2]) if move else None

    def _matched(self, view: View, wrong: Mask) -> tuple[Mask, Mask]:
        """Find the shown fibre at wrong pixels and the true one that it stands for; empty if there is none."""
        whole = (slice(0, self.truth.shape[0]), slice(0, self.truth.shape[1]))
        shown = view.fibres_in(whole)
        number = _commonest(shown[beside(wrong)])
        fibre = (shown == number) & (shown > 0)
        return fibre, (self.fibres == _commonest(self.fibres[fibre])) & (self.fibres > 0)


def _parts(regions: NDArray[np.int32], inside: Mask, whole: int = 0) -> list[int]:
    """Regions of which more than a crumb lies inside, measured by their areas or by `whole`, the largest first."""
    area = np.bincount(regions.ravel())
    covered = np.bincount(regions[inside], minlength=len(area))
    covered[0] = 0
    return [int(part) for part in np.argsort(-covered) if covered[part] > LEAST_PART * (whole or area[part])]


def _click(tool: str, target: Mask) -> Step:
    return Step(tool, np.array([deepest(target)], np.float64), width_of(target) / 2)


def _most(numbers: NDArray[np.integer], error: Error) -> int:
    """Most frequent number but 0 among those of the wrong pixels; 0 if more than half of them are."""
    wrong = numbers[error[1]][error[2]]
    return 0 if 2 * np.count_nonzero(wrong) < wrong.size else _commonest(wrong)


def _commonest(numbers: NDArray[np.integer]) -> int:
    """Most frequent number but 0; 0 if there is none."""
    counts = np.bincount(numbers[numbers > 0])
    return int(counts.argmax()) if counts.size else 0


def width_of(mask: Mask) -> float:
    """Largest width of a mask.

    Parameters
    ----------
    mask : ndarray (Y, X) of bool

    Returns
    -------
    float
        Pixels; twice the largest distance of its pixels from those outside.
    """
    from scipy import ndimage

    return float(2 * ndimage.distance_transform_edt(np.pad(mask, 1)).max())


def _outline(mask: Mask) -> int:
    """Pixels of a mask, (Y, X), at its edge."""
    return int(np.count_nonzero(mask & beside(~mask)))
