"""Score models on reviewed tiles they have not learned from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.gate import Key, TileScore
from histobridge.core.holdout import ReviewedTile, within
from histobridge.core.images.working import Window
from histobridge.core.manifest import IGNORE
from histobridge.core.project import Project
from histobridge.core.segment.reviewed import is_reviewed
from histobridge.core.target_model import TargetModel

Counts = dict[Key, NDArray[np.int64]]
"""Per tile (K, 4): pixels of each target class in both, in the prediction, in the truth; and all of known truth."""

WRONGLY_SHOWN = 0.01
"""Share of the reviewed pixels of a tile up to which a class that is not there is a slip of model or user."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One window of a reviewed tile.

    Parameters
    ----------
    key : tuple of str
        Image and tile id.
    window : tuple of slice
        Native pixels (Y, X).
    truth : ndarray
        (Y, X) uint8 class values; 255 where nothing is reviewed or a model has learned.
    """

    key: Key
    window: Window
    truth: NDArray[np.uint8]


def questions(
    project: Project, asked: Iterable[tuple[ReviewedTile, Window]], learned: Sequence[tuple[str, Window]]
) -> list[Question]:
    """Read the truth of windows of tiles.

    Parameters
    ----------
    project : Project
    asked : iterable of (ReviewedTile, window)
        Native pixels of the tiles.
    learned : sequence of (image id, window)
        Native pixels that do not count, since a model has learned from them.

    Returns
    -------
    list of Question
        Windows without any pixel to score are left out.
    """
    found = []
    for tile, window in asked:
        store = project.labels(tile.image)
        try:
            classes, state = store.read(window)
        finally:
            store.close()
        truth = np.where(is_reviewed(state), classes, IGNORE).astype(np.uint8)
        for image_id, seen in learned:
            if image_id == tile.image:
                truth[within(seen, window)] = IGNORE
        if (truth != IGNORE).any():
            found.append(Question(tile.key, window, truth))
    return found


def answers(model: TargetModel, asked: Iterable[Question]) -> Counts:
    """Count how a model answers, at native pixels.

    Parameters
    ----------
    model : TargetModel
    asked : iterable of Question

    Returns
    -------
    dict
        Of the classes of the target, in the order of their table; the windows of one tile are added up.
    """
    values = np.array([spec.value for spec in model.project.classes_of("target")], np.uint8)
    counts: Counts = {}
    by_image: dict[str, list[Question]] = {}
    for question in asked:
        by_image.setdefault(question.key[0], []).append(question)
    for image_id, of_image in by_image.items():
        prediction = model.prediction(image_id, flips=False)
        for question in of_image:
            found = count(prediction.labels(question.window)[0], question.truth, values)
            counts[question.key] = counts.get(question.key, 0) + found
    return counts


def count(predicted: NDArray[np.uint8], truth: NDArray[np.uint8], values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels of each class in both, in the prediction and in the truth, and all pixels, where the truth is known.

    Parameters
    ----------
    predicted, truth : ndarray
        (Y, X) uint8 class values; truth 255 where unknown.
    values : ndarray
        (K,) uint8.

    Returns
    -------
    ndarray
        (K, 4) int64.
    """
    known = truth != IGNORE
    counts = [
        [np.count_nonzero(each) for each in (ours & theirs, ours & known, theirs, known)]
        for ours, theirs in ((predicted == value, truth == value) for value in values)
    ]
    return np.array(counts, np.int64)


def tile_scores(before: Mapping[Key, NDArray[np.int64]], after: Mapping[Key, NDArray[np.int64]]) -> list[TileScore]:
    """Score each tile by two models: the mean over the classes that count there.

    A class that occurs in the truth of the tile counts by its Dice. One that does not counts if either model shows it
    on more than a hundredth of the reviewed pixels: 0 for a model that does, 1 for one that does not. Where no class
    counts, both are right: 1.

    Parameters
    ----------
    before, after : mapping
        Counts (K, 4) of the same tiles, from `answers`.

    Returns
    -------
    list of TileScore
        Sorted.
    """
    scores = []
    for key in sorted(before):
        shown = [_wrongly_shown(counts[key]) for counts in (before, after)]
        one, other = (_score(counts[key], shown[0] | shown[1]) for counts in (before, after))
        scores.append(TileScore(image=key[0], tile=key[1], before=one, after=other))
    return scores


def _wrongly_shown(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which classes (K,) a model shows that are not there."""
    _, predicted, true, known = counts.T
    wrong: NDArray[np.bool_] = (true == 0) & (predicted > WRONGLY_SHOWN * known)
    return wrong


def _score(counts: NDArray[np.int64], also: NDArray[np.bool_]) -> float:
    """Mean over the classes in the truth, by their Dice, and those that count `also`, by whether they are shown."""
    both, predicted, true, _ = counts.T
    there = true > 0
    scores = [*(2 * both[there] / (predicted + true)[there]), *~_wrongly_shown(counts)[also]]
    return float(np.mean(scores)) if scores else 1.0
