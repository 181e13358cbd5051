"""Random changes of shape and look of a training crop, in numpy: about a millisecond a crop of 96 px."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from histobridge.core.training_config import SegmenterTraining

Crop = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]
"""Image (Y, X) in [-1, 1], labels (Y, X), weight (Y, X)."""


def draw_zoom(strength: float, rng: np.random.Generator) -> float:
    """Draw a magnification, at full strength log-uniform in [0.75, 1.33]."""
    return float(np.exp(strength * rng.uniform(np.log(0.75), np.log(1.33))))


def resize_crop(crop: Crop, side: int) -> Crop:
    """Resize a square crop to `side` pixels: the image linearly, labels and weight to the nearest pixel."""
    image, labels, weight = crop
    if image.shape == (side, side):
        return crop
    nearest = np.clip(np.rint(_positions(image.shape[0], side)).astype(np.intp), 0, image.shape[0] - 1)
    pick = np.ix_(nearest, nearest)
    return _resize(image, side), labels[pick], weight[pick]


def flip_crop(crop: Crop, rng: np.random.Generator) -> Crop:
    """Turn by a multiple of 90 degrees and mirror at random."""
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    image, labels, weight = crop
    side = slice(None, None, -1 if mirror else 1)
    return np.rot90(image, turns)[:, side], np.rot90(labels, turns)[:, side], np.rot90(weight, turns)[:, side]


def shift_background(
    crop: Crop, strength: float, rng: np.random.Generator, deviation: float = SegmenterTraining().background_shift
) -> NDArray[np.float32]:
    """Make what is labelled background darker or brighter than it is, against the objects, with a soft edge.

    Which of background and objects is darker differs between preparations, so it must not be what tells them apart.

    Parameters
    ----------
    crop : Crop
    strength : float
        In [0, 1]; multiplies the probability of a shift.
    rng : numpy.random.Generator
        Advanced in the same way whatever the deviation.
    deviation : float
        Standard deviation of the shift, where grey values go from -1 to 1; 0: the image stays as it is.

    Returns
    -------
    ndarray
        Image, (Y, X) float32 in [-1, 1].
    """
    image, labels, _ = crop
    if rng.random() >= 0.5 * strength:
        return image
    background = gaussian_filter((labels == 0).astype(np.float32), 1.0)
    shifted: NDArray[np.float32] = np.clip(image + np.float32(rng.normal(0, deviation)) * background, -1, 1)
    return shifted


def change_look(image: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Change grey values at random: gamma, grey warp, blur, resolution, shading, noise.

    Parameters
    ----------
    image : ndarray
        (Y, X) float32 in [-1, 1].
    strength : float
        In [0, 1]; multiplies the probability of every change.
    rng : numpy.random.Generator
        Advanced by a number of draws that depends on what was drawn.

    Returns
    -------
    ndarray
        (Y, X) float32 in [-1, 1]; a new array unless nothing was changed.
    """
    grey = np.asarray(np.clip(image, -1, 1) / 2 + 0.5, np.float32)
    happens = rng.random(6) < strength * np.array([0.5, 0.5, 0.4, 0.3, 0.4, 0.6])
    if happens[0]:
        grey = grey ** np.float32(np.exp(rng.uniform(-0.9, 0.9)))
    if happens[1]:
        knots = np.linspace(0, 1, 6)
        grey = np.interp(grey, knots, np.sort(knots + rng.normal(0, 0.12, 6))).astype(np.float32)
    if happens[2]:
        grey = gaussian_filter(grey, rng.uniform(0.3, 1.5), truncate=3.0)
    if happens[3]:
        grey = _resize(_resize(grey, max(2, round(grey.shape[0] * rng.uniform(0.4, 0.9)))), grey.shape[0])
    if happens[4]:
        coarse = rng.normal(0, 0.25, (4, 4)).astype(np.float32)
        grey = grey * np.exp(_sample(coarse, _eased(grey.shape[0]), _eased(grey.shape[1])))
    if happens[5]:
        grey = grey + np.float32(rng.uniform(0, 0.12)) * rng.standard_normal(grey.shape, dtype=np.float32)
    return np.clip(2 * grey - 1, -1, 1)


def _positions(side_in: int, side_out: int) -> NDArray[np.float64]:
    """Where the pixel centres of `side_out` pixels lie among `side_in` pixels of the same extent."""
    return np.asarray((np.arange(side_out) + 0.5) * (side_in / side_out) - 0.5, np.float64)


def _eased(side: int) -> NDArray[np.float64]:
    """Positions of `side` pixels among 4 values, slow near each value, so that the interpolation is smooth."""
    position = np.linspace(0, 3, side)
    whole = np.floor(position)
    rest = position - whole
    return np.asarray(whole + rest**2 * (3 - 2 * rest), np.float64)


def _resize(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize a square image linearly."""
    position = np.clip(_positions(image.shape[0], side), 0, image.shape[0] - 1)
    return _sample(image, position, position)


def _sample(image: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate linearly at the crossings of `y` and `x`; no matrix product, whose threads fight with torch's."""
    rows = _between(image, y)
    return _between(rows.T, x).T


def _between(image: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate linearly between rows."""
    lower = np.clip(position.astype(np.intp), 0, image.shape[0] - 2)
    share = (position - lower).astype(np.float32)[:, None]
    return np.asarray(image[lower] * (1 - share) + image[lower + 1] * share, np.float32)
