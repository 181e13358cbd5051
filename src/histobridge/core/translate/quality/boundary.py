"""How far translated borders lie from where the labels have them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.translate.base import Image

REACH_PX = 4.0
STEP_PX = 0.5
SMOOTHING_PX = 1.0
NEAR_PX = 1.5
FEWEST_POINTS = 20
"""A border of fewer pixels between two classes says nothing."""


@dataclass(frozen=True, slots=True)
class Displacement:
    """Distances between borders in the labels and in the image.

    Parameters
    ----------
    median_px, high_px : float
        Median and 90th percentile, in pixels, 0 to 4.
    points : int
        Border pixels measured.
    """

    median_px: float
    high_px: float
    points: int


def boundary_displacement(images: Sequence[Image], labels: Sequence[NDArray[np.uint8]]) -> Displacement | None:
    """Measure where along its normal each border of the labels is steepest in the image.

    Contrast may be of either sign, since translation may invert it, but is of one sign for all borders between the
    same two classes: the other side of a thin sheath is not taken for this one.

    Parameters
    ----------
    images : sequence of array, (Y, X) float32
        Translations of labelled images.
    labels : sequence of array, (Y, X) uint8
        Class values of the same pixels; 255 is unlabelled.

    Returns
    -------
    Displacement or None
        None where the labels have no borders.
    """
    found: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for image, classes in zip(images, labels, strict=True):
        for pair, profiles in _profiles(image, classes):
            found.setdefault(pair, []).append(profiles)
    offsets = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    distances = []
    for profiles_of_pair in found.values():
        profiles = np.concatenate(profiles_of_pair)
        if len(profiles) < FEWEST_POINTS:
            continue
        # The contrast of this border, not of the other side of a sheath, decides the sign: near counts more.
        mean = profiles.mean(axis=0) * np.exp(-((offsets / NEAR_PX) ** 2) / 2)
        sign = np.sign(mean[np.abs(mean).argmax()]) or 1.0
        distances.append(np.abs(offsets[(sign * profiles).argmax(axis=1)]))
    if not distances:
        return None
    pooled = np.concatenate(distances)
    return Displacement(float(np.median(pooled)), float(np.quantile(pooled, 0.9)), len(pooled))


def _profiles(image: Image, classes: NDArray[np.uint8]) -> Iterator[tuple[tuple[int, int], NDArray[np.float64]]]:
    """Steepness of the image along the normals of the borders of each pair of classes, (points, offsets)."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image.astype(np.float64), SMOOTHING_PX)
    offsets = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    usable = ndimage.distance_transform_edt(np.pad(classes != IGNORE, 1))[1:-1, 1:-1] > REACH_PX + 1
    present = [int(value) for value in np.unique(classes) if value != IGNORE]
    for one, other in combinations(present, 2):
        inside = classes == one
        beside = ndimage.binary_dilation(classes == other)
        points = np.argwhere(inside & beside & usable)
        if not len(points):
            continue
        # Zero half-way between the last pixel inside and the first outside.
        depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
        depth -= np.sign(depth) / 2
        normals = np.stack(np.gradient(ndimage.gaussian_filter(depth, SMOOTHING_PX)))[:, points[:, 0], points[:, 1]]
        normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-6)
        starts = points.T - normals * depth[points[:, 0], points[:, 1]]
        along = np.concatenate([offsets - STEP_PX, offsets[-2:] + STEP_PX])
        places = starts[:, :, None] + normals[:, :, None] * along
        values = ndimage.map_coordinates(smooth, places, order=1, mode="nearest")
        yield (one, other), values[:, 2:] - values[:, :-2]
