"""The verbs that tell of the reviewing: effort, agreement."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from histobridge.cli.output import Outcome, clock, table
from histobridge.core.errors import InputError
from histobridge.core.project import Project

COSTS = ("active_seconds", "strokes", "undos", "clicks", "keys", "changed_pixels")
SHOWN = ("image", "tile", "status", *COSTS)
MOST_ROWS = 40
"""Longer tables are for `--out` and `--json`."""


def effort_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `effort`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    parser.add_argument("--out", default="", metavar="FILE", help="CSV file to write, one row a tile.")


def effort(namespace: argparse.Namespace) -> Outcome:
    """Show what every tile has cost so far, and write it as a table."""
    from histobridge.core.effort import effort_rows, write_effort_table

    project = Project.open(Path(namespace.project))
    rows = effort_rows(project)
    total = {name: sum(row[name] for row in rows) for name in COSTS}
    statuses = dict(Counter(row["status"] for row in rows))
    values: dict[str, Any] = {"verb": "effort", "project": str(project.path), "tiles": rows}
    values |= {"total": total, "statuses": statuses}
    worked = [row for row in rows if any(row[name] for name in COSTS)]
    lines = table({name: row[name] for name in SHOWN} for row in worked[:MOST_ROWS])
    lines += [f"… and {len(worked) - MOST_ROWS} more tiles; --out FILE writes all"] if len(worked) > MOST_ROWS else []
    counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
    lines += [f"{len(rows)} tiles: {counts or 'none yet'}"]
    lines += [f"{clock(total['active_seconds'])} active, {total['strokes']} strokes"]
    if namespace.out:
        out = Path(namespace.out).expanduser()
        try:
            write_effort_table(rows, out)
        except OSError as error:
            raise InputError(f"--out {out}: {error.strerror}; name a file in a folder that can be written") from error
        values["out"] = str(out)
        lines.append(f"wrote {out}")
    return Outcome(values, lines)


def agreement_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `agreement`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")


def agreement(namespace: argparse.Namespace) -> Outcome:
    """Tell how far the answers for tiles agree that were shown again."""
    from histobridge.core.blind import measure_agreement, read_checks, told

    project = Project.open(Path(namespace.project))
    checks, found = read_checks(project), measure_agreement(project)
    values: dict[str, Any] = {"verb": "agreement", "project": str(project.path), "on": checks.on}
    values |= {"checks": checks.model_dump(mode="json"), "tiles": [each.model_dump(mode="json") for each in found]}
    rows = [{"image": each.image, "tile": each.tile, "check": each.check, **each.dice} for each in found]
    nothing = "no tile was answered twice yet"
    lines = [*table(rows), *told(found)] or [nothing if checks.on else f"{nothing}; blind checks are off"]
    return Outcome(values, lines)
