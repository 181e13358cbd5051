"""How far predicted outlines are from true ones: distances in µm, surface Dice, boundary IoU."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.comparison import Flags, Mask, masks_of
from histobridge.core.errors import InputError

Spacing = float | tuple[float, float]
Distances = NDArray[np.float64]
ROUNDING = 1e-9
"""Relative slack of a tolerance: two pixels are no less than 2 * pixel size."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between the outlines of one class.

    Parameters
    ----------
    to_true : ndarray (P,) float
        From each pixel of the predicted outline to the nearest one of the true outline.
    to_predicted : ndarray (T,) float
        From each pixel of the true outline to the nearest one of the predicted outline.
    largest : float
        Diagonal of the image: what both hold where only one has the class.
    unknown : bool
        Whether both have the class, not in the same pixels, and not both have an outline, as where sparse labels end
        inside of it: all measures are then NaN.
    """

    to_true: Distances
    to_predicted: Distances
    largest: float
    unknown: bool = False

    @property
    def mean(self) -> float:
        """Mean of the distances in both directions together, the ASSD; 0 where there is no outline at all."""
        if self.unknown:
            return np.nan
        both = np.concatenate([self.to_true, self.to_predicted])
        return float(both.mean()) if both.size else 0.0

    def percentile(self, percent: float) -> float:
        """Larger one of the percentiles of both directions; 0 where there is no outline at all."""
        if self.unknown:
            return np.nan
        found = [np.percentile(part, percent) for part in (self.to_true, self.to_predicted) if part.size]
        return float(max(found, default=0.0))

    def within(self, tolerance: float) -> float:
        """Share of both outlines that is at most `tolerance` away; 1 without any, 0 where only one has the class."""
        if self.unknown:
            return np.nan
        both = np.concatenate([self.to_true, self.to_predicted])
        near = both <= tolerance * (1 + ROUNDING)
        return float((near & (both < self.largest)).mean()) if both.size else 1.0


def surface_distances(
    prediction: Mask, truth: Mask, value: int, pixel_size_um: Spacing, ignore: int | None = None
) -> SurfaceDistances:
    """Measure the distances between the predicted and the true outline of one class.

    The outline of a class are its pixels that have a pixel of something else above, below, left or right. As in MONAI
    and in DeepMind's surface-distance the edge of the image is an outline too; the rim of unlabelled pixels is none.

    Parameters
    ----------
    prediction, truth : ndarray (Y, X) of int
        Class values.
    value : int
        The class.
    pixel_size_um : float or (float, float)
        Size of a pixel in µm, or its height and width; with 1 all is in pixels.
    ignore : int, optional
        Pixels where `truth` has this value are left out.

    Returns
    -------
    SurfaceDistances
        In µm. Where only one of both has the class, all are the diagonal of the image: finite, so that means can be
        taken, and worse than any outline could be, so that losing a class never pays. Where both have it, not in the
        same pixels, and not both have an outline, they are `unknown`.

    Raises
    ------
    InputError
        If the shapes differ or the pixel size is not positive.
    """
    from scipy.ndimage import distance_transform_edt

    spacing = np.broadcast_to(np.asarray(pixel_size_um, np.float64), (2,))
    if not (spacing > 0).all():
        raise InputError(f"the pixel size must be above 0 µm; got {pixel_size_um}")
    predicted, true, known = masks_of(prediction, truth, value, ignore)
    differ = _differ_in_both(predicted, true)
    predicted, true = _outline(predicted, known), _outline(true, known)
    largest = float(np.hypot(*(spacing * truth.shape)))
    if differ and not (predicted.any() and true.any()):
        return SurfaceDistances(np.empty(0), np.empty(0), largest, unknown=True)
    if not (predicted.any() and true.any()):
        return SurfaceDistances(np.full(predicted.sum(), largest), np.full(true.sum(), largest), largest)
    to_true, to_predicted = (distance_transform_edt(~outline, sampling=spacing) for outline in (true, predicted))
    return SurfaceDistances(to_true[predicted], to_predicted[true], largest)


def _differ_in_both(predicted: Flags, true: Flags) -> bool:
    return bool(predicted.any() and true.any()) and not np.array_equal(predicted, true)


def _outline(mask: Flags, known: Flags) -> Flags:
    """Pixels of `mask` beside a known pixel that is not in it, or at the edge of the image."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask | ~known))


def assd_um(prediction: Mask, truth: Mask, value: int, pixel_size_um: Spacing, ignore: int | None = None) -> float:
    """Average symmetric surface distance of one class in µm.

    Mean over the pixels of both outlines of the distance to the other outline; arguments, errors and conventions as in
    `surface_distances`: 0 where neither has the class, the diagonal of the image where only one has it, NaN where both
    have it, differ, and not both have an outline.
    """
    return surface_distances(prediction, truth, value, pixel_size_um, ignore).mean


def hd95_um(prediction: Mask, truth: Mask, value: int, pixel_size_um: Spacing, ignore: int | None = None) -> float:
    """Hausdorff distance of one class in µm, without the worst 5 %: the larger 95th percentile of both directions.

    Arguments, errors and conventions as in `assd_um`.
    """
    return surface_distances(prediction, truth, value, pixel_size_um, ignore).percentile(95)


def surface_dice(
    prediction: Mask,
    truth: Mask,
    value: int,
    tolerance_um: float,
    pixel_size_um: Spacing,
    ignore: int | None = None,
) -> float:
    """Surface Dice (normalised surface distance) of one class: the share of both outlines that agrees.

    Parameters
    ----------
    prediction, truth : ndarray (Y, X) of int
        Class values.
    value : int
        The class.
    tolerance_um : float
        Distance in µm up to which two outlines agree, at least 0; in pixels if the pixel size is given as 1.
    pixel_size_um : float or (float, float)
        Size of a pixel in µm, or its height and width.
    ignore : int, optional
        Pixels where `truth` has this value are left out.

    Returns
    -------
    float
        0 to 1; 1 where neither has the class, 0 where only one has it, NaN where both have it, differ, and not both
        have an outline.

    Raises
    ------
    InputError
        If the shapes differ, the tolerance is negative or the pixel size is not positive.

    Notes
    -----
    Nikolov et al. 2021, doi:10.2196/26151. Outlines are counted in pixels, as MONAI does by default.
    """
    if tolerance_um < 0:
        raise InputError(f"the tolerance of a surface Dice must be at least 0; got {tolerance_um}")
    return surface_distances(prediction, truth, value, pixel_size_um, ignore).within(tolerance_um)


def boundary_iou(prediction: Mask, truth: Mask, value: int, width_px: int = 2, ignore: int | None = None) -> float:
    """Boundary IoU of one class: intersection over union of the inner rims of both masks.

    Parameters
    ----------
    prediction, truth : ndarray (Y, X) of int
        Class values.
    value : int
        The class.
    width_px : int
        Width of the rim in pixels, at least 1. Cheng et al. take 2 % of the diagonal for objects of the size of the
        image; of axons that would be all. As there, the edge of the image is an outline too.
    ignore : int, optional
        Pixels where `truth` has this value are left out, and their rim is no outline.

    Returns
    -------
    float
        0 to 1; 1 where neither has the class, 0 where only one has it, NaN where both have it, differ, and not both
        have a rim.

    Raises
    ------
    InputError
        If the shapes differ or the width is below 1.

    Notes
    -----
    Cheng et al. 2021, doi:10.1109/CVPR46437.2021.01508: with G_d the pixels of G that are at most d from its contour,
    |G_d ∩ P_d| / |G_d ∪ P_d|. Distance is the chessboard's.
    """
    if width_px < 1:
        raise InputError(f"the rim of a boundary IoU must be at least 1 pixel wide; got {width_px}")
    predicted, true, known = masks_of(prediction, truth, value, ignore)
    differ = _differ_in_both(predicted, true)
    predicted, true = _rim(predicted, known, width_px), _rim(true, known, width_px)
    if differ and not (predicted.any() and true.any()):
        return np.nan
    union = np.count_nonzero(predicted | true)
    return float(np.count_nonzero(predicted & true) / union) if union else 1.0


def _rim(mask: Flags, known: Flags, width_px: int) -> Flags:
    """Pixels of `mask` at most `width_px` from a known pixel that is not in it, or from the edge of the image."""
    from scipy.ndimage import minimum_filter

    inside = minimum_filter((mask | ~known).astype(np.uint8), size=2 * width_px + 1, mode="constant", cval=0)
    return np.asarray(mask & (inside == 0))
