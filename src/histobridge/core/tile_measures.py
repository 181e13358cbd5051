"""What a proposal says about one tile: how unsure it is and where, what it shows, and how far another one differs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import Manifest
from histobridge.core.metrics import aggregate_g_ratio

SIDE_PX = 512
"""Larger tiles are looked at on every second, third, ... pixel."""

BORDER_PX = 2
"""Pixels looked at on either side of a class border that count as along it."""

SMALLEST_PX = 16
"""Smaller regions are no objects, at the pixels looked at."""

Classes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Measures:
    """What is open of one tile, that is neither reviewed nor ignored; none where it is not known.

    Parameters
    ----------
    uncertainty : float or None
        Sum of 1 - confidence over what is open, divided by all pixels of the tile, in [0, 1].
    along_borders : float
        Share of this that lies along class borders, in [0, 1].
    disagreement : float or None
        Share of all pixels of the tile that are open and of another class in the other proposal, in [0, 1].
    objects_differ : int
        Objects of either proposal, mostly open, of which the other does not show half.
    g_ratio : float or None
        Aggregate g-ratio, sqrt(axon area / fibre area); none without an axon.
    diameter : float or None
        Median diameter of the objects, in µm.
    density : float or None
        Objects in 1,000 µm² of what is open.
    """

    uncertainty: float | None = None
    along_borders: float = 0.0
    disagreement: float | None = None
    objects_differ: int = 0
    g_ratio: float | None = None
    diameter: float | None = None
    density: float | None = None


def measure_tile(
    classes: Classes,
    confidence: Classes,
    other: Classes | None,
    manifest: Manifest,
    pixel_size_um: float,
    is_open: NDArray[np.bool_] | None = None,
) -> Measures:
    """Measure one tile of a proposal.

    Parameters
    ----------
    classes, confidence : ndarray (Y, X) uint8
        Class values; confidence 0 to 255 is 0 to 1.
    other : ndarray (Y, X) uint8, optional
        Classes by another proposal.
    manifest : Manifest
        Tells which class lies inside which. The inner ones (axons) are the objects; without a nested pair, all classes.
    pixel_size_um : float
        µm per pixel; any other unit will do if it is that of all tiles that are compared.
    is_open : ndarray (Y, X) bool, optional
        What is neither reviewed nor ignored, and alone counts; none: all.

    Returns
    -------
    Measures
    """
    step = -(-max(classes.shape) // SIDE_PX)
    counted = (np.ones(classes.shape, np.bool_) if is_open is None else is_open)[::step, ::step]
    classes, confidence = classes[::step, ::step], confidence[::step, ::step]
    area_um2 = float(counted.sum()) * (step * pixel_size_um) ** 2
    pair = manifest.nested_pair()
    values = [pair[0].value] if pair else [spec.value for spec in manifest.classes]
    sizes = np.concatenate([_regions(classes == value, counted)[1] for value in values])
    doubt = (1 - confidence / np.float32(255)) * counted
    total = float(doubt.sum())
    differ = None if other is None else other[::step, ::step]
    return Measures(
        uncertainty=float(doubt.mean()),
        along_borders=float(doubt[_along_borders(classes)].sum()) / total if total else 0.0,
        disagreement=None if differ is None else float(((classes != differ) & counted).mean()),
        objects_differ=0 if differ is None else sum(_missed(classes == v, differ == v, counted) for v in values),
        g_ratio=aggregate_g_ratio(classes * counted, pair[0].value, pair[1].value) if pair and sizes.size else None,
        diameter=_diameter(sizes, step * pixel_size_um) if sizes.size else None,
        density=1e3 * len(sizes) / area_um2 if area_um2 else None,
    )


def _regions(mask: NDArray[np.bool_], counted: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Label image of the connected regions that are no specks and mostly counted, others 0, and their whole sizes."""
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    kept = (sizes >= SMALLEST_PX) & (2 * np.bincount(regions[counted], minlength=count + 1) > sizes)
    kept[0] = False
    return np.where(kept[regions], regions, 0).astype(np.int32), sizes[kept]


def _missed(one: NDArray[np.bool_], other: NDArray[np.bool_], counted: NDArray[np.bool_]) -> int:
    """Regions of either mask of which the other has less than half."""
    missed = 0
    for mask, against in ((one, other), (other, one)):
        regions, _ = _regions(mask, counted)
        sizes = np.bincount(regions.ravel())[1:]
        found = np.bincount(regions[against], minlength=len(sizes) + 1)[1:]
        missed += int(np.count_nonzero((sizes > 0) & (2 * found < sizes)))
    return missed


def _along_borders(classes: Classes) -> NDArray[np.bool_]:
    from scipy import ndimage

    side = 2 * BORDER_PX + 1
    return np.asarray(ndimage.maximum_filter(classes, side) != ndimage.minimum_filter(classes, side))


def _diameter(sizes: NDArray[np.int64], pixel_size: float) -> float:
    return float(2 * np.sqrt(np.median(sizes) / np.pi) * pixel_size)
