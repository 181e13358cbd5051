"""Keep the best of the checkpoints of a training, not the last."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from histobridge.core.translate.learner import TrainedTranslator, load_trained

BEST, CHECKPOINTS = "best", "checkpoints"
FIRST_SHARE = 0.25
"""Share of the steps before which no checkpoint is looked at: networks that have hardly begun are never the best."""


class Chooser:
    """Scores the checkpoints of one training and keeps the best.

    Parameters
    ----------
    score : callable
        Maps a translator to a number, more is better.
    folder : Path
        Of the run; the best so far lies in ``best/<step>/``.
    keep_all : bool
        Also keep every checkpoint that is looked at, in ``checkpoints/<step>/``.

    Attributes
    ----------
    best : TrainedTranslator or None
    step : int
        Of the best.
    history : list of tuple
        Step and score of each checkpoint looked at.
    """

    def __init__(self, score: Callable[[TrainedTranslator], float], folder: Path, keep_all: bool = False):
        self._score, self._folder, self._keep_all = score, folder, keep_all
        self.best: TrainedTranslator | None = None
        self.step = 0
        self.history: list[tuple[int, float]] = []

    def consider(self, step: int, translator: TrainedTranslator) -> None:
        """Score the translator of a step; keep it if none was better."""
        if self._keep_all:
            kept = self._folder / CHECKPOINTS / _name(step)
            kept.mkdir(parents=True, exist_ok=True)
            translator.save(kept)
        found = self._score(translator)
        points = found if math.isfinite(found) else 0.0
        if self.best is None or points >= max(score for _, score in self.history):
            self.best, self.step = translator, step
            self._place().mkdir(parents=True, exist_ok=True)
            translator.save(self._place())
        self.history.append((step, points))

    def state(self) -> dict[str, Any]:
        """What was found so far, as JSON values, for a checkpoint of the training."""
        return {"step": self.step, "history": self.history}

    def restore(self, values: dict[str, Any], device: str) -> None:
        """Continue where `state` was taken."""
        self.step = int(values["step"])
        self.history = [(int(step), float(points)) for step, points in values["history"]]
        if self.history:
            place = self._place()
            self.best = load_trained(place if place.exists() else place.parent, device)

    def forget(self) -> None:
        """Begin again: the networks looked at so far are not those of the training that follows."""
        self.best, self.step, self.history = None, 0, []

    def tidy(self) -> None:
        """Remove those that were the best before; once a checkpoint of the training names the one that is."""
        for old in (self._folder / BEST).glob("*"):
            if old.is_dir() and old != self._place():
                shutil.rmtree(old)

    def _place(self) -> Path:
        """Where the best lies: a folder for each, as a checkpoint may still name the one before."""
        return self._folder / BEST / _name(self.step)


def _name(step: int) -> str:
    return f"{step:07d}"
