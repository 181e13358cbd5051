"""The fibres around a click or a stroke, each seen whole."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner
from histobridge.core.tiles import Window
from histobridge.core.tools.pick import Mask, tight, widened
from histobridge.core.tools.result import View

FIRST_MARGIN_PX = 80
"""Pixels around the places that are looked at first; doubled until the fibres fit."""

RIM_PX = 12
"""Pixels that a fibre keeps from the edge of what is looked at, so that its neighbours' axons are seen too."""


def fibres_around(view: View, places: Sequence[tuple[int, int]] | NDArray[np.intp]) -> tuple[Window, NDArray[np.int32]]:
    """Number the fibres around some pixels; those at the pixels are seen as far as the tile goes.

    Parameters
    ----------
    view : View
    places : (N, 2) of int
        Rows and columns of the tile, at least one.

    Returns
    -------
    tuple of slice
        Pixels of the tile that were looked at.
    ndarray (Y, X) int32
        Ids of the fibres in this window, 0 is none; constraints of ownership are honoured.
    """
    rows, columns = np.asarray(places).T
    box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
    margin = FIRST_MARGIN_PX
    while True:
        window = widened(view, box, margin)
        fibres = view.fibres_in(window)
        ids = np.unique(fibres[rows - window[0].start, columns - window[1].start])
        if not (_rim(view, window) & among(fibres, ids)).any():
            return window, fibres
        margin *= 2


def among(fibres: NDArray[np.int32], ids: NDArray[np.int32]) -> Mask:
    """Pixels, (Y, X), whose fibre is one of `ids`; never those of none."""
    chosen = np.zeros(int(fibres.max(initial=0)) + 1, np.bool_)
    chosen[ids] = True
    chosen[0] = False
    found: Mask = chosen[fibres]
    return found


def owner(window: Window, axon: Mask, piece: Mask) -> Owner:
    """Say that `piece` belongs to `axon`, both (Y, X) of `window`, which counts from the corner of the tile."""
    y, x = deepest(axon)
    return Owner((window[0].start + y, window[1].start + x), *tight(piece, window))


def deepest(mask: Mask) -> tuple[int, int]:
    """Find the pixel of a mask, (Y, X), farthest from its edge: the one that most changes of the mask leave in it."""
    from scipy import ndimage

    (rows, columns), tightened = tight(mask)
    depth = ndimage.distance_transform_edt(np.pad(tightened, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return rows.start + int(y), columns.start + int(x)


def thickened(line: Mask, width_px: int) -> Mask:
    """Pixels, (Y, X), of a line of this width, an odd number."""
    from scipy import ndimage

    if width_px <= 1 or not line.any():
        return line
    grown: Mask = ndimage.distance_transform_edt(~line) <= (width_px - 1) / 2
    return grown


def _rim(view: View, window: Window) -> Mask:
    """Pixels of `window` near a side behind which the tile goes on."""
    rim = np.ones(tuple(side.stop - side.start for side in window), np.bool_)
    rows, columns = (
        slice(RIM_PX if side.start > 0 else 0, -RIM_PX if side.stop < length else None)
        for side, length in zip(window, view.classes.shape, strict=True)
    )
    rim[rows, columns] = False
    return rim
