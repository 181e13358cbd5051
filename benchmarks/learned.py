"""What learned translators gain over the instant one: the tables of `docs/benchmarks.md`, in its notation.

    python benchmarks/learned.py
    python benchmarks/learned.py --table TABLE --preset cpu-900

From the table of `quality.py`; nothing is computed anew. Machines are lettered in the order in which they came.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from folders import PAIRS
from histobridge.core.translate.presets import PRESETS
from quality import TABLE
from standing import DEFAULT, ROUTES, gains_of
from tables import drawings, newest, over_subjects, read_table, score

TITLES = dict(zip(PAIRS, ("TEM to SEM", "SEM to TEM", "ssTEM fly to SBEM", "SBEM to ssTEM fly"), strict=True))
BESIDE = {"instance_f1": "F1", "g_ratio_bias": "g bias"}
"""What is told beside Dice, where a pair has it."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--preset", default="cpu-900")
    arguments = parser.parse_args(words)
    machines = list(dict.fromkeys(row["machine"] for row in read_table(arguments.table, preset=arguments.preset)))
    letters = {machine: chr(ord("A") + number) for number, machine in enumerate(machines)}
    print("\n".join(f"{letter}: {machine}" for machine, letter in letters.items()))
    print("\n".join(summary(arguments.table, arguments.preset)))
    for pair in PAIRS:
        rows = newest(
            read_table(arguments.table, pair=pair, preset=arguments.preset), "machine", "arm", "seed", "image"
        )
        print("\n".join(["", *table_of(pair, rows, letters)]))


def summary(table: Path, preset: str) -> Iterator[str]:
    """A row for each method: its mean gain on each pair, with the lowest and highest seed, and their number."""
    yield from head("translator", *TITLES.values())
    gains = {method: gains_of(table, preset, method) for method in PRESETS}
    for method in sorted(PRESETS, key=lambda name: -np.mean([np.mean(each) for each in gains[name].values()] or [0])):
        yield row_of(f"`{method}`", *(told(gains[method].get(pair, [])) for pair in TITLES))


def told(gains: list[float]) -> str:
    """Mean, lowest and highest gain, and of how many seeds."""
    if len(gains) < 2:
        return f"{signed(gains[0])} (1)" if gains else "not measured"
    return f"{signed(float(np.mean(gains)))} ({signed(min(gains))} to {signed(max(gains))}; {len(gains)})"


def table_of(pair: str, rows: list[dict], letters: dict[str, str]) -> Iterator[str]:
    """A row for each method, seed and machine with both routes, under that of the default."""
    beside = {name: title for name, title in BESIDE.items() if any(row[name] for row in rows)}
    yield from head("translator", "seed", f"{TITLES[pair]}: adaptation", "tutorship", "gain", *beside.values())
    cells = sorted(drawings(rows).items(), key=lambda cell: (letters[cell[0][1]], cell[0][0]))
    for (seed, machine), drawn in cells:
        by_arm = {arm: list(each) for arm, each in groupby(sorted(drawn, key=_arm), key=_arm)}
        names = [name for name in (DEFAULT, *PRESETS) if all(f"{route}-{name}" in by_arm for route in ROUTES)]
        if len(names) < 2 or names[0] != DEFAULT:
            continue
        scores = {name: [score(by_arm[f"{route}-{name}"], pair) for route in ROUTES] for name in names}
        best = np.max(list(scores.values()), axis=0)
        for name in names:
            dice = [bold(value, of=highest) for value, highest in zip(scores[name], best, strict=True)]
            gain = "" if name == DEFAULT else signed(float(np.mean(scores[name]) - np.mean(scores[DEFAULT])))
            others = [", ".join(measured(by_arm[f"{route}-{name}"], column) for route in ROUTES) for column in beside]
            yield row_of(f"`{name}`", f"{seed}, {letters[machine]}", *dice, gain, *others)


def measured(rows: list[dict], column: str) -> str:
    """One column of one arm, over subjects; biases with their sign."""
    (value,) = over_subjects(rows, [column])
    return signed(value) if "bias" in column else f"{value:.3f}"


def bold(value: float, *, of: float) -> str:
    return f"**{value:.3f}**" if value == of else f"{value:.3f}"


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def head(*titles: str) -> tuple[str, str]:
    return row_of(*titles), f"|{'---|' * len(titles)}"


def row_of(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _arm(row: dict) -> str:
    return row["arm"]


if __name__ == "__main__":
    main()
