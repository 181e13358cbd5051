"""Move a drawn stroke onto the edge in the image."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.tools.result import ToolError, View

SMOOTH_PX = 1.5
"""Standard deviation of the Gaussian whose derivative is the edge."""

FAR, STEP = 0.3, 0.3
"""Price of the farthest offset, and of changing the offset by a pixel, in units of a clear edge."""

Floats = NDArray[np.float64]


def snap(view: View, path: NDArray[np.floating], reach_px: float = 8.0) -> Floats:
    """Move a stroke onto the strongest edge of the image nearby.

    Parameters
    ----------
    view : View
        With an image.
    path : ndarray (N, 2) float
        Places (y, x) along the stroke, pixels of the tile.
    reach_px : float
        How far an edge may be from the stroke, at least 1 px.

    Returns
    -------
    ndarray (M, 2) float
        Places (y, x) on the edge, one for about every pixel of the stroke; closed if the stroke was.

    Raises
    ------
    ToolError
        If there is no image or the stroke is a dot.

    Notes
    -----
    Every place moves along the normal of the stroke by an offset o that maximises, by dynamic programming over all
    places, the sum of g(o) - 0.3 (o / reach)**2 - 0.3 |change of o|, where a change is at most one pixel. g is the
    derivative of the smoothed image along the normal over its 95th percentile near the stroke: an edge that is bright
    on the same side all along, on whichever side gives more.
    """
    if view.image is None:
        raise ToolError("Nothing was changed: the image of this tile is not loaded.")
    path = np.asarray(path, np.float64).reshape(-1, 2)
    places = _even(path)
    if len(places) < 3 or reach_px < 1:
        raise ToolError("Nothing was changed: draw along the edge, a dot has no direction.")
    closed = bool(np.hypot(*(path[0] - path[-1])) <= reach_px and len(places) > 4 * reach_px)
    if closed:
        places = _even(np.concatenate((path, path[:1])))[:-1]
    normal = _normals(places, closed)
    offsets = np.arange(-int(reach_px), int(reach_px) + 1)
    gain = _edges(view.image, places[:, None] + offsets[:, None] * normal[:, None], normal)
    prior = FAR * (offsets / reach_px) ** 2
    chosen = max((_best(sign * gain - prior, closed) for sign in (1, -1)), key=lambda best: best[0])[1]
    moved = places + offsets[chosen][:, None] * normal
    moved = np.concatenate((moved, moved[:1])) if closed else moved
    return np.asarray(moved.clip(0, np.array(view.classes.shape) - 1))


def _even(path: Floats) -> Floats:
    """Places one pixel apart along a stroke."""
    kept = np.concatenate(([True], np.abs(np.diff(path, axis=0)).sum(axis=1) > 0)) if len(path) else np.zeros(0, bool)
    path = path[kept]
    if len(path) < 2:
        return path
    along = np.concatenate(([0], np.hypot(*np.diff(path, axis=0).T).cumsum()))
    every = np.linspace(0, along[-1], int(np.ceil(along[-1])) + 1)
    return np.stack([np.interp(every, along, axis) for axis in path.T], axis=1)


def _normals(places: Floats, closed: bool) -> Floats:
    """Unit vectors across the stroke, of a stroke smoothed against the shaking of the hand."""
    from scipy import ndimage

    calm = ndimage.gaussian_filter1d(places, 3, axis=0, mode="wrap" if closed else "nearest")
    ahead, back = np.roll(calm, -1, axis=0), np.roll(calm, 1, axis=0)
    if not closed:
        ahead[-1], back[0] = calm[-1], calm[0]
    along = ahead - back
    across = np.stack((along[:, 1], -along[:, 0]), axis=1)
    return np.asarray(across / np.maximum(np.hypot(*along.T), 1e-9)[:, None])


def _edges(image: NDArray[np.uint8 | np.uint16], points: Floats, normal: Floats) -> Floats:
    """Derivative of the smoothed image along the normals at points (M, K, 2), over its 95th percentile there."""
    from scipy import ndimage

    margin = int(4 * SMOOTH_PX) + 2
    low = np.maximum(np.floor(points.min(axis=(0, 1))).astype(int) - margin, 0)
    high = np.ceil(points.max(axis=(0, 1))).astype(int) + margin + 1
    piece = image[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    if not piece.size:
        raise ToolError("Nothing was changed: the stroke lies outside the tile.")
    local = np.moveaxis(points - low, 2, 0)
    slopes = [
        ndimage.map_coordinates(
            ndimage.gaussian_filter(piece, SMOOTH_PX, order=order, mode="nearest"), local, order=1, mode="nearest"
        )
        for order in ((1, 0), (0, 1))
    ]
    across = slopes[0] * normal[:, :1] + slopes[1] * normal[:, 1:]
    clear = float(np.percentile(np.abs(across), 95))
    return np.asarray(across / clear if clear > 0 else across, np.float64)


def _best(gain: Floats, closed: bool) -> tuple[float, NDArray[np.intp]]:
    """Offsets, as columns of `gain` (M, K), with the largest sum, and that sum."""
    if not closed:
        return _along(gain)
    # Once around gives a good start, which is then held at both ends.
    start = int(_along(np.concatenate((gain, gain)))[1][len(gain)])
    held = gain.copy()
    held[0, np.arange(gain.shape[1]) != start] = -np.inf
    total, chosen = _along(np.concatenate((held, held[:1])))
    return total, chosen[:-1]


def _along(gain: Floats) -> tuple[float, NDArray[np.intp]]:
    """Dynamic programming along the rows."""
    came = np.zeros(gain.shape, np.intp)
    columns = np.arange(gain.shape[1])
    best = gain[0]
    for row in range(1, len(gain)):
        left, right = np.full_like(best, -np.inf), np.full_like(best, -np.inf)
        left[1:], right[:-1] = best[:-1] - STEP, best[1:] - STEP
        options = np.stack((best, left, right))
        choice = options.argmax(axis=0)
        came[row] = columns + np.array([0, -1, 1])[choice]
        best = options[choice, columns] + gain[row]
    chosen = np.zeros(len(gain), np.intp)
    chosen[-1] = int(best.argmax())
    for row in range(len(gain) - 1, 0, -1):
        chosen[row - 1] = came[row, chosen[row]]
    return float(best.max()), chosen
