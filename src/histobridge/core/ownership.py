"""Which sheath belongs to which axon, as the user said it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.tiles import Window


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """A piece of sheath belongs to one axon.

    Parameters
    ----------
    axon : tuple of int
        A pixel (y, x) inside the axon.
    window : tuple of slice
        Pixels (Y, X) around the piece, counted as those of `axon` are: from the corner of the tile in what a tool
        returns, from that of the image in the journal.
    mask : array (Y, X) of bool
        Pixels of `window` that belong to the axon while they are sheath.
    """

    axon: tuple[int, int]
    window: Window
    mask: NDArray[np.bool_]
