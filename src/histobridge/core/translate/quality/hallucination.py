"""Where a translation shows what was not there, or hides what was."""

import numpy as np
from numpy.typing import NDArray

INVENTED = 0.5
"""Value of the map from which on a pixel counts as invented or lost."""


def hallucination_map(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the absolute difference of class probabilities before and after translation.

    Parameters
    ----------
    before, after : array, (K, Y, X) float32
        Probabilities of a segmenter of the source for an image and for its translation there and back.

    Returns
    -------
    array, (Y, X) float32
        In [0, 1] (total variation): 0 where the segmenter sees the same, 1 where it is sure of different classes.
    """
    difference: NDArray[np.float32] = np.abs(before - after).sum(axis=0) / 2
    return difference


def hallucinated_share(change: NDArray[np.float32]) -> float:
    """Share of the pixels of a `hallucination_map` that show another class for sure."""
    return float((change > INVENTED).mean())
