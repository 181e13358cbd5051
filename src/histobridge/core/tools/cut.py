"""Cut touching fibres apart with a stroke."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner
from histobridge.core.manifest import IGNORE
from histobridge.core.tiles import Window
from histobridge.core.tools.near import among, fibres_around, owner, thickened
from histobridge.core.tools.pick import Mask, around, beside, nested, tight
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

REACH_PX = 8
"""Pixels by which an end of the stroke that stops short of the background is drawn on to it."""

SLIVER = 0.05
"""Share of an axon below which what a stroke takes off is not half an axon but the slip of a hand."""


def cut(view: View, path: NDArray[np.floating], width_px: int = 1) -> ToolResult:
    """Part the fibres under a stroke by a thin line of background.

    Only fibres that the stroke itself crosses are cut. An axon is spared unless the stroke goes through it, that is,
    divides it. An end that lies in a sheath a few pixels before the background is drawn on to it. Where the line parts
    two axons, the sheath on each side belongs to the axon of that side, however ownership stood before.

    Parameters
    ----------
    view : View
        Constraints of ownership count.
    path : (N, 2) float
        (y, x) along the stroke, pixels of the tile.
    width_px : int
        Width of the line, an odd number of pixels. 0: no pixel changes its class, the line only says whose the sheath
        on each side is.

    Returns
    -------
    ToolResult

    Raises
    ------
    ToolError
        If the stroke touches no label, or nothing would change.
    """
    line = _drawn_on(view, _pixels(np.asarray(path, float), view.classes.shape))
    if not view.classes[tuple(line.T)].any():
        raise ToolError("Nothing was changed: the stroke touches no label.")
    window, fibres = fibres_around(view, line)
    mask = np.zeros(fibres.shape, np.bool_)
    mask[tuple((line - [side.start for side in window]).T)] = True
    broad = thickened(mask, width_px) & among(fibres, np.unique(fibres[mask]))
    classes = view.classes[window]
    axon = classes == view.inner if nested(view) else np.zeros_like(mask)
    divided = _divided(axon, broad) if width_px else np.zeros_like(mask)
    painted = broad & (~axon | divided) if width_px else divided
    if width_px and not painted.any():
        raise ToolError("Nothing was changed: the stroke only enters an axon; draw it right through to divide it.")
    after = view
    if width_px:
        after = replace(view, classes=edited(view, window, np.where(painted, 0, classes)).classes, fibres=None)
    sides = _sides(after, window, _concerned(fibres, axon, broad), broad) if nested(view) else _Sides((), 0, True)
    if not width_px and not sides.owners:
        done = sides.parted and sides.axons > 1
        why = "each side belongs to its axon already" if done else "draw the stroke right through the sheath"
        raise ToolError(f"Nothing was changed: {why}.")
    near = _around([tight(painted, window)[0]] if width_px else [], sides.owners)
    return ToolResult(after.classes, near, _words(sides, bool(divided.any())), owners=sides.owners)


@dataclass(frozen=True, slots=True)
class _Sides:
    """What lies on both sides of a cut."""

    owners: tuple[Owner, ...]
    axons: int
    parted: bool


def _concerned(fibres: NDArray[np.int32], axon: Mask, broad: Mask) -> Mask:
    """Pixels, (Y, X), of the fibres beside a line and of those beside what it cuts off from an axon."""
    from scipy import ndimage

    parts, count = ndimage.label(among(fibres, np.unique(fibres[broad])) & ~broad)
    loose = np.ones(count + 1, np.bool_)
    loose[parts[axon]] = False
    loose[0] = False
    return among(fibres, np.unique(fibres[beside(broad | loose[parts])]))


def _sides(view: View, window: Window, concerned: Mask, line: Mask) -> _Sides:
    """Find whose the sheath is on each side of `line`; a side with one axon is to be that axon's."""
    from scipy import ndimage

    classes, fibres = view.classes[window], view.fibres_in(window)
    sheath = classes == view.outer
    axons, count = ndimage.label(concerned & (classes == view.inner))
    parts, last = ndimage.label(((axons > 0) | (concerned & sheath)) & ~(line & sheath))
    pairs = np.unique(np.stack((parts[axons > 0], axons[axons > 0])), axis=1)
    alone = np.bincount(pairs[0], minlength=last + 1) == 1
    owners = []
    for part, axon in pairs[:, alone[pairs[0]]].T:
        its = axons == axon
        wrong = (parts == part) & sheath & (fibres != fibres[its][0])
        if wrong.any():
            owners.append(owner(window, its, wrong))
    return _Sides(tuple(owners), count, bool(alone[pairs[0]].all()))


def _words(sides: _Sides, divided: bool) -> str:
    if not sides.parted:
        return "The fibres still touch; draw the stroke all the way across what they share."
    if divided:
        return "The axon was cut in two."
    return "Cut: on each side the sheath belongs to the axon of that side." if sides.axons > 1 else "Cut."


def _divided(axon: Mask, broad: Mask) -> Mask:
    """Pixels of the stroke, (Y, X), in axons that it divides into parts worth the name."""
    from scipy import ndimage

    regions, _ = ndimage.label(axon)
    divided = np.zeros_like(axon)
    for region in np.unique(regions[axon & broad]):
        its = regions == region
        parts, count = ndimage.label(its & ~broad)
        areas = np.sort(np.bincount(parts.ravel(), minlength=count + 1)[1:])
        if count > 1 and areas[-2] >= SLIVER * its.sum():
            divided |= its & broad
    return divided


def _pixels(path: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Pixels (N, 2) of a tile of this shape along a stroke; consecutive ones share a side, so that nothing slips by."""
    steps = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))))
    places = np.linspace(0, steps[-1], int(4 * steps[-1]) + 2)
    points = np.floor(np.stack([np.interp(places, steps, axis) for axis in path.T], axis=1) + 0.5).astype(np.intp)
    line = np.repeat(points, 2, axis=0)[:-1]
    line[1::2, 1] = points[1:, 1]
    inside: NDArray[np.intp] = line[((line >= 0) & (line < shape)).all(axis=1)]
    if not len(inside):
        raise ToolError("Nothing was changed: the stroke lies outside the tile.")
    return inside


def _drawn_on(view: View, line: NDArray[np.intp]) -> NDArray[np.intp]:
    """Draw ends that lie in a sheath, or in a class that is not nested, on to background before them."""
    more = [line]
    for end, before in ((line[0], line[: 4 * REACH_PX][-1]), (line[-1], line[-4 * REACH_PX :][0])):
        window = around(view, (int(end[0]), int(end[1])), REACH_PX)
        free = np.argwhere(view.classes[window] == 0) + [side.start for side in window] - end
        length = np.hypot(*free.T)
        # Within 60 degrees of where the stroke was heading.
        ahead = (free @ (end - before) >= 0.5 * length * np.hypot(*(end - before))) & (length <= REACH_PX)
        if not ahead.any() or view.classes[tuple(end)] in (0, IGNORE, view.inner):
            continue
        target = end + free[ahead][length[ahead].argmin()]
        way = _pixels(np.stack((end, target)).astype(float), view.classes.shape)
        if not np.isin(view.classes[tuple(way.T)], [value for value in (IGNORE, view.inner) if value]).any():
            more.append(way)
    return np.concatenate(more)


def _around(windows: list[Window], owners: tuple[Owner, ...]) -> Window:
    """Smallest window around windows and pieces of sheath."""
    rows, columns = zip(*windows, *(owner.window for owner in owners), strict=True)
    sides = [slice(min(side.start for side in axis), max(side.stop for side in axis)) for axis in (rows, columns)]
    return sides[0], sides[1]
