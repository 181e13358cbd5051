"""Whether a network is as often right as it is sure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.comparison import Flags
from histobridge.core.errors import InputError

BINS = 15


def expected_calibration_error(confidence: NDArray[np.floating], correct: Flags, bins: int = BINS) -> float:
    """Expected calibration error: how far confidence is from accuracy, on average over the pixels.

    Parameters
    ----------
    confidence : ndarray of float
        Probability of the predicted class, in [0, 1], any shape.
    correct : ndarray of bool
        Whether the predicted class is the true one, same shape.
    bins : int
        Equal bins of confidence, at least 1.

    Returns
    -------
    float
        0 (as right as sure) to 1; 0 where there are no pixels.

    Raises
    ------
    InputError
        If the shapes differ, a confidence is out of range, or there is no bin.

    Notes
    -----
    Guo et al. 2017, arXiv:1706.04599, with bins ((m - 1) / M, m / M]: the sum over bins of n_m / n |acc_m - conf_m|.
    """
    confidence, correct = np.asarray(confidence, np.float64).ravel(), np.asarray(correct, bool).ravel()
    if confidence.shape != correct.shape:
        raise InputError(f"confidence of {confidence.size} pixels and correctness of {correct.size}; give the same")
    if bins < 1:
        raise InputError(f"a calibration error needs at least 1 bin; got {bins}")
    if not confidence.size:
        return 0.0
    # Sums of float32 probabilities may stand a hair above 1.
    if not (confidence.min() >= 0 and confidence.max() <= 1 + 1e-5):
        raise InputError(f"confidence must be in [0, 1]; got {confidence.min():g} to {confidence.max():g}")
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, correct, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gaps).sum() / confidence.size)


def calibration_error(
    probabilities: NDArray[np.floating],
    truth: NDArray[np.uint8],
    values: Sequence[int],
    ignore: int | None = None,
    bins: int = BINS,
) -> float:
    """Expected calibration error of a segmentation, over all its pixels.

    Parameters
    ----------
    probabilities : ndarray (K, Y, X) of float
        Of the background and of the classes `values`, in this order; each pixel's sum is 1.
    truth : ndarray (Y, X) uint8
        Class values.
    values : sequence of int
        The K - 1 class values.
    ignore : int, optional
        Pixels where `truth` has this value are left out.
    bins : int
        Equal bins of confidence.

    Returns
    -------
    float
        As in `expected_calibration_error`, the confidence being that of the most probable class.

    Raises
    ------
    InputError
        If the shapes or the number of classes do not fit.
    """
    expected = (len(values) + 1, *truth.shape)
    if probabilities.shape != expected:
        raise InputError(f"probabilities have shape {probabilities.shape}, expected {expected}: background and classes")
    correct = np.asarray([0, *values])[probabilities.argmax(axis=0)] == truth
    known = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    return expected_calibration_error(probabilities.max(axis=0)[known], correct[known], bins)
