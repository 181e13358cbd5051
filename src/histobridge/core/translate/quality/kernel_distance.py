"""Kernel distance (KID) between the features of two sets of images."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import InputError

Features = NDArray[np.float64]

SUBSET = 100
SUBSETS = 20


def kernel_distance(real: Features, fake: Features, seed: int = 0) -> float:
    """Squared maximum mean discrepancy of two sets of features with a cubic kernel, unbiased.

    Parameters
    ----------
    real, fake : array, (n, d) float64
        One row an image or window, at least two rows each.
    seed : int
        Of the subsets.

    Returns
    -------
    float
        About 0 for two sets of one distribution, also below; more the further apart they are. The mean over subsets of
        100 rows where a set has more.

    Raises
    ------
    InputError
        If a set has fewer than two rows, or the widths differ.

    Notes
    -----
    Bińkowski et al. 2018, arXiv 1801.01401, with features of our own: k(x, y) = (x.y / d + 1)^3.
    """
    if min(len(real), len(fake)) < 2 or real.shape[1] != fake.shape[1]:
        raise InputError(
            f"features of shapes {real.shape} and {fake.shape} cannot be compared; at least two rows of one width "
            "are expected: take more or larger images"
        )
    size = min(SUBSET, len(real), len(fake))
    if size == len(real) == len(fake):
        return _discrepancy(real, fake)
    random = np.random.default_rng(seed)
    draws = [
        _discrepancy(
            real[random.choice(len(real), size, replace=False)], fake[random.choice(len(fake), size, replace=False)]
        )
        for _ in range(SUBSETS)
    ]
    return float(np.mean(draws))


def _discrepancy(real: Features, fake: Features) -> float:
    """Unbiased estimate on two sets of the same size."""
    size, width = real.shape
    within = [(rows @ rows.T / width + 1) ** 3 for rows in (real, fake)]
    between = (real @ fake.T / width + 1) ** 3
    apart = [(kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in within]
    return float(apart[0] + apart[1] - 2 * between.mean())
