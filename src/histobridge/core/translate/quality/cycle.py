"""How well an image comes back from the other domain, as published and with what hides in a fake disturbed."""

from dataclasses import dataclass

import numpy as np

from histobridge.core.translate.base import Image

LEVEL = 2 / 255
"""One level of an 8-bit image whose grey values span [-1, 1]."""
MOST_DB = 100.0
"""PSNR of equal images, which has no bound."""


@dataclass(frozen=True, slots=True)
class CycleScore:
    """How alike an image and what came back of it are.

    Parameters
    ----------
    ssim : float
        Structural similarity, window of 7 px; 1 for equal images.
    psnr_db : float
        Peak signal-to-noise ratio, at most 100 dB.
    l1 : float
        Mean absolute difference where grey values span [0, 1].
    """

    ssim: float
    psnr_db: float
    l1: float


def cycle_score(original: Image, back: Image) -> CycleScore:
    """Compare an image with its translation there and back.

    Parameters
    ----------
    original, back : array, (Y, X) float32
        In [-1, 1], at least 7 px a side.

    Returns
    -------
    CycleScore

    Notes
    -----
    As Boschet et al. 2024, arXiv 2412.02858, report: scikit-image's SSIM and PSNR with range 1, and the mean absolute
    difference. It does not rank translators by the labels they lead to, and a network can hide the original in a fake
    (Chu, Zhmoginov and Sandler 2017, arXiv 1712.02950); see `disturbed`.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    one, other = ((image.astype(np.float64) + 1) / 2 for image in (original, back))
    error = float(np.abs(one - other).mean())
    psnr = MOST_DB if error == 0 else float(peak_signal_noise_ratio(one, other, data_range=1.0))
    return CycleScore(float(structural_similarity(one, other, data_range=1.0)), min(psnr, MOST_DB), error)


def disturbed(fake: Image, random: np.random.Generator, levels: float = 1.0) -> Image:
    """Destroy what may hide in the least levels of a fake before it goes back.

    Parameters
    ----------
    fake : array, (Y, X) float32
        In [-1, 1].
    random : numpy.random.Generator
    levels : float
        Standard deviation of the noise, in levels of 8 bits.

    Returns
    -------
    array, (Y, X) float32
        With noise, rounded to 256 levels in [-1, 1].
    """
    noisy = fake + random.normal(0, levels * LEVEL, fake.shape)
    rounded: Image = (np.rint((np.clip(noisy, -1, 1) + 1) / LEVEL) * LEVEL - 1).astype(np.float32)
    return rounded
