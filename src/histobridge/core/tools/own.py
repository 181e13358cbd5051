"""Give a piece of the border between two fibres to the axon it belongs to."""

import numpy as np

from histobridge.core.tools.near import fibres_around, owner
from histobridge.core.tools.pick import Mask, beside, connected, need_pair, pixel
from histobridge.core.tools.result import ToolError, ToolResult, View

REACH_PX = 10
"""Pixels by which the clicked place may lie nearer to something else than to the fibre that is to have it."""


def own(view: View, axon_at: tuple[float, float], sheath_at: tuple[float, float]) -> ToolResult:
    """Give the sheath at one place to the axon at another; no pixel changes its class.

    A sheath without an axon goes as a whole. Of a neighbour's sheath the part goes that borders on the fibre and lies
    farther from the neighbour's axon than that sheath is thick where it is free (the median), or as far as the clicked
    place; so the neighbour keeps a sheath of its usual thickness unless the click itself says otherwise.

    Parameters
    ----------
    view : View
    axon_at : tuple of float
        (y, x), pixels of the tile, on the fibre that is to have the piece.
    sheath_at : tuple of float
        (y, x), pixels of the tile, on the piece.

    Returns
    -------
    ToolResult
        With one constraint in `owners`.

    Raises
    ------
    ToolError
        If one class does not lie inside another, there is no axon or no sheath where they should be, the piece belongs
        to the axon already, or it does not border on its fibre.
    """
    need_pair(view)
    first, second = pixel(view, axon_at), pixel(view, sheath_at)
    if view.classes[second] != view.outer:
        raise ToolError("Nothing was changed: click on the sheath that belongs to the axon.")
    window, fibres = fibres_around(view, [first, second])
    place = second[0] - window[0].start, second[1] - window[1].start
    mine = fibres[first[0] - window[0].start, first[1] - window[1].start]
    theirs = fibres[place]
    classes = view.classes[window]
    axon = (fibres == mine) & (classes == view.inner)
    if not mine or not axon.any():
        raise ToolError("Nothing was changed: click first inside the axon that the sheath belongs to.")
    if mine == theirs:
        raise ToolError("Nothing was changed: this sheath belongs to that axon already.")
    sheath = (fibres == theirs) & (classes == view.outer)
    neighbour = (fibres == theirs) & (classes == view.inner)
    if neighbour.any():
        beyond = ~np.isin(classes, (view.inner, view.outer))
        sheath &= _far(neighbour, sheath & beside(beyond), place)
        sheath &= _bordering(fibres == mine, ~((fibres == mine) | (fibres == theirs)), place)
    piece = connected(sheath, place)
    given = owner(window, axon, piece)
    count = int(piece.sum())
    return ToolResult(view.classes, given.window, f"{count} pixels of sheath belong to this axon now.", owners=(given,))


def _far(axon: Mask, free: Mask, place: tuple[int, int]) -> Mask:
    """Pixels, (Y, X), farther from an axon than the free edge of its sheath, or at least as far as `place`."""
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~axon)
    thickness = np.median(distance[free]) if free.any() else np.inf
    far: Mask = (distance > thickness) | (distance >= distance[place])
    return far


def _bordering(fibre: Mask, rest: Mask, place: tuple[int, int]) -> Mask:
    """Pixels, (Y, X), that have a fibre before them rather than the rest; raises if `place` has not."""
    from scipy import ndimage

    lead = ndimage.distance_transform_edt(~fibre)
    if rest.any():
        lead = lead - ndimage.distance_transform_edt(~rest)
    if lead[place] > REACH_PX:
        raise ToolError("Nothing was changed: this piece does not border on the fibre of that axon.")
    bordering: Mask = lead <= max(0.0, float(lead[place]))
    return bordering
