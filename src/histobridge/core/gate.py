"""The verdict on a fine-tuned model, promotion by it or by hand, and the way back."""

import time
from typing import Literal

from histobridge.core.config import Config
from histobridge.core.errors import ProjectError
from histobridge.core.manifest import RunKind
from histobridge.core.project import Project
from histobridge.core.promotions import Promotion, note_promotion, read_promotions, trail
from histobridge.core.runs import Run
from histobridge.core.saved import read_saved

FILE = "gate.json"
KIND: RunKind = "target_segmenter"
Verdict = Literal["promote", "keep-aside", "too-few-to-judge"]
Key = tuple[str, str]
"""Image id and tile id."""


class TileScore(Config):
    """Score of one tile that the fine-tuned model has not learned from."""

    image: str
    """Id of the image."""

    tile: str
    """Id of the tile on the grid of the image."""

    before: float
    """By the model compared with: mean Dice of the target classes, 0 for one that is shown and not there; 0 to 1."""

    after: float
    """The same by the fine-tuned model."""


class Score(Config):
    """Mean over the tiles; none where no tile could be scored."""

    before: float | None = None
    """By the model compared with."""

    after: float | None = None
    """By the fine-tuned model."""


class Gate(Config):
    """What speaks for a fine-tuned model and against it; `gate.json` of its run."""

    verdict: Verdict
    """`too-few-to-judge` is used all the same: it is what was asked for, and one click goes back."""

    reason: str
    """The verdict in words."""

    held_out: tuple[Key, ...] = ()
    """Tiles that are never learned from."""

    trained: tuple[Key, ...] = ()
    """Decided tiles learned from."""

    begun: tuple[Key, ...] = ()
    """Other tiles learned from, as far as they were reviewed."""

    score: Score = Score()
    """Mean over `tiles`."""

    tiles: tuple[TileScore, ...] = ()
    """Every scored tile."""

    difference: float | None = None
    """Mean of after minus before."""

    interval: tuple[float, float] | None = None
    """95 % interval of the difference."""

    cross_validated: bool = False
    """Whether the scores are of models trained for the purpose, each without the tiles it is scored on."""

    compared_with: str = ""
    """The run whose model was there before."""

    in_use: str = ""
    """The run that was promoted when the fine-tuning began; empty: none."""


def read_gate(run: Run) -> Gate | None:
    """Read the verdict on a fine-tuned model.

    Parameters
    ----------
    run : Run
        Of the verb `finetune`.

    Returns
    -------
    Gate or None
        None if there is no verdict (yet).

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    path = run.path / FILE
    return read_saved(path, Gate, "fine-tune again") if path.exists() else None


def apply_gate(project: Project, run: Run) -> bool:
    """Put a fine-tuned model into use if its verdict allows it and nobody has chosen otherwise since.

    Call it whenever a fine-tuning has ended, or again: a run is promoted by its verdict at most once. A choice made by
    hand after the fine-tuning was started stays, and a model is never replaced by an older one.

    Parameters
    ----------
    project : Project
        Its edit lock is held by the caller.
    run : Run
        Of the verb `finetune`.

    Returns
    -------
    bool
        Whether the model was promoted now.

    Raises
    ------
    LockedError
        If the lock is not held and there is something to write.
    ProjectError
        If the verdict is damaged.
    """
    gate = read_gate(run)
    if gate is None or gate.verdict == "keep-aside" or run.state().status != "finished":
        return False
    log = read_promotions(project)
    current = project.manifest.active.get(KIND, "")
    if current == run.id or any(entry.run == run.id for entry in log):
        return False
    newest = log[-1] if log else None
    if newest is not None and newest.by != "gate" and newest.time > float(run.request()["created"]):
        return False
    promoted_by_gate = newest is not None and newest.by == "gate" and newest.run == current
    if current != gate.in_use and not (promoted_by_gate and current < run.id):
        return False
    _promote(project, run.id, "gate")
    return True


def promote(project: Project, run_id: str) -> None:
    """Put the model of a run into use by hand; an empty id takes the choice back.

    Parameters
    ----------
    project : Project
        Its edit lock is held by the caller.
    run_id : str
        A finished run of `finetune` or `propose`.

    Raises
    ------
    LockedError
        If the lock is not held.
    ProjectError
        If there is no such run.
    """
    _promote(project, run_id, "hand")


def roll_back(project: Project) -> str:
    """Put the model that was in use before back into use; doing it again goes further back.

    Parameters
    ----------
    project : Project
        Its edit lock is held by the caller.

    Returns
    -------
    str
        Run whose model is in use now; empty: none is promoted, as in the beginning.

    Raises
    ------
    LockedError
        If the lock is not held.
    ProjectError
        If no model is promoted.
    """
    current = project.manifest.active.get(KIND, "")
    if not current:
        raise ProjectError("no fine-tuned model is in use, so there is none to go back from; fine-tune or promote one")
    before = trail(read_promotions(project), current)[:-1]
    there = (run_id for run_id in reversed(before) if (project.path / "runs" / run_id / "run.json").exists())
    _promote(project, next(there, ""), "roll-back")
    return project.manifest.active.get(KIND, "")


def _promote(project: Project, run_id: str, by: Literal["gate", "hand", "roll-back"]) -> None:
    """Choose a run and note it: first the choice, so that a crash in between loses a note and no choice."""
    previous = project.manifest.active.get(KIND, "")
    project.pin(KIND, run_id)
    note_promotion(project, Promotion(time=time.time(), run=run_id, previous=previous, by=by))
