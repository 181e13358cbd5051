"""How well masks agree with the truth, and the measure of a nerve that users report."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import InputError

Mask = NDArray[np.integer]


def dice(prediction: Mask, truth: Mask, value: int, ignore: int | None = None) -> float:
    """Dice coefficient of one class, 2 |P ∩ T| / (|P| + |T|).

    Parameters
    ----------
    prediction, truth : ndarray of int
        Class values, of the same shape.
    value : int
        The class.
    ignore : int, optional
        Pixels where `truth` has this value are left out.

    Returns
    -------
    float
        0 to 1, never NaN: 1.0 where neither has the class, 0.0 where only one has it.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    overlap, predicted, true = _counts(prediction, truth, value, ignore)
    return 2 * overlap / (predicted + true) if predicted + true else 1.0


def iou(prediction: Mask, truth: Mask, value: int, ignore: int | None = None) -> float:
    """Intersection over union of one class; arguments, conventions and errors as in `dice`."""
    overlap, predicted, true = _counts(prediction, truth, value, ignore)
    union = predicted + true - overlap
    return overlap / union if union else 1.0


def mean_dice(prediction: Mask, truth: Mask, values: Sequence[int], ignore: int | None = None) -> float:
    """Mean of `dice` over `values`, the background not among them unless named."""
    if not values:
        raise InputError("a mean Dice needs at least one class value; got none")
    return sum(dice(prediction, truth, value, ignore) for value in values) / len(values)


def _counts(prediction: Mask, truth: Mask, value: int, ignore: int | None) -> tuple[int, int, int]:
    """Pixels of the class in both, in the prediction, in the truth."""
    prediction, truth = _same_shape(prediction, truth)
    predicted, true = prediction == value, truth == value
    if ignore is not None:
        known = truth != ignore
        predicted, true = predicted & known, true & known
    return int(np.count_nonzero(predicted & true)), int(np.count_nonzero(predicted)), int(np.count_nonzero(true))


def _same_shape(prediction: Mask, truth: Mask) -> tuple[Mask, Mask]:
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape:
        raise InputError(f"prediction has shape {prediction.shape} and truth {truth.shape}; they must be the same")
    return prediction, truth


def instance_f1(prediction: Mask, truth: Mask, threshold: float = 0.5) -> float:
    """F1 of objects: 2 matches / (predicted objects + true objects).

    A predicted and a true object can match if their intersection over union is at least `threshold`; the largest
    possible number of one-to-one matches counts.

    Parameters
    ----------
    prediction, truth : ndarray of int
        Object ids, of the same shape; 0 is background. Ids need not be consecutive.
    threshold : float
        Above 0, at most 1.

    Returns
    -------
    float
        0 to 1; 1.0 where neither has an object.

    Raises
    ------
    InputError
        If the shapes differ or the threshold is out of range.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not 0 < threshold <= 1:
        raise InputError(f"threshold of an instance F1 must be above 0 and at most 1; got {threshold}")
    prediction, truth = _same_shape(prediction, truth)
    predicted_ids, predicted = np.unique(prediction, return_inverse=True)
    true_ids, true = np.unique(truth, return_inverse=True)
    shape = (len(true_ids), len(predicted_ids))
    ones = np.ones(truth.size, np.int64)
    pairs = coo_array((ones, (true.ravel(), predicted.ravel())), shape=shape).tocsr().tocoo()
    sizes_true, sizes_predicted = np.bincount(true.ravel()), np.bincount(predicted.ravel())
    row, column, overlap = pairs.row, pairs.col, pairs.data
    objects = (true_ids[row] != 0) & (predicted_ids[column] != 0)
    row, column, overlap = row[objects], column[objects], overlap[objects]
    good = overlap >= threshold * (sizes_true[row] + sizes_predicted[column] - overlap)
    graph = coo_array((np.ones(int(good.sum()), np.int8), (row[good], column[good])), shape=shape).tocsr()
    matches = int((maximum_bipartite_matching(graph) >= 0).sum())
    count = int((true_ids != 0).sum() + (predicted_ids != 0).sum())
    return 2 * matches / count if count else 1.0


def aggregate_g_ratio(classes: Mask, inner: int = 1, outer: int = 2) -> float | None:
    """Aggregate g-ratio of a field, the square root of axon area over fibre area.

    Parameters
    ----------
    classes : ndarray of int
        Class values.
    inner, outer : int
        Values of axon and myelin.

    Returns
    -------
    float or None
        0 to 1; none where there is neither axon nor myelin.

    Notes
    -----
    Stikov et al. 2015, doi:10.1016/j.neuroimage.2015.05.023: g = 1 / sqrt(1 + MVF / AVF).
    """
    axon, myelin = (int(np.count_nonzero(classes == value)) for value in (inner, outer))
    return float(np.sqrt(axon / (axon + myelin))) if axon + myelin else None
