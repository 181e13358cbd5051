"""Kernel distance (KID) between the features of two sets of images, and how uncertain it is."""

from collections.abc import Iterator, Sequence

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


def lag(real: Features, bare: Features, fake: Features, factor: float) -> float:
    """How much farther fakes are from real images than `factor` times as far as what they are to be compared with.

    Parameters
    ----------
    real, bare, fake : array, (n, d) float64
        See `kernel_distance`.
    factor : float

    Returns
    -------
    float
        Distance of the fakes minus `factor` times that of the bare ones, or 0 where that is below; above 0: farther.
    """
    return kernel_distance(real, fake) - factor * max(0.0, kernel_distance(real, bare))


def lag_error(
    real: Sequence[Features], bare: Sequence[Features], fake: Sequence[Features], factor: float
) -> float | None:
    """Standard error of `lag`, by leaving out one image after the other.

    Windows of one image resemble each other, so it is images that are left out: a real one, or one in both its
    translations. Few images that differ among themselves make for a large error, however many windows they have.

    Parameters
    ----------
    real, bare, fake : sequence of array, (n, d) float64
        Of each image its windows; the k-th of `bare` and of `fake` are translations of one image.
    factor : float
        See `lag`.

    Returns
    -------
    float or None
        None where a side has fewer than three images.

    Notes
    -----
    Jackknife of two independent samples: Efron 1982, doi:10.1137/1.9781611970319.
    """
    if min(len(real), len(fake)) < 3:
        return None
    all_real, all_bare, all_fake = (np.concatenate(side) for side in (real, bare, fake))
    without_real = [lag(rows, all_bare, all_fake, factor) for rows in _leaving_one_out(real)]
    pairs = zip(_leaving_one_out(bare), _leaving_one_out(fake), strict=True)
    without_start = [lag(all_real, *pair, factor=factor) for pair in pairs]
    variances = [(len(lags) - 1) * np.var(lags) for lags in (without_real, without_start)]
    return float(np.sqrt(sum(variances)))


def _leaving_one_out(images: Sequence[Features]) -> Iterator[Features]:
    for left_out in range(len(images)):
        yield np.concatenate([rows for number, rows in enumerate(images) if number != left_out])


def _discrepancy(real: Features, fake: Features) -> float:
    """Unbiased estimate on two sets of the same size."""
    size, width = real.shape
    within = [(rows @ rows.T / width + 1) ** 3 for rows in (real, fake)]
    between = (real @ fake.T / width + 1) ** 3
    apart = [(kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in within]
    return float(apart[0] + apart[1] - 2 * between.mean())
