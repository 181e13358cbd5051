"""Grow a sheath around an axon, as thick as those nearby."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tools.pick import Mask, beside, connected, need_pair, pixel, tight, widened
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

NEAR_PX = 16
"""How far from the axon a click may be."""

MARGINS_PX = (64, 192)
"""How far around the axon neighbours are looked for; the second if there is none within the first."""

LEAST_SAMPLES = 8
"""Pixels of the outline of a sheath that must be seen for its thickness to count."""

LEAST_OWN = 0.15
"""The same for the sheath of the axon itself, in units of the axon's outline."""

Floats = NDArray[np.float64]


def grow_sheath(view: View, at: tuple[float, float], thickness_px: float | None = None) -> ToolResult:
    """Surround the axon under a click with a sheath.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, on the axon or beside it.
    thickness_px : float, optional
        At least 1. Else that of what the axon has of a sheath, else the median of those of the neighbouring fibres.

    Returns
    -------
    ToolResult
        Background became the enclosing class up to the thickness from the axon, but only where no other axon is nearer.

    Raises
    ------
    ToolError
        If there is no axon, no sheath to take the thickness from, or no background around the axon.

    Notes
    -----
    The thickness of a sheath is the median distance from the pixels of its outer outline to the nearest axon, over
    those that have nothing but sheath between. Where two sheaths touch, half of both counts.
    """
    need_pair(view)
    place = _axon_near(view, pixel(view, at))
    if thickness_px is not None and thickness_px < 1:
        raise ToolError(f"Nothing was changed: a sheath is at least 1 px thick, not {thickness_px:g} px.")
    box, _ = tight(connected(view.classes == view.inner, place))
    source = "as asked"
    for margin in MARGINS_PX:
        window = widened(view, box, max(margin, int(2 * (thickness_px or 0)) + 2))
        around = _Axons(view.classes[window], view, (place[0] - window[0].start, place[1] - window[1].start))
        thickness = thickness_px
        if thickness is None:
            thickness, source = around.thickness()
        if thickness is not None:
            break
    else:
        raise ToolError("Nothing was changed: there is no sheath nearby to take the thickness from.")
    return edited(view, window, around.grown(thickness), f"Sheath of {thickness:.0f} px, {source}.")


class _Axons:
    """An axon among others: which is nearest to a pixel, and how far."""

    def __init__(self, classes: NDArray[np.uint8], view: View, place: tuple[int, int]):
        from scipy import ndimage

        self.classes, self.view = classes, view
        regions, _ = ndimage.label(classes == view.inner)
        self.distance, self.nearest = ndimage.distance_transform_edt(classes != view.inner, return_indices=True)
        self.owner = regions[tuple(self.nearest)]
        self.own = int(regions[place])
        self.axon: Mask = regions == self.own

    def thickness(self) -> tuple[float | None, str]:
        """Thickness in pixels and where it is from; none if there is no sheath."""
        y, x = np.nonzero(self._outline())
        owner, distance = self.owner[y, x], self.distance[y, x]
        mine = distance[owner == self.own]
        length = np.count_nonzero(self.axon & beside(~self.axon))
        if len(mine) >= max(LEAST_SAMPLES, LEAST_OWN * length):
            return float(np.median(mine)), "like the rest of it"
        others, counts = np.unique(owner[owner != self.own], return_counts=True)
        medians = [float(np.median(distance[owner == other])) for other in others[counts >= LEAST_SAMPLES]]
        if not medians:
            return None, ""
        return float(np.median(medians)), f"like {len(medians)} nearby" if len(medians) > 1 else "like the one nearby"

    def _outline(self) -> Mask:
        """Outer outline of the sheaths, where nothing but sheath lies between it and the axon."""
        sheath = self.classes == self.view.outer
        elsewhere = ~sheath & (self.classes != self.view.inner) & (self.classes != IGNORE)
        outline: Mask = sheath & beside(elsewhere)
        # Two sheaths that touch end halfway.
        for axis in (0, 1):
            ahead = np.roll(self.owner, -1, axis) != self.owner
            ahead[(-1, slice(None)) if axis == 0 else (slice(None), -1)] = False
            outline |= sheath & (ahead | np.roll(ahead, 1, axis))
        y, x = np.nonzero(outline)
        to_y, to_x = self.nearest[:, y, x]
        solid = np.ones(len(y), np.bool_)
        for part in (0.2, 0.4, 0.6, 0.8):
            between = np.round(y + part * (to_y - y)).astype(int), np.round(x + part * (to_x - x)).astype(int)
            solid &= np.isin(self.classes[between], (self.view.inner, self.view.outer))
        outline[y[~solid], x[~solid]] = False
        return outline

    def grown(self, thickness: float) -> NDArray[np.uint8]:
        """Classes with the sheath."""
        from scipy import ndimage

        near = (self.owner == self.own) & (self.distance <= thickness + 0.5)
        # What lies behind something else is not reached.
        ground = near & np.isin(self.classes, (0, self.view.inner, self.view.outer))
        reached = ndimage.binary_propagation(self.axon, mask=ground)
        return np.where(reached & (self.classes == 0), self.view.outer, self.classes).astype(np.uint8)


def _axon_near(view: View, place: tuple[int, int]) -> tuple[int, int]:
    """Nearest pixel of an axon."""
    window = widened(view, (slice(place[0], place[0] + 1), slice(place[1], place[1] + 1)), NEAR_PX)
    y, x = np.nonzero(view.classes[window] == view.inner)
    if not y.size:
        raise ToolError("Nothing was changed: there is no axon at this place.")
    y, x = y + window[0].start, x + window[1].start
    nearest = int(np.hypot(y - place[0], x - place[1]).argmin())
    return int(y[nearest]), int(x[nearest])
