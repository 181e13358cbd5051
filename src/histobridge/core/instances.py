"""Which predicted object is which true one: matching by overlap, F1 and panoptic quality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.comparison import Flags, Mask, same_shape
from histobridge.core.errors import InputError

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Objects of a prediction that stand for objects of the truth.

    Parameters
    ----------
    predicted, true : ndarray (M,) int
        Ids of the matched pairs.
    ious : ndarray (M,) float
        Intersection over union of each pair, from the threshold to 1.
    predicted_count, true_count : int
        All objects, matched or not.
    """

    predicted: Ids
    true: Ids
    ious: NDArray[np.float64]
    predicted_count: int
    true_count: int

    @property
    def f1(self) -> float:
        """2 M / (predicted + true), the recognition quality RQ, in [0, 1]; 1 where neither has an object."""
        count = self.predicted_count + self.true_count
        return 2 * len(self.ious) / count if count else 1.0

    @property
    def segmentation_quality(self) -> float:
        """SQ, the mean IoU of the pairs, in [0, 1]; without pairs 1 where neither has an object, else 0."""
        return float(self.ious.mean()) if len(self.ious) else self.f1

    @property
    def panoptic_quality(self) -> float:
        """PQ = RQ * SQ, in [0, 1]; 1 where neither has an object."""
        return self.f1 * self.segmentation_quality


def match_instances(prediction: Mask, truth: Mask, threshold: float = 0.5, unlabelled: Flags | None = None) -> Matches:
    """Match predicted and true objects one to one.

    A pair can match if its intersection over union is at least `threshold`. Of all matchings the one with most pairs is
    taken, and of those the one with the largest sum of IoU. From 0.5 on there is nothing to choose: an object that
    shares more than half of a union can do so with one other only. Overlaps are counted once for the whole image, so
    that time grows with pixels and not with pairs of objects.

    Parameters
    ----------
    prediction, truth : ndarray of int
        Object ids, of the same shape; 0 is background. Ids need not be consecutive.
    threshold : float
        Above 0, at most 1.
    unlabelled : ndarray of bool, optional
        Pixels whose truth nobody knows. They count for no area, and an unmatched predicted object that lies mostly in
        them is no mistake and not counted.

    Returns
    -------
    Matches

    Raises
    ------
    InputError
        If the shapes differ or the threshold is out of range.

    Notes
    -----
    Kirillov et al. 2019, doi:10.1109/CVPR.2019.00963: PQ = sum of IoU / (TP + FP / 2 + FN / 2), there with IoU > 0.5.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold of an instance F1 must be above 0 and at most 1; got {threshold}")
    prediction, truth = same_shape(prediction, truth)
    known = np.ones(truth.shape, bool) if unlabelled is None else ~unlabelled
    predicted_ids, predicted = np.unique(prediction, return_inverse=True)
    true_ids, true = np.unique(np.where(known, truth, 0), return_inverse=True)
    row, column, overlap = _overlaps(true.reshape(truth.shape)[known], predicted.reshape(truth.shape)[known])
    areas_true = np.bincount(row, overlap, len(true_ids))
    areas_predicted = np.bincount(column, overlap, len(predicted_ids))
    iou = overlap / (areas_true[row] + areas_predicted[column] - overlap)
    good = (true_ids[row] != 0) & (predicted_ids[column] != 0) & (iou >= threshold)
    row, column, iou = _best(row[good], column[good], iou[good])
    # Matched or mostly in what is labelled.
    counted = 2 * areas_predicted >= np.bincount(predicted.ravel(), minlength=len(predicted_ids))
    counted[column] = True
    return Matches(
        predicted_ids[column].astype(np.int64),
        true_ids[row].astype(np.int64),
        iou,
        int((counted & (predicted_ids != 0)).sum()),
        int(((true_ids != 0) & (areas_true > 0)).sum()),
    )


def _overlaps(true: Ids, predicted: Ids) -> tuple[Ids, Ids, Ids]:
    """Pairs of numbers that lie over each other, and in how many pixels."""
    width = int(predicted.max(initial=0)) + 1
    pairs, overlap = np.unique(true.astype(np.int64) * width + predicted, return_counts=True)
    return pairs // width, pairs % width, overlap


def _best(row: Ids, column: Ids, iou: NDArray[np.float64]) -> tuple[Ids, Ids, NDArray[np.float64]]:
    """Choose pairs so that no row and no column is used twice: as many as possible, then the largest sum."""
    from scipy.optimize import linear_sum_assignment

    clear = (np.bincount(row)[row] == 1) & (np.bincount(column)[column] == 1)
    rows, at_row = np.unique(row[~clear], return_inverse=True)
    columns, at_column = np.unique(column[~clear], return_inverse=True)
    gains = np.zeros((len(rows), len(columns)))
    # One pair more outweighs any sum of IoU.
    gains[at_row, at_column] = iou[~clear] + min(gains.shape)
    chosen = np.zeros(gains.shape, bool)
    chosen[linear_sum_assignment(gains, maximize=True)] = True
    kept = clear.copy()
    kept[~clear] = chosen[at_row, at_column]
    return row[kept], column[kept], iou[kept]
