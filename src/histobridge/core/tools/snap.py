"""Move a drawn stroke onto the edge in the image."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.tools.edges import Floats, best_offsets, edges, evenly, farness, normals
from histobridge.core.tools.result import ToolError, View


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
    places = evenly(path)
    if len(places) < 3 or reach_px < 1:
        raise ToolError("Nothing was changed: draw along the edge, a dot has no direction.")
    closed = bool(np.hypot(*(path[0] - path[-1])) <= reach_px and len(places) > 4 * reach_px)
    if closed:
        places = evenly(np.concatenate((path, path[:1])))[:-1]
    normal = normals(places, closed)
    offsets = np.arange(-int(reach_px), int(reach_px) + 1)
    gain = edges(view.image, places[:, None] + offsets[:, None] * normal[:, None], normal)
    prior = farness(offsets, reach_px)
    chosen = max((best_offsets(sign * gain - prior, closed) for sign in (1, -1)), key=lambda best: best[0])[1]
    moved = places + offsets[chosen][:, None] * normal
    moved = np.concatenate((moved, moved[:1])) if closed else moved
    return np.asarray(moved.clip(0, np.array(view.classes.shape) - 1))
