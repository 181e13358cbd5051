"""Which object lies under a click, and the piece of the tile around it."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tiles import Window
from histobridge.core.tools.result import ToolError, View

Mask = NDArray[np.bool_]
FIRST_HALF_PX = 128
"""Half the side of the first piece that is searched for an object; doubled until the object fits."""


def accept_object(view: View, at: tuple[float, float]) -> Mask:
    """Find the object under a click, an axon with its sheath, to accept it with `TileEdit.accept_only`.

    Parameters
    ----------
    view : View
        Its `fibres` tell which sheath belongs to which axon; without them the nearest axon through the sheath owns it.
    at : tuple of float
        (y, x), pixels of the tile.

    Returns
    -------
    ndarray (Y, X) bool
        Of the tile. For classes that neither enclose nor are enclosed: the connected pixels of the class.

    Raises
    ------
    ToolError
        If there is no object at this place.
    """
    window, piece = object_at(view, at)
    mask = np.zeros(view.classes.shape, np.bool_)
    mask[window] = piece
    return mask


def object_at(view: View, at: tuple[float, float]) -> tuple[Window, Mask]:
    """Find the object under a click, an axon with its sheath.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile.

    Returns
    -------
    tuple of slice
        Pixels of the tile around the object.
    ndarray (Y, X) bool
        The object in this window.

    Raises
    ------
    ToolError
        If there is no object at this place.
    """
    place = pixel(view, at)
    value = view.classes[place]
    if value in (0, IGNORE):
        raise ToolError("Nothing was changed: there is no object at this place.")
    if value not in nested(view):
        return tight(connected(view.classes == value, place))
    if view.fibres is not None:
        return tight((view.fibres == view.fibres[place]) & (view.classes != IGNORE))
    half = FIRST_HALF_PX
    while True:
        window = around(view, place, half)
        fibres = view.fibres_in(window)
        mask = fibres == fibres[place[0] - window[0].start, place[1] - window[1].start]
        if not cut_off(view, window, mask):
            return tight(mask, window)
        half *= 2


def pixel(view: View, at: tuple[float, float]) -> tuple[int, int]:
    """Round a place to a pixel of the tile; raises `ToolError` if it lies outside."""
    y, x = (int(np.floor(position + 0.5)) for position in at)
    if not (0 <= y < view.classes.shape[0] and 0 <= x < view.classes.shape[1]):
        raise ToolError("Nothing was changed: this place lies outside the tile.")
    return y, x


def nested(view: View) -> tuple[int, ...]:
    """Values of the enclosed and the enclosing class; empty if there is no such pair."""
    return (view.inner, view.outer) if view.inner and view.outer else ()


def need_pair(view: View) -> None:
    """Raise `ToolError` unless one class lies inside another."""
    if not nested(view):
        raise ToolError("Nothing was changed: this tool needs a class that lies inside another one.")


def connected(mask: Mask, place: tuple[int, int]) -> Mask:
    """Pixels of `mask`, (Y, X), connected with `place` over their sides."""
    from scipy import ndimage

    regions, _ = ndimage.label(mask)
    found: Mask = regions == regions[place]
    return found


def around(view: View, place: tuple[int, int], half: int) -> Window:
    """Pixels of the tile at most `half` from `place` along each axis."""
    rows, columns = (
        slice(max(0, centre - half), min(length, centre + half + 1))
        for centre, length in zip(place, view.classes.shape, strict=True)
    )
    return rows, columns


def widened(view: View, window: Window, margin: int) -> Window:
    """Pixels of the tile at most `margin` from a window along each axis."""
    rows, columns = (
        slice(max(0, side.start - margin), min(length, side.stop + margin))
        for side, length in zip(window, view.classes.shape, strict=True)
    )
    return rows, columns


def cut_off(view: View, window: Window, mask: Mask) -> bool:
    """Whether `mask`, (Y, X) of `window`, reaches a side of the window behind which the tile goes on."""
    (rows, columns), (height, width) = window, view.classes.shape
    return bool(
        (rows.start > 0 and mask[0].any())
        or (rows.stop < height and mask[-1].any())
        or (columns.start > 0 and mask[:, 0].any())
        or (columns.stop < width and mask[:, -1].any())
    )


def tight(mask: Mask, window: Window = (slice(0, 0), slice(0, 0))) -> tuple[Window, Mask]:
    """Smallest window around the pixels of `mask`, which starts where `window` does, and the mask in it."""
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    top, left = window[0].start, window[1].start
    place = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
    return place, mask[rows, columns]


def beside(mask: Mask) -> Mask:
    """Pixels of `mask` and those that share a side with one."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
