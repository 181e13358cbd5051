"""Move a whole outline of a fibre by a pixel: its axon or its sheath becomes thicker or thinner."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tiles import Window
from histobridge.core.tools.near import fibres_around
from histobridge.core.tools.pick import Mask, beside, need_pair, pixel, tight, widened
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

MARGIN_PX = 4
"""Pixels around a fibre that are looked at."""

EVERYWHERE = np.ones((3, 3), np.bool_)
"""A sheath is closed if not even a diagonal leads out."""


@dataclass(frozen=True, slots=True, eq=False)
class Fibre:
    """One object of a tile and what lies around it; masks are (Y, X) of `window`.

    Parameters
    ----------
    window : tuple of slice
        Pixels of the tile.
    old : ndarray (Y, X) uint8
        Class values.
    whole, inside : ndarray (Y, X) bool
        The object, and what its outer part encloses: its axon, or the hole where that should be.
    others : ndarray (Y, X) bool
        Pixels of other objects and ignored ones.
    surround : int
        Class of the outer part.
    """

    window: Window
    old: NDArray[np.uint8]
    whole: Mask
    inside: Mask
    others: Mask
    surround: int

    @property
    def solid(self) -> Mask:
        """The object and what it encloses."""
        return self.whole | self.inside

    @property
    def sheath(self) -> Mask:
        """Its outer part."""
        return self.whole & ~self.inside


def fibre_at(view: View, at: tuple[float, float]) -> Fibre:
    """Find the object under a click with all that lies around it.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile.

    Returns
    -------
    Fibre

    Raises
    ------
    ToolError
        If there is no object at this place.
    """
    from scipy import ndimage

    place = pixel(view, at)
    if view.classes[place] in (0, IGNORE):
        raise ToolError("Nothing was changed: there is no object at this place.")
    window, fibres = fibres_around(view, [place])
    number = fibres[place[0] - window[0].start, place[1] - window[1].start]
    box, _ = tight(fibres == number, window)
    near = widened(view, box, MARGIN_PX)
    fibres = fibres[tuple(_inside(part, of) for part, of in zip(near, window, strict=True))]
    old, whole = view.classes[near], fibres == number
    nested = bool(view.inner and view.outer) and view.classes[place] in (view.inner, view.outer)
    surround = view.outer if nested else int(view.classes[place])
    inside = whole & (old == view.inner) if nested else np.zeros_like(whole)
    if not inside.any():
        inside = ndimage.binary_fill_holes(whole) & ~whole
    return Fibre(near, old, whole, inside, ((old != 0) & ~whole) | (old == IGNORE), surround)


def thicken_axon(view: View, at: tuple[float, float]) -> ToolResult:
    """Move the border between the axon under a click and its sheath outwards by a pixel.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, on the axon or its sheath.

    Returns
    -------
    ToolResult
        The outer outline of the sheath stays, and a pixel of the sheath is left all around.

    Raises
    ------
    ToolError
        If there is no axon with a sheath, or its sheath is one pixel thin all around.
    """
    fibre = _with_axon(view, at)
    free = fibre.sheath & ~_widened(~fibre.solid)
    grown = beside(fibre.inside) & free
    if not grown.any():
        raise ToolError("Nothing was changed: the sheath would be open, it is as thin as can be.")
    return _told(view, fibre, np.where(grown, view.inner, fibre.old), "Axon one pixel thicker.")


def thin_axon(view: View, at: tuple[float, float]) -> ToolResult:
    """Move the border between the axon under a click and its sheath inwards by a pixel.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, on the axon or its sheath.

    Returns
    -------
    ToolResult
        The outer outline of the sheath stays.

    Raises
    ------
    ToolError
        If there is no axon with a sheath, or it would vanish or fall apart.
    """
    fibre = _with_axon(view, at)
    left = _shrunk(fibre.inside)
    _still_one(fibre.inside, left, "axon")
    return _told(view, fibre, np.where(fibre.inside & ~left, view.outer, fibre.old), "Axon one pixel thinner.")


def thicken_sheath(view: View, at: tuple[float, float]) -> ToolResult:
    """Move the outer outline of the fibre under a click outwards by a pixel; other objects grow as a whole.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, on the axon or its sheath.

    Returns
    -------
    ToolResult
        Only background changed. Where it would take something from a neighbour to touch it, a pixel is left between.

    Raises
    ------
    ToolError
        If there is no object, its axon has no sheath, or there is no background around it.
    """
    fibre = _with_sheath(view, at)
    grown = beside(fibre.solid) & (fibre.old == 0) & ~fibre.solid
    if (grown & beside(fibre.others)).any() and _takes(view, fibre, grown):
        grown &= ~_widened(fibre.others)
    if not grown.any():
        raise ToolError("Nothing was changed: there is no room around it.")
    return _told(view, fibre, np.where(grown, fibre.surround, fibre.old), "Sheath one pixel thicker.")


def thin_sheath(view: View, at: tuple[float, float]) -> ToolResult:
    """Move the outer outline of the fibre under a click inwards by a pixel; other objects shrink as a whole.

    Parameters
    ----------
    view : View
    at : tuple of float
        (y, x), pixels of the tile, on the axon or its sheath.

    Returns
    -------
    ToolResult
        A pixel of the sheath is left all around the axon. What was cut off by that is background too.

    Raises
    ------
    ToolError
        If there is no object, its axon has no sheath, its sheath is one pixel thin, or it would vanish or fall apart.
    """
    from scipy import ndimage

    fibre = _with_sheath(view, at)
    left = fibre.whole & (_shrunk(fibre.solid) | _widened(fibre.inside))
    if fibre.inside.any():
        parts, _ = ndimage.label(left | fibre.inside)
        left &= np.isin(parts, np.unique(parts[fibre.inside]))
    else:
        _still_one(fibre.whole, left, "object")
    if (left == fibre.whole).all():
        raise ToolError("Nothing was changed: the sheath is as thin as can be.")
    return _told(view, fibre, np.where(fibre.whole & ~left, 0, fibre.old), "Sheath one pixel thinner.")


def _with_axon(view: View, at: tuple[float, float]) -> Fibre:
    need_pair(view)
    fibre = _with_sheath(view, at)
    if not (fibre.whole & (fibre.old == view.inner)).any():
        raise ToolError("Nothing was changed: there is no axon inside this sheath.")
    return fibre


def _with_sheath(view: View, at: tuple[float, float]) -> Fibre:
    fibre = fibre_at(view, at)
    if not fibre.sheath.any():
        raise ToolError("Nothing was changed: this axon has no sheath; grow one first.")
    return fibre


def _inside(part: slice, of: slice) -> slice:
    return slice(part.start - of.start, part.stop - of.start)


def _widened(mask: Mask) -> Mask:
    """Pixels of a mask, (Y, X), and all their eight neighbours."""
    from scipy import ndimage

    wide: Mask = ndimage.binary_dilation(mask, EVERYWHERE)
    return wide


def _shrunk(mask: Mask) -> Mask:
    """Pixels of a mask, (Y, X), with no other beside them; at the edge of the tile as if it went on."""
    return mask & ~beside(~mask)


def _takes(view: View, fibre: Fibre, grown: Mask) -> bool:
    """Whether pixels more of a fibre would change whose the others are."""
    corner = [side.start for side in fibre.window]
    touched = np.argwhere(beside(grown) & (fibre.others | fibre.whole)) + corner
    window, before = fibres_around(view, touched)
    classes = view.classes.copy()
    classes[fibre.window][grown] = fibre.surround
    after = replace(view, classes=classes, fibres=None).fibres_in(window)
    seen = before > 0
    pairs = np.unique(np.stack((before[seen], after[seen])), axis=1).shape[1]
    mine, added = (after[_places(mask, corner, window)] for mask in (fibre.whole, grown))
    return pairs > len(np.unique(before[seen])) or not np.isin(added, mine).all()


def _places(mask: Mask, corner: list[int], window: Window) -> tuple[NDArray[np.intp], ...]:
    """Rows and columns in `window` of the pixels of a mask that begins at `corner`."""
    return tuple(np.argwhere(mask).T + np.array([[at - side.start] for at, side in zip(corner, window, strict=True)]))


def _still_one(before: Mask, left: Mask, name: str) -> None:
    """Raise `ToolError` if what is left of an axon or an object is nothing, or in more pieces than before."""
    from scipy import ndimage

    if not left.any() or ndimage.label(left)[1] > ndimage.label(before)[1]:
        raise ToolError(f"Nothing was changed: the {name} would vanish or fall apart.")


def _told(view: View, fibre: Fibre, piece: NDArray[np.integer], message: str) -> ToolResult:
    return edited(view, fibre.window, piece.astype(np.uint8), message)
