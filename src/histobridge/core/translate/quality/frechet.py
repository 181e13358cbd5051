"""Fréchet distance (FID) between the features of two sets of images."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import InputError


def frechet_distance(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Distance of the normal distributions that two sets of features have.

    Parameters
    ----------
    real, fake : array, (n, d) float64
        One row an image or window, at least two rows each.

    Returns
    -------
    float
        0 or more. Biased upwards where there are few rows; prefer `kernel_distance` then.

    Raises
    ------
    InputError
        If a set has fewer than two rows, or the widths differ.

    Notes
    -----
    Heusel et al. 2017, arXiv 1706.08500, with features of our own:
    ``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))``. The last trace is the sum of the roots of the eigenvalues of
    ``S^(1/2) S' S^(1/2)``, which is symmetric.
    """
    if min(len(real), len(fake)) < 2 or real.shape[1] != fake.shape[1]:
        raise InputError(
            f"features of shapes {real.shape} and {fake.shape} cannot be compared; at least two rows of one width "
            "are expected: take more or larger images"
        )
    means = real.mean(axis=0) - fake.mean(axis=0)
    one, other = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (real, fake))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0, None)).sum()
    return max(0.0, float(means @ means + np.trace(one) + np.trace(other) - 2 * shared))
