"""Does what was predicted look like what was labelled: sizes of objects, closed rings, g-ratios."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.enclosure import enclosure_score
from histobridge.core.fibres import derive_fibres, filled_axons
from histobridge.core.manifest import IGNORE, Manifest
from histobridge.core.metrics import aggregate_g_ratio
from histobridge.core.morphometry import measure_fibres
from histobridge.core.scale import object_diameters, reference_class

Classes = NDArray[np.uint8]

HALF_OCTAVES = np.arange(0, 12.5, 0.5)
"""Edges of the bins of log2 diameter in pixels: up to 4096."""
G_RATIO_FREE, G_RATIO_LIMIT = 0.1, 0.3
"""A difference of g-ratios up to the first says nothing, since animals differ; from the second on it is implausible."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Measures of some crops at one scale.

    Parameters
    ----------
    diameters : (n,) float64
        Of the objects that set the scale, in pixels.
    enclosure : float or None
        Mean of `enclosure_score` over the crops; none where no class lies inside another.
    g_ratios : tuple of float
        Aggregate one, and the median of the fibres seen whole; empty where there is nothing to measure.
    """

    diameters: NDArray[np.float64]
    enclosure: float | None
    g_ratios: tuple[float, ...]


def find(crops: Sequence[Classes], manifest: Manifest) -> Findings:
    """Measure some crops.

    Parameters
    ----------
    crops : sequence of (Y, X) uint8
        Class values, 255 unlabelled, all at one working scale.
    manifest : Manifest

    Returns
    -------
    Findings
    """
    reference = reference_class(manifest, "source").value
    diameters = np.concatenate([object_diameters(crop == reference, known=crop != IGNORE) for crop in crops])
    pair = manifest.nested_pair()
    if pair is None:
        return Findings(diameters, None, ())
    inner, outer = (spec.value for spec in pair)
    crops = [filled_axons(crop, manifest) for crop in crops]
    enclosure = float(np.mean([enclosure_score(crop, inner, outer) for crop in crops]))
    aggregate = aggregate_g_ratio(np.concatenate([crop.ravel() for crop in crops]), inner, outer)
    tables = [measure_fibres(derive_fibres(crop, manifest), crop, inner, 1.0, IGNORE) for crop in crops]
    single = np.concatenate([table.g_ratio[~table.cut & (table.g_ratio < 1)] for table in tables])
    g_ratios = () if aggregate is None or not single.size else (aggregate, float(np.median(single)))
    return Findings(diameters, enclosure, g_ratios)


def size_overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Overlap of two distributions of object size, the sum over bins of the smaller share.

    Parameters
    ----------
    one, other : (n,) float
        Diameters in pixels of the same scale.

    Returns
    -------
    float
        In [0, 1]; 0 where one of them is empty. Bins are half octaves, objects count by their area: specks are many
        and small.
    """
    if not len(one) or not len(other):
        return 0.0
    shares = []
    for diameters in (one, other):
        logarithms = np.clip(np.log2(diameters), HALF_OCTAVES[0], HALF_OCTAVES[-1])
        counts = np.histogram(logarithms, HALF_OCTAVES, weights=diameters**2)[0]
        shares.append(counts / counts.sum())
    return float(np.minimum(*shares).sum())


def g_ratio_plausibility(found: Sequence[float], expected: Sequence[float]) -> float:
    """How plausible g-ratios are beside expected ones, with a broad tolerance.

    Parameters
    ----------
    found, expected : sequence of float
        The same measures of both, such as aggregate and median.

    Returns
    -------
    float
        1 where they differ by at most `G_RATIO_FREE` on average, falling linearly to 0 at `G_RATIO_LIMIT`; 0 where
        nothing was found, 1 where nothing was expected.
    """
    if not expected:
        return 1.0
    if not found:
        return 0.0
    difference = float(np.mean(np.abs(np.subtract(found, expected))))
    return float(np.clip((G_RATIO_LIMIT - difference) / (G_RATIO_LIMIT - G_RATIO_FREE), 0, 1))
