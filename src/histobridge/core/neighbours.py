"""What lies around the open tile, and windows that are not on the grid: neighbours shown, fibres seen whole."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import relative
from histobridge.core.manifest import IGNORE
from histobridge.core.states import IGNORED, MODEL
from histobridge.core.tiles import Window

MARGIN_PX = 256
"""Native pixels around a tile in which its neighbours are shown."""

LINE_PX = 2
"""Width of the outlines in native pixels."""

LARGEST_PX = 2048
"""Longest side of a window that is widened to hold a whole fibre, native pixels."""


class Stored(Protocol):
    """Where labels are kept, such as `LabelStore`."""

    shape: tuple[int, int]

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Classes and state of a window, (Y, X) uint8 each."""


def shown(store: Stored, proposed: Any, window: Window) -> NDArray[np.uint8]:
    """Read what a tile at `window` would show: what the user decided, and the proposal elsewhere.

    Parameters
    ----------
    store : Stored
        Labels of the image.
    proposed : array-like or None
        (Y, X) uint8 classes of the whole image, sliced; none: all that is stored is shown.
    window : tuple of slice
        Absolute pixels inside the image.

    Returns
    -------
    NDArray
        (Y, X) uint8 class values, 255 where ignored.
    """
    classes, state = store.read(window)
    if proposed is not None:
        classes = np.where(state == MODEL, np.asarray(proposed[window], np.uint8), classes)
    classes[state == IGNORED] = IGNORE
    return classes


def surroundings(
    store: Stored, proposed: Any, window: Window, margin: int = MARGIN_PX
) -> tuple[NDArray[np.uint8], Window] | None:
    """Draw the outlines of what lies around a tile, and the border of the tile itself.

    Parameters
    ----------
    store : Stored
        Labels of the image.
    proposed : array-like or None
        See `shown`.
    window : tuple of slice
        The tile, absolute pixels.
    margin : int
        Pixels around it that are drawn.

    Returns
    -------
    tuple or None
        (Y, X) uint8 class values on outlines, 255 on the border of the tile and around what is ignored, 0 elsewhere and
        in the tile; and their absolute window. None if the tile is the whole image.
    """
    outer = grown(window, margin, store.shape)
    if outer == window:
        return None
    drawn = outlines(shown(store, proposed, outer))
    rows, columns = relative(window, outer)
    around = grown((rows, columns), LINE_PX, (drawn.shape[0], drawn.shape[1]))
    drawn[around] = IGNORE
    drawn[rows, columns] = 0
    return drawn, outer


def outlines(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the pixels of every region within `LINE_PX` of its border, and set all others to 0.

    Parameters
    ----------
    classes : NDArray
        (Y, X) uint8; regions of 0 have no outline.

    Returns
    -------
    NDArray
        (Y, X) uint8.
    """
    border = np.zeros(classes.shape, np.bool_)
    for step in range(1, LINE_PX + 1):
        for first, second in (
            ((slice(step, None), slice(None)), (slice(None, -step), slice(None))),
            ((slice(None), slice(step, None)), (slice(None), slice(None, -step))),
        ):
            differ = classes[first] != classes[second]
            border[first] |= differ
            border[second] |= differ
    return np.where(border, classes, np.uint8(0))


def grown(window: Window, margin: int, shape: tuple[int, int]) -> Window:
    """Widen a window by `margin` pixels on every side, as far as an image (Y, X) of `shape` goes."""
    rows, columns = (
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(window, shape, strict=True)
    )
    return rows, columns


def window_at(at: tuple[float, float], size: tuple[int, int], shape: tuple[int, int]) -> Window:
    """Place a window of `size` (Y, X) pixels with its middle at `at`, pushed inside an image (Y, X) of `shape`."""
    rows, columns = (
        slice(start, start + min(side, length))
        for middle, side, length in zip(at, size, shape, strict=True)
        for start in [max(min(round(middle - side / 2), length - side), 0)]
    )
    return rows, columns


def whole_window(store: Stored, proposed: Any, at: tuple[int, int], size: tuple[int, int]) -> Window:
    """Find the window in which the fibre at a pixel can be edited whole.

    The fibre is what hangs together there, of any class. If it spans more than `LARGEST_PX`, as where many fibres
    touch, the window lies around the pixel.

    Parameters
    ----------
    store : Stored
        Labels of the image.
    proposed : array-like or None
        See `shown`.
    at : tuple of int
        (row, column) in absolute pixels, inside the image.
    size : tuple of int
        (Y, X) of the window in pixels; larger only where the fibre with half of `MARGIN_PX` on each side is.

    Returns
    -------
    tuple of slice
        Absolute pixels; holds `at`.
    """
    from scipy import ndimage

    field = window_at(at, (LARGEST_PX, LARGEST_PX), store.shape)
    classes = shown(store, proposed, field)
    regions, _ = ndimage.label((classes > 0) & (classes < IGNORE))
    number = int(regions[at[0] - field[0].start, at[1] - field[1].start])
    if not number:
        return window_at(at, size, store.shape)
    box: Window = ndimage.find_objects(regions)[number - 1]
    rows, columns = relative(box, (slice(-field[0].start, 0), slice(-field[1].start, 0)))
    wider = grown((rows, columns), 1, store.shape)
    cut = any(side.start < whole.start or side.stop > whole.stop for side, whole in zip(wider, field, strict=True))
    wanted = [max(side, span.stop - span.start + MARGIN_PX) for side, span in zip(size, box, strict=True)]
    if cut or max(wanted) > LARGEST_PX:
        return window_at(at, size, store.shape)
    middle = ((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
    return window_at(middle, (wanted[0], wanted[1]), store.shape)
