"""The review queue: which tile to look at next, and why; written by the job `rank`, read by anyone."""

from typing import Literal

from pydantic import Field

from histobridge.core.config import Config
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.saved import read_saved
from histobridge.core.stopping import Gain

FILE = "queue.json"


class QueuedTile(Config):
    """One tile that waits for review."""

    image: str
    """Id of the image."""

    tile: str
    """Id of the tile on the grid of the image."""

    score: float = Field(ge=0, le=1)
    """How much there seems to be to learn from it; tiles are drawn with chances that grow with it, not in its order."""

    reason: str
    """Why it is shown, in the user's words."""

    parts: dict[str, float] = Field(default_factory=dict)
    """What the score is made of, each 0 to 1: uncertainty, disagreement, morphology and novelty, as far as known."""


class Queue(Config):
    """All tiles that wait for review, the next one first; `queue.json` of its run."""

    order: Literal["queue", "random", "entropy"]
    """How it was ordered."""

    proposals: str = ""
    """Run whose proposals were looked at."""

    tiles: tuple[QueuedTile, ...] = ()
    """Without what was decided; what was skipped comes last."""

    stop: Gain = Gain()
    """What going on with reviewing is likely to gain."""


def read_queue(run: Run) -> Queue:
    """Read the queue that a run has made.

    Parameters
    ----------
    run : Run
        Of the verb `rank`, finished.

    Returns
    -------
    Queue

    Raises
    ------
    ProjectError
        If there is none or it is damaged.
    """
    return read_saved(run.path / FILE, Queue, "rank the tiles again")


def newest_queue(project: Project) -> Queue | None:
    """Read the queue of the latest finished ranking.

    Parameters
    ----------
    project : Project

    Returns
    -------
    Queue or None
        None if the tiles were never ranked. Tiles decided since are still in it.

    Raises
    ------
    ProjectError
        If it is damaged.
    """
    finished = (run for run in reversed(project.runs("rank")) if run.state().status == "finished")
    run = next(finished, None)
    return None if run is None else read_queue(run)
