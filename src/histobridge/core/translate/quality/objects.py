"""Whether a translation keeps the number and the size of objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.scale import counts_cut, object_diameters


@dataclass(frozen=True, slots=True)
class ObjectsKept:
    """What was found as a share of what was expected.

    Parameters
    ----------
    count : float
        Objects found per object expected.
    size : float
        Typical (area-weighted median) diameter found over the one expected; 0 where nothing was found.
    """

    count: float
    size: float


def objects_kept(found: Sequence[NDArray[np.bool_]], expected: Sequence[NDArray[np.bool_]]) -> ObjectsKept | None:
    """Compare the objects of two sets of masks.

    Parameters
    ----------
    found, expected : sequence of array, (Y, X) bool
        Masks of the class that sets the scale, at the same scale; one of each for every image. What touches the border
        counts on both sides where few of the expected objects lie inside, else on neither.

    Returns
    -------
    ObjectsKept or None
        None where no objects are expected.
    """
    cut = [counts_cut(mask) for mask in expected]
    sizes = [
        np.concatenate([object_diameters(mask, cut=one) for mask, one in zip(masks, cut, strict=True)])
        for masks in (found, expected)
    ]
    if not len(sizes[1]):
        return None
    return ObjectsKept(len(sizes[0]) / len(sizes[1]), _typical(sizes[0]) / _typical(sizes[1]))


def _typical(diameters: NDArray[np.float64]) -> float:
    if not len(diameters):
        return 0.0
    ordered = np.sort(diameters)
    area = np.cumsum(ordered**2)
    return float(ordered[np.searchsorted(area, area[-1] / 2)])
