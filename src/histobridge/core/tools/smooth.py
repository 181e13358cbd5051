"""Smooth the outline of one object."""

import numpy as np

from histobridge.core.tools.pick import Mask, beside, nested, object_at, pixel, widened
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

MOST_CHANGED = 0.3
"""Share of an object that smoothing may take or add."""


def smooth(view: View, at: tuple[float, float], radius_px: float = 3.0) -> ToolResult:
    """Smooth the outlines of the object under a click, those of an axon and its sheath together.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile.
    radius_px : float
        Details smaller than this go, in pixels; at least 0.5.

    Returns
    -------
    ToolResult
        Only pixels of the object and background beside it changed. What touches a neighbour stays, an object that did
        not touch another one still does not, and an axon that was enclosed still is.

    Raises
    ------
    ToolError
        If there is no object, if it is too thin for the radius or smooth already.

    Notes
    -----
    A pixel belongs to the new object if more than half of what lies around it does, weighted by a Gaussian of standard
    deviation `radius_px`; other objects and ignored pixels have no weight.
    """
    if radius_px < 0.5:
        raise ToolError(f"Nothing was changed: the radius must be at least 0.5 px, not {radius_px:g} px.")
    box, _ = found = object_at(view, at)
    window = widened(view, box, int(4 * radius_px) + 2)
    whole = np.zeros(view.classes.shape, np.bool_)
    whole[found[0]] = found[1]
    whole, old = whole[window], view.classes[window]
    others = (old != 0) & ~whole
    pair = nested(view)
    value = int(view.classes[pixel(view, at)])
    surround = view.outer if value in pair else value
    # An axon without a sheath and a sheath without an axon are plain objects.
    core = whole & (old == view.inner) if value in pair else np.zeros_like(whole)
    if core.any() and not (whole & ~core).any():
        core, surround = np.zeros_like(whole), view.inner
    new_whole = _outer_outline(whole, others, radius_px)
    new = np.where(whole | new_whole, np.where(new_whole, surround, 0), old)
    if core.any():
        new_core = _rounded(core, others, radius_px) & new_whole & (core | ~beside(others & (old == view.inner)))
        bare = beside((new == 0) & ~others)
        new_core &= ~bare | (core & beside((old == 0) & ~others))
        _still_one(core, new_core)
        new[new_core] = view.inner
    return edited(view, window, np.where(others, old, new).astype(np.uint8))


def _outer_outline(whole: Mask, others: Mask, radius_px: float) -> Mask:
    """Smooth an object between others: what touches them stays, what does not comes no nearer."""
    new = _rounded(whole, others, radius_px)
    touching = beside(others)
    new = np.where(touching, whole, new) & ~others
    _still_one(whole, new)
    return new


def _rounded(mask: Mask, others: Mask, radius_px: float) -> Mask:
    """Pixels around which the mask has the majority, others aside."""
    from scipy import ndimage

    weight, inside = (
        ndimage.gaussian_filter(part.astype(np.float32), radius_px, mode="nearest") for part in (~others, mask)
    )
    majority: Mask = inside > weight / 2
    return majority


def _still_one(old: Mask, new: Mask) -> None:
    """Raise `ToolError` if smoothing broke an object or changed much of it."""
    from scipy import ndimage

    broken = ndimage.label(new)[1] > ndimage.label(old)[1]
    if broken or np.count_nonzero(old != new) > MOST_CHANGED * np.count_nonzero(old):
        raise ToolError("Nothing was changed: the object is too thin or too rough for this radius; take a smaller one.")
