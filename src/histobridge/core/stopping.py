"""When to stop reviewing: what the next ten minutes are likely to gain, from the scores so far and the pace."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Config
from histobridge.core.delta import Entry
from histobridge.core.effort import effort_by_tile, read_effort
from histobridge.core.errors import InputError
from histobridge.core.gate import Gate, Key, read_gate
from histobridge.core.project import Project

Point = tuple[float, float]
"""Reviewed tiles, and the mean Dice reached with them, 0 to 1."""

HORIZON_S = 600.0
FEWEST_POINTS = 3
WORTHWHILE = 0.005
"""Gain of Dice from which going on is worth ten minutes; stopping is advised if the gain is surely below twice."""

NEXT_TO_NOTHING = 0.002
"""A gain that may as well be so small is not promised."""

BREAK_S = 300.0
"""A longer time without any edit is a break and counts for nothing."""

FASTEST_S = 2.0
"""Seconds a tile takes at least; whoever is quicker does not look."""

TILE_SPREAD, SCORE_SPREAD = 0.05, 0.01
"""Typical spread of the score between tiles, and of one tile between trainings."""

EXPONENTS = np.geomspace(0.2, 3.0, 12)
SPANS = np.geomspace(1.0, 64.0, 12)
DROPS = np.linspace(0.0, 1.0, 301) ** 2
LIKELY_DROP = 0.1
"""Typical b: what there is to gain from no reviewed tile to any number."""
NOISES = np.geomspace(0.002, 0.05, 8)


class Gain(Config):
    """What going on is likely to gain; in mean Dice, 0 to 1, none where it is too early to tell."""

    low: float | None = None
    """One in ten that it is less."""

    mean: float | None = None
    """Expected gain."""

    high: float | None = None
    """One in ten that it is more."""

    verdict: Literal["too-early", "go-on", "stop"] = "too-early"
    """What to do."""

    words: str = "too early to tell"
    """All this for the user; an estimate, and marked as such."""


def predict_gain(
    points: Sequence[Point], seconds_per_tile: float, horizon_s: float = HORIZON_S, tiles: float | None = None
) -> Gain:
    """Predict how much the score grows when reviewing goes on.

    Parameters
    ----------
    points : sequence of (tiles, score)
        Mean Dice, 0 to 1, reached with so many reviewed tiles; in any order.
    seconds_per_tile : float
        Pace of the reviewing, above 0.
    horizon_s : float
        For how long it would go on, in seconds.
    tiles : float, optional
        Tiles reviewed now; none: as many as the last point has.

    Returns
    -------
    Gain
        Never negative. Too early to tell with fewer than three different numbers of tiles, or where the gain may as
        well be next to nothing as worth the time.

    Raises
    ------
    InputError
        If the pace or the horizon is not above 0, or a score lies outside 0 to 1.

    Notes
    -----
    Learning curves saturate: s(n) = a - b f(n), with f(n) = (1 + n)^-c (power law) or exp(-n / t), b >= 0, a <= 1. The
    gain from n to m tiles is b (f(n) - f(m)), averaged over a grid of shapes, b and noise, each weighted by the
    likelihood of Gaussian noise (a integrated out) and an exponential prior of b. Power law: Hestness et al. 2017,
    arXiv:1712.00409.
    """
    if not (seconds_per_tile > 0 and horizon_s > 0):
        raise InputError(f"pace and horizon must be above 0 s; got {seconds_per_tile} s a tile and {horizon_s} s")
    if any(not 0 <= score <= 1 for _, score in points):
        raise InputError(f"scores must lie in 0 to 1; got {[score for _, score in points]}")
    counts, scores = (np.array([point[axis] for point in points], np.float64) for axis in (0, 1))
    if len(np.unique(counts)) < FEWEST_POINTS:
        return Gain(words="too early to tell: the curve needs three trainings with different numbers of tiles")
    start = float(counts.max()) if tiles is None else tiles
    falls = _falls(np.array([start]))[:, 0] - _falls(np.array([start + horizon_s / seconds_per_tile]))[:, 0]
    weights = _posterior(counts, scores)
    gains = falls[:, None] * DROPS
    quantiles = _quantiles(gains, weights, (0.1, 0.5, 0.9))
    return _told(quantiles, float((gains * weights).sum()), horizon_s)


def _falls(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left to gain of all there is, f(n), by every shape: (shapes, N), 1 at 0 tiles."""
    power = (1 + counts) ** -EXPONENTS[:, None]
    return np.concatenate((power, np.exp(-counts / SPANS[:, None])))


def _posterior(counts: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each shape and b is to be believed, (shapes, b), sum 1."""
    falls = _falls(counts)
    mean_falls = falls.mean(axis=1, keepdims=True)
    left, right = falls - mean_falls, scores - scores.mean()
    squares = (right @ right) + 2 * (left @ right)[:, None] * DROPS + (left**2).sum(axis=1)[:, None] * DROPS**2
    noise = NOISES[:, None, None]
    logs = -(len(scores) - 1) * np.log(noise) - squares / (2 * noise**2) - DROPS / LIKELY_DROP
    logs = np.where(scores.mean() + mean_falls * DROPS <= 1, logs, -np.inf)
    weights = (np.exp(logs - logs.max()) * np.gradient(DROPS)).sum(axis=0)
    return np.asarray(weights / weights.sum())


def _quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.float64]:
    """Smallest values that have at least these shares of all weight up to them."""
    order = np.argsort(values, axis=None)
    places = np.searchsorted(np.cumsum(weights.ravel()[order]), shares)
    return np.asarray(values.ravel()[order[np.minimum(places, len(order) - 1)]])


def _told(quantiles: NDArray[np.float64], mean: float, horizon_s: float) -> Gain:
    """Say what to do: go on if the gain is likely worth it and not next to nothing, stop if it is surely small."""
    low, median, high = quantiles.tolist()
    time = "ten minutes" if horizon_s == HORIZON_S else f"{horizon_s / 60:.3g} minutes"
    found = f"about +{100 * mean:.1f} Dice points in the next {time} (estimated)"
    if median >= WORTHWHILE and low >= NEXT_TO_NOTHING:
        return Gain(low=low, mean=mean, high=high, verdict="go-on", words=f"{found}: going on is worth it")
    if high < 2 * WORTHWHILE:
        return Gain(low=low, mean=mean, high=high, verdict="stop", words=f"{found}: you can stop")
    words = f"too early to tell: {found}, anything between +{100 * low:.1f} and +{100 * high:.1f}"
    return Gain(low=low, mean=mean, high=high, verdict="too-early", words=words)


def when_to_stop(project: Project, seconds_per_tile: float) -> Gain:
    """Predict the gain of the next ten minutes in a project.

    Parameters
    ----------
    project : Project
    seconds_per_tile : float
        Pace to assume as long as neither the log of effort nor the journal tells one.

    Returns
    -------
    Gain

    Raises
    ------
    ProjectError
        If a verdict or a journal is damaged.
    """
    reviewed, seconds = _pace(project)
    points = learning_points(project)
    start = max([reviewed, *(count for count, _ in points)], default=0)
    return predict_gain(points, seconds or seconds_per_tile, tiles=start)


def _pace(project: Project) -> tuple[int, float | None]:
    """Accepted tiles of the target, and the seconds each took; none with fewer than two."""
    entries: list[Entry] = []
    accepted: set[Key] = set()
    for record in project.images("target"):
        store = project.labels(record.id)
        entries += store.journal.entries
        tiles = {entry.tile for entry in store.journal.entries}
        accepted |= {(record.id, tile) for tile in tiles if store.history(tile).accepted}
        store.close()
    spent = effort_by_tile(read_effort(project))
    worked = [spent[key].seconds for key in accepted if key in spent]
    if len(worked) > 1:
        return len(accepted), max(FASTEST_S, sum(worked) / len(worked))
    return len(accepted), seconds_per_tile([entry.time for entry in entries], len(accepted))


def seconds_per_tile(times: Sequence[float], accepted: int) -> float | None:
    """Pace of reviewing from the times of all edits.

    Parameters
    ----------
    times : sequence of float
        Seconds since 1970 of every journalled event, in any order; 0 where none was stamped.
    accepted : int
        Tiles that were accepted with these.

    Returns
    -------
    float or None
        Seconds between events, without breaks of more than five minutes, a tile; at least 2. None with fewer than two
        tiles or without times.
    """
    gaps = np.diff(np.sort([time for time in times if time > 0]))
    worked = float(gaps[gaps <= BREAK_S].sum())
    return max(FASTEST_S, worked / accepted) if accepted > 1 and worked > 0 else None


def learning_points(project: Project) -> list[Point]:
    """Score over the number of reviewed tiles, from the verdicts on all finished fine-tunings.

    Every verdict scores two models on the same tiles. Some tiles are harder than others and not all verdicts have the
    same, so score = level of the model + difficulty of the tile is fitted by least squares, difficulties drawn to 0.
    A cross-validated score is that of models that have learned from half of the tiles.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of (tiles, score)
        By rising number of reviewed tiles, each number once; mean Dice, 0 to 1.

    Raises
    ------
    ProjectError
        If a verdict is damaged.
    """
    runs = [run for run in project.runs("finetune") if run.state().status == "finished"]
    gates = {run.id: gate for run in runs if (gate := read_gate(run)) is not None}
    found: list[tuple[float, Key, float]] = []
    for gate in gates.values():
        before = gates.get(gate.compared_with)
        for tile in gate.tiles:
            key = (tile.image, tile.tile)
            found.append((_reviewed(before) if before else 0.0, key, tile.before))
            found.append((_reviewed(gate) / (2 if gate.cross_validated else 1), key, tile.after))
    return _levels(found)


def _reviewed(gate: Gate) -> float:
    return float(len(gate.trained) + len(gate.held_out))


def _levels(scores: list[tuple[float, Key, float]]) -> list[Point]:
    """Separate the level of each number of tiles from the difficulty of each scored tile."""
    counts = sorted({count for count, _, _ in scores})
    keys = sorted({key for _, key, _ in scores})
    design = np.zeros((len(scores) + len(keys), len(counts) + len(keys)))
    wanted = np.zeros(len(design))
    for row, (count, key, score) in enumerate(scores):
        design[row, [counts.index(count), len(counts) + keys.index(key)]] = 1
        wanted[row] = score
    for place in range(len(keys)):
        design[len(scores) + place, len(counts) + place] = SCORE_SPREAD / TILE_SPREAD
    levels = np.linalg.lstsq(design, wanted)[0][: len(counts)] if scores else np.zeros(0)
    return [(count, float(np.clip(level, 0, 1))) for count, level in zip(counts, levels, strict=True)]
