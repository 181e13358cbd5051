"""How much there seems to be to learn from each tile, what speaks for it, and how to say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from histobridge.core.tile_measures import Measures

Values = NDArray[np.float64]

WEIGHTS: Mapping[str, float] = {"uncertainty": 1.0, "disagreement": 0.5, "morphology": 0.25, "novelty": 0.25}
"""How the parts make the score. Over 150 tiles the rank correlation with the true error was 0.63 for uncertainty and
0.43 for disagreement."""

UPPER = 2 / 3
"""From this share of tiles on below it, a tile is remarkable in uncertainty or disagreement."""

LEAST = {"uncertainty": 0.02, "disagreement": 0.02}
"""But not below these."""

OUTLIER = 5.0
"""Robust standard deviations from the median that count as 1; half of it is remarkable."""

FEWEST_COMPARED = 5
"""Among fewer tiles none is an outlier."""

SMALLEST_SPREAD = 0.05
"""Tiles are never taken to be more alike than this share of their median."""

BORDERS = 0.6
"""Share of all uncertainty from which on it is said to lie along borders."""

AT_RANDOM = "picked at random, to keep the sample fair"


@dataclass(frozen=True, slots=True)
class Worth:
    """What speaks for one tile.

    Parameters
    ----------
    score : float
        In [0, 1]; 0.5 if nothing is known.
    reason : str
        What speaks most for it, in the user's words.
    parts : dict of str to float
        What the score is made of, as far as known, each in [0, 1].
    """

    score: float
    reason: str
    parts: dict[str, float] = field(default_factory=dict)


def weigh(measures: Sequence[Measures], novelty: Values | None, *, nested: bool) -> list[Worth]:
    """Weigh tiles against each other.

    Uncertainty and disagreement count by rank among the tiles, so that neither the calibration of a network nor a few
    extreme tiles matter; outliers of morphology by robust z-scores (median and median absolute deviation).

    Parameters
    ----------
    measures : sequence of Measures
        Of all tiles that are compared.
    novelty : ndarray (N,) float64, optional
        How unlike the reviewed tiles each looks, in [0, 1]; none: nothing is reviewed.
    nested : bool
        Whether one class lies inside another, so that objects are fibres with sheaths.

    Returns
    -------
    list of Worth
        One for each tile, in their order.
    """
    ranked = {name: _ranks([getattr(each, name) for each in measures]) for name in LEAST}
    strange = _outliers(measures, nested=nested)
    found = []
    for index, each in enumerate(measures):
        parts = {name: float(rank[index]) for name, rank in ranked.items() if not np.isnan(rank[index])}
        if each.uncertainty is not None:
            parts["morphology"] = strange[index][0]
        if novelty is not None:
            parts["novelty"] = float(novelty[index])
        weight = sum(WEIGHTS[name] for name in parts)
        score = sum(WEIGHTS[name] * part for name, part in parts.items()) / weight if parts else 0.5
        reason = _reason(each, parts, strange[index][1], nested=nested)
        found.append(Worth(score, reason, parts))
    return found


def _ranks(values: Sequence[float | None]) -> Values:
    """Share of the known values that lie below each, ties half; NaN where nothing is known."""
    known = np.array([np.nan if value is None else value for value in values], np.float64)
    ordered = np.sort(known[~np.isnan(known)])
    below, up_to = (np.searchsorted(ordered, known, side) for side in ("left", "right"))
    return np.where(np.isnan(known), np.nan, (below + up_to) / 2 / max(1, len(ordered)))


def _outliers(measures: Sequence[Measures], *, nested: bool) -> list[tuple[float, str]]:
    """How far each tile is an outlier in anything, in [0, 1], and what is unusual."""
    thing = "fibres" if nested else "objects"
    words = {
        "g_ratio": ("sheaths unusually thick: mean g-ratio {:.2f}", "sheaths unusually thin: mean g-ratio {:.2f}"),
        "diameter": (f"{thing} unusually small", f"{thing} unusually large"),
        "density": (f"unusually few {thing}", f"unusually many {thing}"),
    }
    best = [(0.0, "")] * len(measures)
    for name, told in words.items():
        values = np.array([np.nan if (v := getattr(each, name)) is None else v for each in measures], np.float64)
        for index, z in enumerate(_robust_z(values)):
            part = min(1.0, abs(z) / OUTLIER)
            if part > best[index][0]:
                best[index] = float(part), told[int(z > 0)].format(values[index])
    return best


def _robust_z(values: Values) -> Values:
    """Distance from the median in robust standard deviations; 0 for what is not known or among too few."""
    known = values[~np.isnan(values)]
    if len(known) < FEWEST_COMPARED:
        return np.zeros(len(values))
    median = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - median))), SMALLEST_SPREAD * abs(median), 1e-9)
    return np.nan_to_num((values - median) / spread)


def _reason(measures: Measures, parts: Mapping[str, float], unusual: str, *, nested: bool) -> str:
    """Name the remarkable part that weighs most."""
    if measures.uncertainty is None:
        return "no labels are proposed here yet"
    least = dict.fromkeys(LEAST, UPPER) | {"morphology": 0.5, "novelty": 0.5}
    remarkable = [
        name
        for name, part in parts.items()
        if part >= least[name] and (name not in LEAST or getattr(measures, name) >= LEAST[name])
    ]
    # A part is the more telling the further it is above what makes it remarkable, however little it weighs.
    strongest = max(remarkable, key=lambda name: (parts[name] - least[name]) / (1 - least[name]), default="")
    where = (
        ("along sheath edges" if nested else "along edges") if measures.along_borders >= BORDERS else "in whole areas"
    )
    thing = "fibre" if nested else "object"
    count = measures.objects_differ
    disagree = f"on {count} {thing}{'s' if count > 1 else ''}" if count else f"along the edges of {thing}s"
    return {
        "uncertainty": f"the model is unsure {where}",
        "disagreement": f"routes disagree {disagree}",
        "morphology": unusual,
        "novelty": "looks unlike the tiles reviewed so far",
    }.get(strongest, AT_RANDOM)
