"""How well masks agree with the truth, and the measure of a nerve that users report."""

from collections.abc import Sequence

import numpy as np

from histobridge.core.comparison import Mask, masks_of
from histobridge.core.errors import InputError
from histobridge.core.instances import match_instances

LEAST_SHARE = 0.002
"""Share of the known pixels from which on an image shows a class; less is a sliver at its border, or a stray find."""


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


def dice_of_shown(
    predictions: Sequence[Mask], truths: Sequence[Mask], values: Sequence[int], ignore: int | None = None
) -> float | None:
    """Mean over images of the mean `dice` over the classes that each shows.

    Parameters
    ----------
    predictions, truths : sequence of ndarray of int
        Class values, those of one image of the same shape.
    values : sequence of int
        The classes that count, in an image where its prediction or its truth has them in 0.2 % of the known pixels or
        more: `mean_dice` gives full marks for a class that neither has, and none for a single stray pixel of it.
    ignore : int, optional
        Pixels where the truth has this value are left out.

    Returns
    -------
    float or None
        0 to 1; None where no image shows any of the classes.
    """
    scores = []
    for prediction, truth in zip(predictions, truths, strict=True):
        least = LEAST_SHARE * (truth.size if ignore is None else np.count_nonzero(truth != ignore))
        counts = {value: _counts(prediction, truth, value, ignore)[1:] for value in values}
        shown = [value for value, found in counts.items() if max(found) >= max(1, least)]
        if shown:
            scores.append(mean_dice(prediction, truth, shown, ignore))
    return float(np.mean(scores)) if scores else None


def _counts(prediction: Mask, truth: Mask, value: int, ignore: int | None) -> tuple[int, int, int]:
    """Pixels of the class in both, in the prediction, in the truth."""
    predicted, true, _ = masks_of(prediction, truth, value, ignore)
    return int(np.count_nonzero(predicted & true)), int(np.count_nonzero(predicted)), int(np.count_nonzero(true))


def instance_f1(prediction: Mask, truth: Mask, threshold: float = 0.5) -> float:
    """F1 of objects: 2 matches / (predicted objects + true objects).

    Parameters
    ----------
    prediction, truth : ndarray of int
        Object ids, of the same shape; 0 is background.
    threshold : float
        Smallest intersection over union of a match, see `histobridge.core.instances.match_instances`.

    Returns
    -------
    float
        0 to 1; 1.0 where neither has an object.

    Raises
    ------
    InputError
        If the shapes differ or the threshold is out of range.
    """
    return match_instances(prediction, truth, threshold).f1


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
