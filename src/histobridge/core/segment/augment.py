"""Random changes of shape and look of a training crop, in numpy: about two milliseconds a crop."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

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
    image, labels, weight = (np.rot90(array, turns) for array in crop)
    return (image[:, ::-1], labels[:, ::-1], weight[:, ::-1]) if mirror else (image, labels, weight)


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
    grey = (np.clip(image, -1, 1) + 1) / 2
    happens = rng.random(6) < strength * np.array([0.5, 0.5, 0.4, 0.3, 0.4, 0.6])
    if happens[0]:
        grey = grey ** np.float32(np.exp(rng.uniform(-0.9, 0.9)))
    if happens[1]:
        knots = np.linspace(0, 1, 6)
        grey = np.interp(grey, knots, np.sort(knots + rng.normal(0, 0.12, 6)))
    if happens[2]:
        grey = gaussian_filter(grey, rng.uniform(0.3, 1.5), truncate=3.0)
    if happens[3]:
        grey = _resize(_resize(grey, max(2, round(grey.shape[0] * rng.uniform(0.4, 0.9)))), grey.shape[0])
    if happens[4]:
        shading = _smooth_steps(grey.shape[0]) @ rng.normal(0, 0.25, (4, 4)) @ _smooth_steps(grey.shape[1]).T
        grey = grey * np.exp(shading)
    if happens[5]:
        grey = grey + rng.uniform(0, 0.12) * rng.standard_normal(grey.shape, dtype=np.float32)
    return np.clip(2 * grey - 1, -1, 1).astype(np.float32)


def _positions(side_in: int, side_out: int) -> NDArray[np.float64]:
    """Where the pixel centres of `side_out` pixels lie among `side_in` pixels of the same extent."""
    return (np.arange(side_out) + 0.5) * (side_in / side_out) - 0.5


@lru_cache(maxsize=512)
def _interpolation(side_in: int, side_out: int) -> NDArray[np.float32]:
    """Matrix (side_out, side_in) of linear interpolation."""
    position = np.clip(_positions(side_in, side_out), 0, side_in - 1)
    distance = np.abs(position[:, None] - np.arange(side_in))
    return np.clip(1 - distance, 0, 1).astype(np.float32)


def _resize(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize a square image linearly."""
    matrix = _interpolation(image.shape[0], side)
    resized: NDArray[np.float32] = matrix @ image.astype(np.float32, copy=False) @ matrix.T
    return resized


@lru_cache(maxsize=16)
def _smooth_steps(side: int) -> NDArray[np.float64]:
    """Matrix (side, 4) that carries 4 values smoothly over `side` pixels."""
    position = np.linspace(0, 3, side)
    near = np.clip(1 - np.abs(position[:, None] - np.arange(4)), 0, 1)
    steps: NDArray[np.float64] = near**2 * (3 - 2 * near)
    return steps
