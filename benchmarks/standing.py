"""Which translator the table of `quality.py` makes the default: `instant`, until a learned one beats it everywhere."""

from pathlib import Path

import numpy as np

from folders import PAIRS
from histobridge.core.config import ProposeConfig
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.quality.ranking import beats_the_default
from tables import drawings, newest, read_table, score

ROUTES = ("adaptation", "tutorship")
DEFAULT = ProposeConfig().translator


def standing(table: Path, preset: str) -> list[str]:
    """A line for each learned translator, and one for the default that follows."""
    gains = {method: gains_of(table, preset, method) for method in PRESETS}
    told = [f"{method:12}{words(found)}" for method, found in gains.items()]
    winners = [method for method, found in gains.items() if beats_the_default(found, list(PAIRS))]
    best = max(winners, key=lambda method: np.mean([np.mean(found) for found in gains[method].values()]), default="")
    rule = f"(rule: `{DEFAULT}` until another gains more than the spread of its seeds on each of {len(PAIRS)} pairs)"
    return [
        "",
        f"Mean Dice over both routes minus that of {DEFAULT}, by seed",
        *told,
        f"default: {best or DEFAULT} {rule}",
    ]


def gains_of(table: Path, preset: str, method: str) -> dict[str, list[float]]:
    """By pair, for each seed with all four arms on one machine: what a method gains over the default, mean of routes.

    A seed that was drawn on several machines counts once, with the mean of their gains.
    """
    found = {}
    for pair in PAIRS:
        rows = newest(read_table(table, pair=pair, preset=preset), "machine", "arm", "seed", "image")
        gains: dict[str, list[float]] = {}
        for (seed, _), drawn in drawings(rows).items():
            cells = {
                (route, name): [row for row in drawn if row["arm"] == f"{route}-{name}"]
                for route in ROUTES
                for name in (method, DEFAULT)
            }
            if all(cells.values()):
                scores = {key: score(cell, pair) for key, cell in cells.items()}
                gain = np.mean([scores[route, method] - scores[route, DEFAULT] for route in ROUTES])
                gains.setdefault(seed, []).append(float(gain))
        if gains:
            found[pair] = [float(np.mean(of_machines)) for of_machines in gains.values()]
    return found


def words(gains: dict[str, list[float]]) -> str:
    """What was gained on each pair: the mean of the seeds, the lowest and the highest."""
    told = [f"{pair} {np.mean(each):+.3f} ({min(each):+.3f} to {max(each):+.3f})" for pair, each in gains.items()]
    missing = len(PAIRS) - len(gains)
    return "; ".join([*told, *([f"{missing} of {len(PAIRS)} pairs not measured"] if missing else [])])
