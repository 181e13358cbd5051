"""Whether an outline is off all around, so that the simulated annotator moves the whole of it."""

import numpy as np

from histobridge.core.annotator import Classes
from histobridge.core.manifest import IGNORE
from histobridge.core.tools.pick import Mask, beside

OFF_PX = 0.6
"""How far an outline must be off in the mean, all to one side, to be moved by whole pixels."""

UNEVEN_PX = 1.5
"""How far it must be off in the mean, to both sides, to be snapped to the edge."""

MOST_MOVES = 3
"""Pixels that it is moved at most before it is looked at again."""

Move = tuple[str, int, Mask]
"""A tool, how often it is used, and pixels of the tile that it is to mend."""


def choose_move(
    shown: Classes, truth: Classes, fibre: Mask, true: Mask, pair: tuple[int, int], wrong: tuple[int, int]
) -> Move | None:
    """Choose how to move the outline of a shown fibre at which something is wrong.

    Parameters
    ----------
    shown, truth : ndarray (Y, X) of uint8
        Class values of the tile; 255 unknown.
    fibre, true : ndarray (Y, X) of bool
        The shown fibre and the true one that it stands for.
    pair : tuple of int
        Values of the enclosed and the enclosing class.
    wrong : tuple of int
        The right class of the error, and the one shown instead.

    Returns
    -------
    Move or None
        None: the error is no outline, or one that is not off enough.
    """
    inner, outer = pair
    tools = {
        (inner, outer): "thicken_axon",
        (outer, inner): "thin_axon",
        (outer, 0): "thicken_sheath",
        (0, outer): "thin_sheath",
    }
    if wrong not in tools:
        return None
    value, instead = wrong
    within = inner in wrong
    # Where neighbours touch, the outer outline is not free.
    field = fibre & true if within else (fibre | true) & ((shown == 0) | fibre) & ((truth == 0) | true)
    field &= truth != IGNORE
    missing = field & (shown == instead) & (truth == value)
    against = field & (shown == value) & (truth == instead)
    inside = fibre & (shown == inner) if within else fibre
    rim = max(1, int(np.count_nonzero(beside(~inside) & inside)))
    more, less = int(np.count_nonzero(missing)), int(np.count_nonzero(against))
    if more - less >= OFF_PX * rim:
        return tools[wrong], min(MOST_MOVES, max(1, round((more - less) / rim))), missing
    return ("snap_outline", 1, missing | against) if more + less >= UNEVEN_PX * rim else None
