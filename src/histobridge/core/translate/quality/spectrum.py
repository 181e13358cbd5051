"""How far apart the textures of two sets of images are, by their power spectra."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.translate.base import Image

BINS = 32
FLOOR = 1e-8
"""Power below which a frequency is empty: rounding to 8 bits has more."""


def spectrum(images: Sequence[Image]) -> NDArray[np.float64]:
    """Radially averaged power spectrum of a set of images.

    Parameters
    ----------
    images : sequence of array, (Y, X) float32
        In [-1, 1].

    Returns
    -------
    array, (32,) float64
        Natural logarithm of the power per pixel at frequencies from 0 to 0.5 per pixel, without the mean grey value;
        NaN at frequencies for which the images are too small.
    """
    total, count = np.zeros(BINS), np.zeros(BINS)
    for image in images:
        window = np.hanning(image.shape[0] + 2)[1:-1, None] * np.hanning(image.shape[1] + 2)[1:-1]
        power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2 / (window**2).sum()
        rows, columns = (np.fft.fftfreq(size) for size in image.shape)
        frequency = np.hypot(rows[:, None], columns)
        inside = frequency < 0.5
        place = (frequency[inside] * 2 * BINS).astype(int)
        total += np.bincount(place, power[inside], BINS)
        count += np.bincount(place, minlength=BINS)
    logarithms: NDArray[np.float64] = np.log(total / np.maximum(count, 1) + FLOOR)
    return np.where(count > 0, logarithms, np.nan)


def spectrum_distance(real: Sequence[Image], fake: Sequence[Image]) -> float:
    """Mean absolute difference of two log power spectra, at frequencies that both have.

    Parameters
    ----------
    real, fake : sequence of array, (Y, X) float32
        In [-1, 1].

    Returns
    -------
    float
        0 for the same texture; 0.7 is a factor of two in power at every frequency. Blur and checkerboards raise it.
    """
    return float(np.nanmean(np.abs(spectrum(real) - spectrum(fake))))
