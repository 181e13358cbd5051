"""Whether what is measured without labels ranks translators as the truth does, and when one becomes the default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from histobridge.core.base_config import Direction
from histobridge.core.translate.quality.report import Quality

FEWEST = 4
"""Translators of a pair of which a rank correlation says anything."""


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """How one measure ranks translators.

    Parameters
    ----------
    rho : float
        Mean over the groups of Spearman's rank correlation with the truth, in [-1, 1].
    low, high : float
        Of the groups.
    groups : int
    count : int
        Translators in all of them.
    """

    rho: float
    low: float
    high: float
    groups: int
    count: int


def measures_of(quality: Quality, direction: Direction) -> dict[str, float]:
    """Everything measured of a translator without labels of the target, as numbers of which more is better.

    Parameters
    ----------
    quality : Quality
    direction : {"source_to_target", "target_to_source"}
        The one that is used: by tutorship from the source, by adaptation from the target.

    Returns
    -------
    dict of float
        By name; cycles are those that begin in `direction`, what is kept is of labelled images, there and back.
        Distances count negative, and changes of number and size of objects as the negative absolute logarithm. What was
        not measured is not there.
    """
    way, kept = quality.ways[direction], quality.structure
    found: dict[str, float | None] = {"score": quality.score}
    for name, cycle in (("cycle", way.cycle), ("robust cycle", way.robust)):
        if cycle is not None:
            found |= {f"{name} ssim": cycle.ssim, f"{name} psnr_db": cycle.psnr_db, f"{name} l1": -cycle.l1}
    found |= {name: -getattr(way.looks, name) for name in ("kid", "fid", "grey", "spectrum")}
    found |= {"agreement": way.agreement, "upright": way.upright}
    if kept is not None:
        found["dice kept"] = kept.dice_after / kept.dice_before if kept.dice_before > 0 else None
        found["count kept"] = _unchanged(kept.count)
        found["size kept"] = _unchanged(kept.size)
        found["not invented"] = -kept.hallucinated
        found["borders"] = None if kept.boundary_px is None else -kept.boundary_px
    return {name: value for name, value in found.items() if value is not None}


def _unchanged(factor: float | None) -> float | None:
    if factor is None:
        return None
    return -abs(float(np.log(max(factor, 1e-3))))


def rank_correlations(
    groups: Sequence[Sequence[Mapping[str, float]]], truth: str = "dice"
) -> dict[str, RankCorrelation]:
    """Correlate ranks by each measure with ranks by the truth, within groups.

    Translators are compared only with others of their group: between pairs of modalities scores differ for reasons
    that no translator can change.

    Parameters
    ----------
    groups : sequence of sequence of mapping
        Of each group its translators, each with `truth` and measures of which more is better.
    truth : str

    Returns
    -------
    dict of RankCorrelation
        By measure; Spearman's coefficient, ties by their mean rank. Measures that at least four translators of no
        group have, or that are the same for all of them, are not there.
    """
    from scipy import stats

    found: dict[str, list[tuple[float, int]]] = {}
    names = {name: None for group in groups for row in group for name in row if name != truth}
    for name in names:
        for group in groups:
            pairs = [(row[name], row[truth]) for row in group if name in row and truth in row]
            if len(pairs) < FEWEST or any(len(set(column)) < 2 for column in zip(*pairs, strict=True)):
                continue
            rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
            found.setdefault(name, []).append((rho, len(pairs)))
    return {name: _over_groups(values) for name, values in found.items()}


def _over_groups(values: Sequence[tuple[float, int]]) -> RankCorrelation:
    rhos = [rho for rho, _ in values]
    return RankCorrelation(float(np.mean(rhos)), min(rhos), max(rhos), len(values), sum(count for _, count in values))


def beats_the_default(gains: Mapping[str, Sequence[float]], pairs: Sequence[str], fewest_seeds: int = 3) -> bool:
    """Whether a translator may take the place of the default one: it wins on every pair, by more than the spread.

    Parameters
    ----------
    gains : mapping of str to sequence of float
        By pair, for each seed: its score minus that of the default with the same seed.
    pairs : sequence of str
        All that it must have been measured on.
    fewest_seeds : int

    Returns
    -------
    bool
        Whether on each of `pairs` the mean gain exceeds the difference between its highest and lowest seed.
    """
    return bool(pairs) and all(
        len(found := gains.get(pair, ())) >= fewest_seeds and float(np.mean(found)) > max(found) - min(found)
        for pair in pairs
    )
