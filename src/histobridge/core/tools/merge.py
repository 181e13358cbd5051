"""Join two fragments of a fibre by a bridge."""

import numpy as np

from histobridge.core.manifest import IGNORE
from histobridge.core.tools.near import fibres_around, owner, thickened
from histobridge.core.tools.pick import Mask, nested, pixel
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

FLANK_PX = 3
"""Thickness of the sheath that is laid on both sides of an axon's bridge where it crosses background."""


def merge(view: View, first: tuple[float, float], second: tuple[float, float], width_px: int = 3) -> ToolResult:
    """Join the objects at two places along the shortest way that touches no other object.

    Two fibres with an axon each become one by a bridge of axon, which gets a sheath where it crosses background. A
    sheath without an axon is joined by a bridge of sheath, and belongs from then on to the other's axon. Classes that
    are not nested are joined by their own class.

    Parameters
    ----------
    view : View
        Constraints of ownership count.
    first, second : tuple of float
        (y, x), pixels of the tile.
    width_px : int
        Width of the bridge, an odd number of pixels.

    Returns
    -------
    ToolResult
        With a constraint in `owners` where a sheath was joined to a fibre.

    Raises
    ------
    ToolError
        If a place holds no object, both hold the same or different classes, or something lies all between them.
    """
    places = [pixel(view, first), pixel(view, second)]
    values = [int(view.classes[place]) for place in places]
    if {0, IGNORE} & set(values):
        raise ToolError("Nothing was changed: click on both fragments that belong together.")
    window, fibres = fibres_around(view, places)
    classes = view.classes[window]
    objects = [fibres == fibres[y - window[0].start, x - window[1].start] for y, x in places]
    if objects[0][objects[1]].any():
        raise ToolError("Nothing was changed: both places belong to one object already.")
    axons = [mask & (classes == view.inner) for mask in objects]
    both = {*values} <= {*nested(view)}
    if not both and values[0] != values[1]:
        raise ToolError("Nothing was changed: the two places hold different classes.")
    has_axon = [both and bool(axon.any()) for axon in axons]
    value = (view.inner if all(has_axon) else view.outer) if both else values[0]
    bridge = _bridge(classes, objects, value, width_px)
    piece = np.where(bridge, np.uint8(value), classes)
    if all(has_axon):
        flank = thickened(bridge & (classes == 0), width_px=2 * FLANK_PX + 1) & (piece == 0)
        piece[flank] = view.outer
    result = edited(view, window, piece, "The two are one object now.")
    if any(has_axon) and not all(has_axon):
        fibre = has_axon.index(True)
        given = owner(window, axons[fibre], (objects[1 - fibre] | bridge) & (piece == view.outer))
        return ToolResult(result.classes, result.near, "The sheath belongs to this fibre now.", owners=(given,))
    return result


def _bridge(classes: np.ndarray, objects: list[Mask], value: int, width_px: int) -> Mask:
    """Pixels, (Y, X), of the shortest way between two objects over background and these two."""
    from skimage.graph import MCP_Geometric

    ends = [mask & (classes == value) for mask in objects]
    ends = [end if end.any() else mask for end, mask in zip(ends, objects, strict=True)]
    open_ = ((classes == 0) | objects[0] | objects[1]) & (classes != IGNORE)
    ways = MCP_Geometric(np.where(open_, 1.0, -1.0))
    targets = np.argwhere(ends[1])
    costs, _ = ways.find_costs(np.argwhere(ends[0]), targets, find_all_ends=False)
    reached = costs[tuple(targets.T)]
    if not np.isfinite(reached).any():
        raise ToolError("Nothing was changed: another object lies all between the two.")
    bridge = np.zeros(classes.shape, np.bool_)
    bridge[tuple(np.transpose(ways.traceback(targets[reached.argmin()])))] = True
    broad: Mask = thickened(bridge, width_px) & open_ & (classes != value)
    return broad
