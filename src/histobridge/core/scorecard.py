"""All scores of one image as a flat row, and their means per subject and over subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.calibration import calibration_error, expected_calibration_error
from histobridge.core.comparison import same_shape
from histobridge.core.errors import InputError
from histobridge.core.fibres import derive_fibres, filled_axons
from histobridge.core.instances import Matches, match_instances
from histobridge.core.manifest import IGNORE, ClassSpec, Manifest
from histobridge.core.metrics import aggregate_g_ratio, dice, iou
from histobridge.core.morphometry import g_ratio_bias, measure_fibres
from histobridge.core.surfaces import boundary_iou, surface_distances

Classes = NDArray[np.uint8]
Scores = dict[str, float]

TOLERANCE_PX = 2
"""Native pixels up to which outlines agree (surface Dice), and width of the rim (boundary IoU)."""

INSTANCE_IOU = 0.5
"""Intersection over union from which on a predicted object is the true one."""


def score_image(
    predicted: Classes,
    truth: Classes,
    manifest: Manifest,
    pixel_size_um: float | None,
    probabilities: NDArray[np.floating] | None = None,
) -> Scores:
    """Score the predicted classes of one image.

    Parameters
    ----------
    predicted, truth : ndarray (Y, X) uint8
        0 background, class values. Pixels where `truth` is 255 are left out everywhere.
    manifest : Manifest
        Tells the classes and which lies inside which.
    pixel_size_um : float or None
        µm per pixel; without it there are no distances in µm.
    probabilities : ndarray of float, optional
        (K, Y, X), of the background and the manifest's classes in their order; or (Y, X), of the predicted class alone.

    Returns
    -------
    dict of str to float
        Never NaN or infinite: what cannot be computed has no entry. For each class ``dice/<class>``, ``iou/<class>``,
        ``surface_dice/<class>`` and ``boundary_iou/<class>`` (2 pixels), ``assd_um/<class>``, ``hd95_um/<class>``;
        ``dice`` and ``iou`` are means over the classes.

        ``instance_f1``, ``instance_sq``, ``instance_pq``: objects at IoU 0.5, fibres with an axon (axon and sheath as
        `derive_fibres` tells them apart) where one class lies inside another, else connected regions of all classes
        together. ``instance_f1/<class>`` and so on: connected regions of one class, but for the outer one of a nested
        pair, whose regions are no objects.

        ``aggregate_g_ratio_bias``: predicted minus true `aggregate_g_ratio`; ``g_ratio_bias``, ``g_ratio_error`` and
        ``g_ratio_median_bias``: mean and mean absolute difference over matched whole fibres, difference of the medians
        of all whole fibres (see `g_ratio_bias`). ``fibres/true``, ``fibres/predicted``, ``fibres/compared``: how many.

        ``calibration_error``: expected calibration error, 15 bins.

    Raises
    ------
    InputError
        If the shapes do not fit, the pixel size is not positive, or no pixel of the truth is labelled.
    """
    predicted, truth = (np.asarray(classes, np.uint8) for classes in same_shape(predicted, truth))
    if (truth == IGNORE).all():
        raise InputError("the truth is unlabelled (255) everywhere; there is nothing to score")
    scores: Scores = {}
    for spec in manifest.classes:
        scores |= {f"{name}/{spec.name}": score for name, score in _outlines(predicted, truth, spec, pixel_size_um)}
    for name in ("dice", "iou"):
        scores[name] = float(np.mean([scores[f"{name}/{spec.name}"] for spec in manifest.classes]))
    scores |= _objects(predicted, truth, manifest)
    if probabilities is not None:
        scores["calibration_error"] = _calibration(probabilities, predicted, truth, manifest)
    return scores


def _outlines(
    predicted: Classes, truth: Classes, spec: ClassSpec, pixel_size_um: float | None
) -> list[tuple[str, float]]:
    """Scores of one class as a mask."""
    distances = surface_distances(predicted, truth, spec.value, 1 if pixel_size_um is None else pixel_size_um, IGNORE)
    scores = [
        ("dice", dice(predicted, truth, spec.value, IGNORE)),
        ("iou", iou(predicted, truth, spec.value, IGNORE)),
        ("surface_dice", distances.within(TOLERANCE_PX * (pixel_size_um or 1))),
        ("boundary_iou", boundary_iou(predicted, truth, spec.value, TOLERANCE_PX, IGNORE)),
    ]
    if pixel_size_um is not None:
        scores += [("assd_um", distances.mean), ("hd95_um", distances.percentile(95))]
    return [(name, score) for name, score in scores if not np.isnan(score)]  # where sparse labels tell no outline


def _objects(predicted: Classes, truth: Classes, manifest: Manifest) -> Scores:
    """Scores of fibres and of other objects."""
    from skimage.measure import label

    pair = manifest.nested_pair()
    unlabelled = truth == IGNORE
    scores, parts = dict[str, float](), list[Matches]()
    for spec in manifest.classes:
        if not (pair and spec == pair[1]):
            found, true = (label(classes == spec.value, connectivity=1) for classes in (predicted, truth))
            parts.append(match_instances(found, true, INSTANCE_IOU, unlabelled))
            scores |= _qualities(parts[-1], f"/{spec.name}")
    if not pair:
        return scores | _qualities(_together(parts), "")
    return scores | _fibre_scores(predicted, truth, manifest, pair)


def _fibre_scores(predicted: Classes, truth: Classes, manifest: Manifest, pair: tuple[ClassSpec, ClassSpec]) -> Scores:
    """Scores of fibres, each an axon with its sheath."""
    inner, outer = pair
    predicted, truth = filled_axons(predicted, manifest), filled_axons(truth, manifest)
    unlabelled = truth == IGNORE
    fibres = [_with_axon(derive_fibres(classes, manifest), classes, inner.value) for classes in (predicted, truth)]
    matches = match_instances(fibres[0], fibres[1], INSTANCE_IOU, unlabelled)
    # Predicted pixels that nobody can judge belong to no fibre that is measured.
    seen = np.where(unlabelled, np.uint8(IGNORE), predicted), truth
    tables = [
        measure_fibres(np.where(unlabelled, 0, ids), classes, inner.value, 1, IGNORE)
        for ids, classes in zip(fibres, seen, strict=True)
    ]
    bias = g_ratio_bias(tables[0], tables[1], matches)
    aggregate, true = (aggregate_g_ratio(classes, inner.value, outer.value) for classes in seen)
    found = {
        "g_ratio_bias": bias.mean,
        "g_ratio_error": bias.mean_absolute,
        "g_ratio_median_bias": bias.of_medians,
        "aggregate_g_ratio_bias": None if aggregate is None or true is None else aggregate - true,
    }
    counts = {"true": matches.true_count, "predicted": matches.predicted_count, "compared": bias.pairs}
    scores = {f"fibres/{name}": float(count) for name, count in counts.items()}
    return scores | _qualities(matches, "") | {name: score for name, score in found.items() if score is not None}


def _with_axon(fibres: NDArray[np.uint32], classes: Classes, inner: int) -> NDArray[np.uint32]:
    """Leave out the fibres that are a sheath alone, or objects of a third class."""
    axon = np.zeros(int(fibres.max(initial=0)) + 1, bool)
    axon[fibres[classes == inner]] = True
    return np.where(axon[fibres], fibres, np.uint32(0))


def _qualities(matches: Matches, of: str) -> Scores:
    qualities = {"f1": matches.f1, "sq": matches.segmentation_quality, "pq": matches.panoptic_quality}
    return {f"instance_{name}{of}": quality for name, quality in qualities.items()}


def _together(parts: Sequence[Matches]) -> Matches:
    """Objects of several classes, each matched within its class."""
    return Matches(
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.ious for part in parts]),
        sum(part.predicted_count for part in parts),
        sum(part.true_count for part in parts),
    )


def _calibration(probabilities: NDArray[np.floating], predicted: Classes, truth: Classes, manifest: Manifest) -> float:
    if probabilities.ndim > truth.ndim:
        return calibration_error(probabilities, truth, [spec.value for spec in manifest.classes], IGNORE)
    same_shape(probabilities, truth)
    known = truth != IGNORE
    return expected_calibration_error(probabilities[known], (predicted == truth)[known])


@dataclass(frozen=True)
class Summary:
    """Means of scores.

    Parameters
    ----------
    groups : dict of str to dict
        Subject -> score -> mean over its images.
    mean : dict of str to float
        Score -> mean over subjects of the means of their images, so that a subject with many images weighs no more.
    missing : dict of str to int
        Score -> number of images that lack it and are not in its mean; only where there are any.
    """

    groups: dict[str, Scores]
    mean: Scores
    missing: dict[str, int]


def summarise(rows: Sequence[Mapping[str, Any]], by: str = "subject") -> Summary:
    """Average the scores of images per subject, then over subjects.

    Parameters
    ----------
    rows : sequence of mapping
        Scores of images, as `score_image` returns them, each with the column `by`. Every value that is a float is a
        score, all others are left alone.
    by : str
        Name of the column that tells which images belong together.

    Returns
    -------
    Summary
        Subjects in the order of their first image; scores in the order they first come.

    Raises
    ------
    InputError
        If a row has no column `by`.
    """
    if lacking := [number for number, row in enumerate(rows, 1) if by not in row]:
        raise InputError(f"row {lacking[0]} of the scores has no {by!r}; every row needs one")
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, float))
    subjects = dict.fromkeys(str(row[by]) for row in rows)
    groups = {subject: _means([row for row in rows if str(row[by]) == subject], list(names)) for subject in subjects}
    missing = {name: sum(name not in row for row in rows) for name in names}
    return Summary(
        groups, _means(list(groups.values()), list(names)), {n: count for n, count in missing.items() if count}
    )


def _means(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Scores:
    """Mean of each score over the rows that have it."""
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: float(np.mean(column)) for name, column in columns.items() if column}
