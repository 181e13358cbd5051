"""Tables of results on real pairs, which grow row by row, and means over them."""

import csv
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from folders import is_block, scored_classes
from histobridge.core.manifest import Manifest
from histobridge.core.scale import reference_class

ADDED = ("mitochondrion",)
"""Columns that were added at the end after a table had begun: rows may be longer than its header, or shorter."""

SHORT = {"instance_f1": "F1", "g_ratio_bias": "g bias"}


def stamp() -> dict:
    """What every row of a table begins with."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit.stdout.strip(), "machine": machine()}


def machine() -> str:
    """Name the processor too: on another one the same seed is another training, since sums are rounded otherwise."""
    return f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}{_processor()}"


def _processor() -> str:
    """Name, family and model of the processor, where Linux tells them."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    names = [known.get(name, "") for name in ("model name", "cpu family", "model")]
    return f", {names[0]} family {names[1]} model {names[2]}" if all(names) else ""


def append(table: Path, columns: list[str], rows: list[dict]) -> None:
    """Add rows to a table, which keeps the header it began with."""
    table.parent.mkdir(parents=True, exist_ok=True)
    fresh = not table.exists()
    if not fresh and columns[: len(header := _header(table))] != header:
        raise SystemExit(f"{table} has the columns {header}, expected the first of {columns}; give another --table")
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def read_table(table: Path, **wanted: str) -> list[dict]:
    """Rows of a table that have these values, with an empty text for what they lack; none if there is no table yet."""
    if not table.exists():
        return []
    header = _header(table)
    names = [*header, *(name for name in ADDED if name not in header)]
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream, names, restval=""))[1:]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _header(table: Path) -> list[str]:
    with table.open(newline="") as stream:
        return next(csv.reader(stream), [])


def newest(rows: list[dict], *columns: str) -> list[dict]:
    """Of rows with the same values in these columns the last one."""
    return list({tuple(row[name] for name in columns): row for row in rows}.values())


def drawings(rows: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """Rows by seed and machine, in the order of seeds: what was drawn and trained together, and can be compared."""
    found: dict[tuple[str, str], list[dict]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        found.setdefault((row["seed"], row["machine"]), []).append(row)
    return found


def distinct(rows: list[dict], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def measures(pair: str) -> dict[str, str]:
    """Column of a table -> name in the scorecard, of what is measured on a pair; its classes first."""
    manifest = Manifest(name=pair, classes=scored_classes(pair))
    scores = {spec.name: f"dice/{spec.name}" for spec in manifest.classes}
    if manifest.nested_pair():
        return scores | {"instance_f1": "instance_f1", "g_ratio_bias": "aggregate_g_ratio_bias"}
    return scores | {"instance_f1": f"instance_f1/{reference_class(manifest, 'target').name}"}


def means(rows: list[dict], columns: Sequence[str]) -> np.ndarray:
    """Mean of each column; not a number where a row lacks it."""
    return np.mean([[float(row[name] or "nan") for name in columns] for row in rows], axis=0)


def over_subjects(rows: list[dict], columns: Sequence[str]) -> np.ndarray:
    """Mean of each column over the images of a subject, then over subjects."""
    each = [means([row for row in rows if row["subject"] == name], columns) for name in distinct(rows, "subject")]
    return np.mean(each, axis=0)


def score(rows: list[dict], pair: str) -> float:
    """Mean Dice of a pair: of its classes, of the images of a subject, of subjects."""
    return float(over_subjects(rows, [spec.name for spec in scored_classes(pair)]).mean())


def headings(columns: Sequence[str]) -> str:
    """Heads of the columns that `values` prints."""
    return "".join(f"{SHORT.get(name, name):>{_width(name)}}" for name in columns)


def values(columns: Sequence[str], measured: np.ndarray) -> str:
    """What was measured, one number for each column; biases with their sign, a dash for what rows lack."""
    told = [
        "-" if np.isnan(value) else f"{value:{'+' if 'bias' in name else ''}.3f}"
        for name, value in zip(columns, measured, strict=True)
    ]
    return "".join(f"{text:>{_width(name)}}" for name, text in zip(columns, told, strict=True))


def _width(column: str) -> int:
    return max(8, len(SHORT.get(column, column)) + 1)


def subjects(rows: list[dict]) -> str:
    """What rows are averaged over, in words."""
    blocks = any(is_block(row["subject"]) for row in rows)
    return "blocks of one volume (optimistic)" if blocks else "animals"
