"""What every comparison of a prediction with the truth begins with: same shape, one class, known pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import InputError

Mask = NDArray[np.integer]
Flags = NDArray[np.bool_]


def same_shape(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as arrays; raises `InputError` if their shapes differ."""
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape:
        raise InputError(f"prediction has shape {prediction.shape} and truth {truth.shape}; they must be the same")
    return prediction, truth


def masks_of(prediction: Mask, truth: Mask, value: int, ignore: int | None) -> tuple[Flags, Flags, Flags]:
    """Tell where one class is predicted, where it is true, and where the truth is known.

    Parameters
    ----------
    prediction, truth : ndarray of int
        Class values, of the same shape.
    value : int
        The class.
    ignore : int or None
        Value of pixels of `truth` that nobody has labelled.

    Returns
    -------
    predicted, true, known : ndarray of bool
        The first two are False where the third is.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    prediction, truth = same_shape(prediction, truth)
    known = np.ones(truth.shape, bool) if ignore is None else np.asarray(truth != ignore)
    return (prediction == value) & known, (truth == value) & known, known
