"""The look of synthetic fibres under a transmission and a scanning electron microscope."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FibreMap:
    """Where the fibres are.

    Parameters
    ----------
    classes : ndarray (Y, X) uint8
        0 background, 1 axon, 2 myelin.
    owner : ndarray (Y, X) uint32
        Number of the fibre; 0 background.
    depth : ndarray (Y, X) float32
        Distance from the fibre's centre; 1 on its outline and outside.
    inner : ndarray (Y, X) float32
        The same in units of the axon's outline; infinite outside fibres.
    """

    classes: NDArray[np.uint8]
    owner: NDArray[np.uint32]
    depth: Grey
    inner: Grey


def render_tem(fibres: FibreMap, subject: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Dark sheaths, light axoplasm with mitochondria, grey tissue with unmyelinated profiles; (Y, X) uint8."""
    shape = fibres.owner.shape
    axon, myelin = fibres.classes == 1, fibres.classes == 2
    image = 138.0 + 16 * _clouds(shape, 6, random) + 12 * _strands(shape, random)
    _draw_profiles(image, ~axon & ~myelin, (168.0, 84.0), random)
    image[ndimage.binary_erosion(_blobs(shape, 14, 1.6, random) & ~axon & ~myelin)] -= 50
    image[axon] = (182 + _per_fibre(fibres, 16, random) + 9 * _clouds(shape, 3, random))[axon]
    mitochondria = _blobs(shape, 3, 1.75, random) & (fibres.inner < 0.85)
    image[mitochondria] -= 62
    lamellae = 6 * np.sin(40 * fibres.depth)
    image[myelin] = (52 + _per_fibre(fibres, 8, random) + lamellae + 5 * _clouds(shape, 2, random))[myelin]
    image = ndimage.gaussian_filter(image, 0.7)
    image += 9 * _drift(shape, random) + 8 * random.standard_normal(shape)
    return _finish(image, (1.0, 0.85, 1.12)[subject], (0.0, 14.0, -16.0)[subject])


def render_sem(fibres: FibreMap, subject: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Bright sheaths, dark axons, blur, shadows at edges, charging streaks; (Y, X) uint8."""
    shape = fibres.owner.shape
    axon, myelin = fibres.classes == 1, fibres.classes == 2
    tissue = (112.0, 128.0, 48.0)[subject]
    image = tissue + 20 * _clouds(shape, 5, random) + 8 * _clouds(shape, 1.5, random)
    _draw_profiles(image, ~axon & ~myelin, (tissue - 20, tissue + 42), random)
    image[axon] = (72 + _per_fibre(fibres, 20, random) + 10 * _clouds(shape, 4, random))[axon]
    # Axons shrink away from their sheath on one side: a crescent darker than the axon, still axon.
    side = np.cos(np.arctan2(*np.gradient(ndimage.gaussian_filter(fibres.depth, 2))) - random.uniform(0, 6.28))
    image[axon & (fibres.inner > 0.72) & (side > 0.55)] -= 32
    image[_blobs(shape, 4, 2.0, random) & axon] += 58
    rim = 26 * (fibres.depth - 0.8) + 8 * _clouds(shape, 2, random)
    image[myelin] = (176 + _per_fibre(fibres, 17, random) + rim)[myelin]
    image = ndimage.gaussian_filter(image, (1.0, 1.25, 1.5)[subject])
    image += 1.1 * ndimage.gaussian_filter(ndimage.sobel(image, axis=1), 0.8) / 4
    image += _streaks(shape, random) + 16 * _drift(shape, random) + 9 * random.standard_normal(shape)
    return _finish(image, (1.0, 0.78, 0.9)[subject], (0.0, 22.0, 6.0)[subject])


def _finish(image: NDArray[np.float64], contrast: float, brightness: float) -> NDArray[np.uint8]:
    """Apply the contrast of the session and round to bytes."""
    return np.clip(np.rint((image - 128) * contrast + 128 + brightness), 0, 255).astype(np.uint8)


def _clouds(shape: tuple[int, ...], sigma: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Smooth noise of unit deviation."""
    noise = ndimage.gaussian_filter(random.standard_normal(shape), sigma, mode="wrap")
    scaled: NDArray[np.float64] = noise / noise.std()
    return scaled


def _strands(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Fine strands, such as collagen cut along, in patches of two directions."""
    noise = random.standard_normal(shape)
    steep = ndimage.gaussian_filter(noise, (2.5, 0.6), mode="wrap")
    flat = ndimage.gaussian_filter(noise, (0.6, 2.5), mode="wrap")
    both = np.where(_clouds(shape, 12, random) > 0, steep, flat)
    scaled: NDArray[np.float64] = both / both.std()
    return scaled


def _blobs(shape: tuple[int, ...], sigma: float, above: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Random blobs: where smooth noise is `above` so many deviations."""
    return _clouds(shape, sigma, random) > above


def _per_fibre(fibres: FibreMap, deviation: float, random: np.random.Generator) -> NDArray[np.float64]:
    """One random offset a fibre, as an image."""
    offsets = deviation * random.standard_normal(int(fibres.owner.max()) + 1)
    spread: NDArray[np.float64] = offsets[fibres.owner]
    return spread


def _draw_profiles(
    image: NDArray[np.float64],
    free: NDArray[np.bool_],
    greys: tuple[float, float],
    random: np.random.Generator,
) -> None:
    """Draw small unmyelinated profiles, interior and rim, where the tissue is free; not part of any class."""
    count = image.size // 500
    seeds = random.uniform(0, 1, (count, 2)) * image.shape
    marks = np.zeros(image.shape, np.int32)
    where = np.minimum(seeds.astype(int), np.array(image.shape) - 1)
    marks[where[:, 0], where[:, 1]] = np.arange(1, count + 1)
    distance, nearest = ndimage.distance_transform_edt(marks == 0, return_indices=True)
    radius = np.concatenate(([0.0], random.uniform(2.5, 7.0, count)))[marks[nearest[0], nearest[1]]]
    radius += 0.8 * _clouds(image.shape, 2, random)
    inside, rim = free & (distance < radius - 1.2), free & (np.abs(distance - radius) <= 1.2)
    image[inside] = greys[0] + 8 * _clouds(image.shape, 2, random)[inside]
    image[rim] = greys[1]


def _drift(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Slow change of illumination over the field, within about -1 and 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    slope = random.uniform(-1, 1, 3)
    drift: NDArray[np.float64] = slope[0] * y + slope[1] * x + slope[2] * x * y
    return drift


def _streaks(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Bright and dark bands along the scan lines that begin somewhere and fade, as charging does."""
    rows = ndimage.gaussian_filter1d(random.standard_normal(shape[0]), 1.0)
    rows = np.where(np.abs(rows) > 1.1 * rows.std(), rows / rows.std(), 0)
    begin = random.uniform(0, shape[1], shape[0])
    along = np.arange(shape[1])[None] - ndimage.gaussian_filter1d(begin, 3)[:, None]
    fade = np.exp(-np.maximum(along, 0) / (0.5 * shape[1])) * (along > 0)
    streaks: NDArray[np.float64] = 11 * rows[:, None] * fade
    return streaks
