"""Judge a fine-tuned model by tiles that it has not learned from."""

import statistics
from collections.abc import Sequence

import numpy as np

from histobridge.core.gate import Gate, Score, TileScore, Verdict

RESAMPLES = 2000
COVERAGE = 0.95
CHANCE = 0.02
"""Difference of the score of one tile between two trainings that differ by chance alone."""


def judge(tiles: Sequence[TileScore], *, cross_validated: bool, same_animals: bool = False) -> Gate:
    """Judge a fine-tuned model by the tiles it has not learned from.

    It is kept aside if it is worse by more than chance explains: if the whole interval of the mean difference lies
    below zero. Scores of one to four tiles are cross-validated and too few to judge; the model is used, unless even
    they are clearly worse.

    Parameters
    ----------
    tiles : sequence of TileScore
    cross_validated : bool
    same_animals : bool
        Whether other tiles of the same subjects were learned from, which the words then say.

    Returns
    -------
    Gate
        Without what the scores do not say: tiles and runs.
    """
    if not tiles:
        reason = "There is no reviewed tile to score the model on that it has not learned from; it is used unjudged."
        return Gate(verdict="too-few-to-judge", reason=reason, cross_validated=cross_validated)
    differences = [tile.after - tile.before for tile in tiles]
    difference = statistics.fmean(differences)
    interval = bootstrap_interval(differences)
    score = Score(
        before=statistics.fmean(tile.before for tile in tiles), after=statistics.fmean(tile.after for tile in tiles)
    )
    told = "1 tile" if len(tiles) == 1 else f"{len(tiles)} tiles"
    if not cross_validated:
        told += " never learned from, of the same animals" if same_animals else " never learned from"
    worse = interval[1] < 0
    verdict: Verdict = "keep-aside" if worse else "too-few-to-judge" if cross_validated else "promote"
    return Gate(
        verdict=verdict,
        reason=_words(verdict, told, (score.before or 0.0, score.after or 0.0), cross_validated=cross_validated),
        score=score,
        tiles=tuple(tiles),
        difference=difference,
        interval=interval,
        cross_validated=cross_validated,
    )


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Interval of the mean of paired differences.

    Percentile bootstrap over the tiles. A few tiles tell little of how much tiles differ, so it is never narrower than
    what two trainings that differ by chance alone show: ± 0.02 / √n for n tiles.

    Parameters
    ----------
    differences : sequence of float
        After minus before of each tile; at least one, in any order.

    Returns
    -------
    low, high : float
        2.5 and 97.5 percentile of the mean; always around the mean itself.

    Notes
    -----
    Efron 1979, doi:10.1214/aos/1176344552.
    """
    ordered = np.sort(np.asarray(differences, np.float64))
    mean, chance = float(ordered.mean()), CHANCE / len(ordered) ** 0.5
    means = np.random.default_rng(0).choice(ordered, (RESAMPLES, len(ordered))).mean(axis=1)
    low, high = np.quantile(means, ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2))
    return min(float(low), mean - chance), max(float(high), mean + chance)


def _words(verdict: Verdict, tiles: str, score: tuple[float, float], *, cross_validated: bool) -> str:
    """Tell a verdict to the user."""
    found = f"agreement (mean Dice) {score[1]:.3f}, before {score[0]:.3f}"
    if cross_validated:
        told = f"Too few reviewed tiles to judge: {found}, estimated by leaving out parts of {tiles} in turn."
        if verdict == "keep-aside":
            return f"{told} That is worse by more than chance explains, so the model is kept aside."
        return f"{told} The model is used; roll back if it looks worse. From five reviewed tiles on it is judged."
    told = f"On {tiles}: {found}."
    if verdict == "keep-aside":
        return f"{told} Worse by more than chance explains, so the model is kept aside; the one in use stays."
    return f"{told} Not worse beyond chance, so the model is used."
