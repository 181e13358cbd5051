"""Find the edge of the image along a line: places on it, normals across it, the smoothest way to the clearest edge."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.tools.result import ToolError

SMOOTH_PX = 1.5
"""Standard deviation of the Gaussian whose derivative is the edge."""

FAR, STEP = 0.3, 0.3
"""Price of the farthest offset, and of changing the offset by a pixel, in units of a clear edge."""

Floats = NDArray[np.float64]


def evenly(path: Floats, apart_px: float = 1.0) -> Floats:
    """Place points evenly along a line.

    Parameters
    ----------
    path : ndarray (N, 2) float
        Places (y, x), pixels.
    apart_px : float
        About how far the points are to lie apart.

    Returns
    -------
    ndarray (M, 2) float
        The first and the last place are those of the line; fewer than two if it is a dot.
    """
    kept = np.concatenate(([True], np.abs(np.diff(path, axis=0)).sum(axis=1) > 0)) if len(path) else np.zeros(0, bool)
    path = path[kept]
    if len(path) < 2:
        return path
    along = np.concatenate(([0], np.hypot(*np.diff(path, axis=0).T).cumsum()))
    every = np.linspace(0, along[-1], int(np.ceil(along[-1] / apart_px)) + 1)
    return np.stack([np.interp(every, along, axis) for axis in path.T], axis=1)


def normals(places: Floats, closed: bool) -> Floats:
    """Find which way is across a line, which is smoothed for that against the shaking of the hand.

    Parameters
    ----------
    places : ndarray (M, 2) float
        Places (y, x) along the line, evenly apart.
    closed : bool
        Whether the last is followed by the first.

    Returns
    -------
    ndarray (M, 2) float
        Unit vectors (y, x).
    """
    from scipy import ndimage

    calm = ndimage.gaussian_filter1d(places, 3, axis=0, mode="wrap" if closed else "nearest")
    ahead, back = np.roll(calm, -1, axis=0), np.roll(calm, 1, axis=0)
    if not closed:
        ahead[-1], back[0] = calm[-1], calm[0]
    along = ahead - back
    across = np.stack((along[:, 1], -along[:, 0]), axis=1)
    return np.asarray(across / np.maximum(np.hypot(*along.T), 1e-9)[:, None])


def edges(image: NDArray[np.uint8 | np.uint16], points: Floats, normal: Floats) -> Floats:
    """Measure how steep an image is along the normals of a line.

    Parameters
    ----------
    image : ndarray (Y, X)
        Grey values of the tile.
    points : ndarray (M, K, 2) float
        Places (y, x), pixels of the tile: K along each normal.
    normal : ndarray (M, 2) float
        Unit vectors (y, x).

    Returns
    -------
    ndarray (M, K) float
        Derivative of the smoothed image along the normal, over its 95th percentile at these points.

    Raises
    ------
    ToolError
        If all points lie outside the image.
    """
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


def farness(offsets: NDArray[np.integer], reach_px: float) -> Floats:
    """Price offsets by how far they are, in units of a clear edge.

    Parameters
    ----------
    offsets : ndarray (K,) of int
        Pixels along the normal.
    reach_px : float

    Returns
    -------
    ndarray (K,) float
        ``0.3 (o / reach)**2``.
    """
    return np.asarray(FAR * (offsets / reach_px) ** 2, np.float64)


def best_offsets(gain: Floats, closed: bool) -> tuple[float, NDArray[np.intp]]:
    """Choose offsets with the largest sum of gains, less 0.3 for each change of the offset by one.

    Parameters
    ----------
    gain : ndarray (M, K) float
        Of each of K offsets at each of M places.
    closed : bool
        Whether the last place is followed by the first.

    Returns
    -------
    float
        That sum.
    ndarray (M,) of int
        Columns of `gain`.
    """
    if not closed:
        return _along(gain)
    # Begun at the far side, the way gives a good start, which is then held at both ends.
    half = len(gain) // 2
    start = int(_along(np.roll(gain, half, axis=0))[1][half])
    held = gain.copy()
    held[0, np.arange(gain.shape[1]) != start] = -np.inf
    total, chosen = _along(np.concatenate((held, held[:1])))
    return total, chosen[:-1]


def _along(gain: Floats) -> tuple[float, NDArray[np.intp]]:
    """Dynamic programming along the rows."""
    came = np.zeros(gain.shape, np.intp)
    columns = np.arange(gain.shape[1])
    back = np.array([0, -1, 1])
    options = np.full((3, gain.shape[1]), -np.inf)
    best = gain[0]
    for row in range(1, len(gain)):
        options[0] = best
        options[1, 1:] = best[:-1] - STEP
        options[2, :-1] = best[1:] - STEP
        choice = options.argmax(axis=0)
        came[row] = columns + back[choice]
        best = options[choice, columns] + gain[row]
    chosen = np.zeros(len(gain), np.intp)
    chosen[-1] = int(best.argmax())
    for row in range(len(gain) - 1, 0, -1):
        chosen[row - 1] = came[row, chosen[row]]
    return float(best.max()), chosen
