"""The verb that brings back edits which could not be written to their project: bring-back."""

import argparse
from pathlib import Path
from typing import Any

from histobridge.cli.output import Outcome
from histobridge.cli.taking_over import opened, take_over_option
from histobridge.core.unsaved import ENDING, bring_back, read_unsaved


def restore_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `bring-back`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    parser.add_argument("file", metavar="FILE", help=f"Edits saved elsewhere, ending in {ENDING}.")
    take_over_option(parser)


def restore(namespace: argparse.Namespace) -> Outcome:
    """Add edits that were saved elsewhere to the labels they belong to."""
    project, path = opened(namespace), Path(namespace.file)
    held = len(read_unsaved(path).deltas)
    count = bring_back(project, path)
    values: dict[str, Any] = {"verb": "bring-back", "project": str(project.path), "edits": held, "added": count}
    return Outcome(values, [f"added {count} of {held} edits; the others were there already"])
