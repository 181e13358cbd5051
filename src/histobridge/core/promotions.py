"""The history of models in use: `promotions.jsonl` of a project, written by whoever holds the edit lock."""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict

from histobridge.core.config import Config
from histobridge.core.files import write_bytes
from histobridge.core.project import Project

FILE = "promotions.jsonl"


class Promotion(Config):
    """One change of the model in use; what a newer version says beside that is left out."""

    model_config = ConfigDict(extra="ignore")

    time: float
    """Seconds since 1970."""

    run: str
    """In use from then on; empty: none is promoted."""

    previous: str
    """In use until then."""

    by: Literal["gate", "hand", "roll-back"]
    """Who decided."""


def read_promotions(project: Project) -> list[Promotion]:
    """All changes, the oldest first; lines that cannot be read are left out."""
    try:
        lines = (project.path / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Promotion.model_validate(json.loads(line)))
        except ValueError:
            continue
    return found


def note_promotion(project: Project, promotion: Promotion) -> None:
    """Add one change at the end, below all that is there, also what this version cannot read; needs the edit lock."""
    try:
        known = (project.path / FILE).read_bytes()
    except FileNotFoundError:
        known = b""
    if known and not known.endswith(b"\n"):
        known += b"\n"
    write_bytes(project.path / FILE, known + json.dumps(promotion.model_dump(mode="json")).encode() + b"\n")


def trail(promotions: Sequence[Promotion], current: str) -> list[str]:
    """Runs to go back along, the last of them `current`.

    Parameters
    ----------
    promotions : sequence of Promotion
        The oldest first. Choices that were never noted show in `previous` of the next one.
    current : str
        Run in use now.

    Returns
    -------
    list of str
        Run ids; those that were left by rolling back are not among them.
    """
    runs: list[str] = []
    for entry in promotions:
        if entry.by == "roll-back":
            while runs and runs[-1] != entry.run:
                runs.pop()
            continue
        if entry.previous and (not runs or runs[-1] != entry.previous):
            runs.append(entry.previous)
        if entry.run and (not runs or runs[-1] != entry.run):
            runs.append(entry.run)
    if not runs or runs[-1] != current:
        runs.append(current)
    return runs
