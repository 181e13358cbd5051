"""Fill what a ring encloses, or show where the filling would run out."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tools.pick import Mask, around, beside, connected, need_pair, pixel, tight
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

LOOK_PX = 320
"""How far around the click a gap is looked for."""

SHOWN_PX = 8
"""How far behind a gap the preview goes, at least."""

CONVEX = 0.85
"""Area over area of the convex hull from which a piece at the edge of the tile is an axon that the edge cuts."""


def fill_inner(view: View, at: tuple[float, float]) -> ToolResult:
    """Fill the background inside a ring with the enclosed class.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, inside the ring.

    Returns
    -------
    ToolResult

    Raises
    ------
    ToolError
        If the ring is open, with the width of the gap, if the click is not inside one or if it is filled already.
    """
    result = preview_fill(view, at)
    if result.leak is not None:
        raise ToolError(f"Nothing was changed: {result.message}")
    return result


def preview_fill(view: View, at: tuple[float, float]) -> ToolResult:
    """Try `fill_inner` and show where it would run out.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile.

    Returns
    -------
    ToolResult
        The filled tile; where the ring is open the tile as it was, with the pixels in and behind the gaps as `leak`.

    Raises
    ------
    ToolError
        If the click is not inside a ring or there is nothing to fill.

    Notes
    -----
    The gap is the bottleneck between the click and the outside: the smallest r for which the pixels farther than r
    from the enclosing class (chessboard distance) no longer connect both. It is about 2 r wide.
    """
    need_pair(view)
    place = pixel(view, at)
    if view.classes[place] not in (0, view.inner):
        raise ToolError("Nothing was changed: click inside the ring, not on it.")
    region = connected(passable(view), place)
    if not is_open(view, region):
        window, inside = tight(region)
        piece = view.classes[window]
        return edited(view, window, np.where(inside & (piece == 0), view.inner, piece).astype(np.uint8))
    leak, gap = _leak(view, region, place)
    message = f"the ring has a gap of about {gap} px." if gap else "no ring encloses this place."
    return ToolResult(view.classes.copy(), (slice(0, 0), slice(0, 0)), message, leak)


def passable(view: View) -> Mask:
    """Pixels a filling runs through; it stops at the enclosing class and at ignored pixels, of which nothing is known.

    Parameters
    ----------
    view : View

    Returns
    -------
    ndarray (Y, X) bool
    """
    free: Mask = (view.classes != view.outer) & (view.classes != IGNORE)
    return free


def is_open(view: View, region: Mask) -> bool:
    """Whether a region runs out at the edge of the tile.

    An axon that reaches the edge does not, nor does a convex piece that touches it once, between two ends of a sheath:
    the edge cuts that axon.

    Parameters
    ----------
    view : View
    region : ndarray (Y, X) bool
        Connected passable pixels.

    Returns
    -------
    bool
    """
    edge = _edge(region.shape)
    inside = region[edge]
    if not (inside & (view.classes[edge] == 0)).any():
        return False
    sheath = view.classes[edge] == view.outer
    starts = inside & ~np.roll(inside, 1)
    ends = inside & ~np.roll(inside, -1)
    between = starts.sum() == 1 and (np.roll(sheath, 1) & starts).any() and (np.roll(sheath, -1) & ends).any()
    return not (between and solidity(region) >= CONVEX)


def solidity(region: Mask) -> float:
    """Area over area of the convex hull.

    Parameters
    ----------
    region : ndarray (Y, X) bool
        At least one pixel.

    Returns
    -------
    float
        Above 0, at most 1, which is convex.
    """
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(region.any(axis=1))
    first = region[rows].argmax(axis=1)
    last = region.shape[1] - region[rows, ::-1].argmax(axis=1)
    corners = [np.stack((rows + down, column), axis=1) for down in (0, 1) for column in (first, last)]
    return float(np.count_nonzero(region) / ConvexHull(np.concatenate(corners)).volume)


def clearance(free: Mask) -> NDArray[np.int32]:
    """Distance to the nearest pixel that is not free, chessboard, (Y, X); the edge of the array is no obstacle."""
    from scipy import ndimage

    if free.all():
        return np.full(free.shape, max(free.shape), np.int32)
    return np.asarray(ndimage.distance_transform_cdt(free, metric="chessboard"), np.int32)


def climb(room: NDArray[np.int32], place: tuple[int, int]) -> tuple[int, int]:
    """Go from a place to where there is most room, in steps that no gap narrower than the room lets out.

    Parameters
    ----------
    room : ndarray (Y, X) int
        From `clearance`.
    place : tuple of int
        (y, x) in it.

    Returns
    -------
    tuple of int
        (y, x) with at least as much room.
    """
    while True:
        reach = int(room[place]) // 2 + 1
        top, left = (max(0, position - reach) for position in place)
        piece = room[top : place[0] + reach + 1, left : place[1] + reach + 1]
        row, column = np.unravel_index(int(piece.argmax()), piece.shape)
        if piece[row, column] <= room[place]:
            return place
        place = (top + int(row), left + int(column))


def _leak(view: View, region: Mask, place: tuple[int, int]) -> tuple[Mask, int]:
    """Where a region runs out, and how wide the gap is; 0 if nothing around encloses it."""
    from scipy import ndimage

    window = around(view, place, LOOK_PX)
    free = region[window]
    room = clearance(free)
    local = (place[0] - window[0].start, place[1] - window[1].start)
    seed = climb(room, local)
    radius, core = _bottleneck(room, seed)
    leak = np.zeros(region.shape, np.bool_)
    if core is None:
        near = around(view, place, 4 * SHOWN_PX)
        leak[near] = region[near]
        return leak, 0
    away = clearance(~core)
    outside = _reaching_out(free & (away > radius))
    front = outside & beside(free & (away <= radius))
    steps = min(max(SHOWN_PX, radius), 4 * SHOWN_PX)
    leak[window] = ndimage.binary_dilation(front, np.ones((3, 3)), iterations=steps, mask=outside)
    return leak, 2 * radius


def _bottleneck(room: NDArray[np.int32], seed: tuple[int, int]) -> tuple[int, Mask | None]:
    """Smallest distance at which what lies around the seed no longer reaches the edge, and that piece."""
    low, high, core = 0, int(room[seed]), None
    while high - low > 1:
        middle = (low + high) // 2
        piece = connected(room > middle, seed)
        if _touches(piece):
            low = middle
        else:
            high, core = middle, piece
    return high, core


def _touches(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _reaching_out(mask: Mask) -> Mask:
    """Connected pieces of `mask` that reach its edge."""
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    out = np.zeros(count + 1, np.bool_)
    out[regions[_edge(mask.shape)]] = True
    out[0] = False
    return np.asarray(out[regions])


def _edge(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels along the edge, once around."""
    height, width = shape
    down, right = np.arange(height), np.arange(width)
    rows = np.concatenate((np.zeros(width - 1), down[:-1], np.full(width - 1, height - 1), down[:0:-1]))
    columns = np.concatenate((right[:-1], np.full(height - 1, width - 1), right[:0:-1], np.zeros(height - 1)))
    return rows.astype(np.intp), columns.astype(np.intp)
