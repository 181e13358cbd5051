"""The training loop of all methods, from matched images to a translator whose tiles join."""

import gc
from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import ceil
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from histobridge.core.checkpoint import forget_checkpoint, load_checkpoint, save_checkpoint
from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.device import cache_device, choose_device
from histobridge.core.errors import ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.translate import crew
from histobridge.core.translate.crops import Field, ImageCrops, bytes_of, crops_of, values_of
from histobridge.core.translate.fixed_tiles import FixedTiles
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.ladder import Outside, after_kills, changed, changes, is_out_of_memory, step_down
from histobridge.core.translate.learner import Learner, TrainedTranslator, build_learner
from histobridge.core.translate.quality.choosing import FIRST_SHARE, Chooser
from histobridge.core.translate.quality.upright import EXCHANGED_BELOW

PREVIEW_EVERY = 50
PREVIEWS = 400
"""At most about so many in a training."""

SETTLED_SHARE = 0.1
"""Of the steps, from which on it is looked which way round grey values go, until the first checkpoint is scored."""
EXCHANGED = (
    "Dark structures came out bright, against what Match says: training began again with the identity loss, "
    "which prevents that."
)
CALIBRATION_CROPS = 48
CALIBRATION_PIXELS = 1 << 20

Checkpoint: TypeAlias = tuple[dict[str, torch.Tensor], dict[str, Any]]


def train_matched(
    fields: Mapping[Domain, Sequence[Field]],
    instant: Instant,
    config: TrainTranslatorConfig,
    folder: Path | None = None,
    outside: Outside | None = None,
    chooser: Chooser | None = None,
) -> Job[TrainedTranslator]:
    """Train a translator on images of both domains of which those of the source have the look of the target.

    With a `chooser` the best checkpoint is returned, without one the last. When memory runs out, the training gives up
    what it needs least (see `ladder.step_down`), goes on from its last checkpoint and says so from then on; so it does
    when it was killed for that. In several processes (see `crew`) every one calls this; only the first one's progress
    and result count.
    """
    training = _Training(fields, instant, config, folder, chooser, outside or Outside())
    while True:
        try:
            training.start()
            if training.done or not crew.told():
                return training.result()
            progress = training.advance()
        except (RuntimeError, MemoryError) as error:
            progress = training.step_down(error)
        try:
            yield progress
        except GeneratorExit:
            training.save()
            if not training.done:
                crew.told(False)
            raise


class _Training:
    """What one training carries from step to step; its config changes when it has to do with less memory."""

    def __init__(
        self,
        fields: Mapping[Domain, Sequence[Field]],
        instant: Instant,
        config: TrainTranslatorConfig,
        folder: Path | None,
        chooser: Chooser | None,
        outside: Outside,
    ):
        self.asked = self.config = config
        self.outside, self._minded = outside, 0
        self.fields, self.instant, self.folder, self.chooser = fields, instant, folder, chooser
        self.values = values_of(fields["source"])
        self.tiles = FixedTiles(crops_of(fields, config, config.seed + 1), instant)
        self.words: list[str] = []
        self.saved_step = 0
        self.cache = torch.device("cpu")
        self._kept: Checkpoint | None = None
        self._learner: Learner | None = None

    def start(self) -> None:
        """Build the networks as the last checkpoint has them, unless they are there."""
        if self._learner is not None:
            return
        checkpoint = self._kept if self.folder is None else load_checkpoint(self.folder)
        if checkpoint is not None and not self.words:
            self.config = changed(self.asked, checkpoint[1].get("changed", {}))
            self.words = list(checkpoint[1].get("words", ()))
            self._minded = int(checkpoint[1].get("kills", self.outside.kills))
        if checkpoint is not None:  # Somebody may have labelled a further class since.
            self.values = tuple(checkpoint[1].get("classes", self.values))
        self._mind_kills()
        self.device = choose_device(self.config.device)
        gc.collect()  # Networks that ran out of memory refer to each other in circles.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.backends.cudnn.benchmark = True
        learner = build_learner(self.config, self.device, self.values)
        self.crops: dict[Domain, ImageCrops] = {}  # What is kept on the device counts as taken there.
        self.cache = self._cache()
        self.crops = crops_of(self.fields, self.config, self.config.seed, self.cache)
        if checkpoint is not None:
            self._restore(learner, *checkpoint)
        self.saved_step = learner.steps_done
        self._learner = learner

    def _mind_kills(self) -> None:
        """Step down for each time that it was killed since the checkpoint, which goes on from what that changed."""
        self.config, words = after_kills(self.config, self.outside.kills - self._minded)
        self._minded = self.outside.kills
        for sentence in words:
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        """Tell of a change, now and beside all progress."""
        self.words = [*self.words, sentence]
        if crew.rank() == 0:
            self.outside.on_change(sentence)

    @property
    def learner(self) -> Learner:
        """The networks in training."""
        assert self._learner is not None
        return self._learner

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return self._learner is not None and self.learner.steps_done >= self.config.steps

    def advance(self) -> Progress:
        """Do a step, and what is due after it; the first of several processes alone looks and writes."""
        config = self.config
        losses = self.step()
        step = self.learner.steps_done
        shown: dict[str, NDArray[np.uint8]] = {}
        numbers: dict[str, float] = {}
        if crew.rank() == 0:
            if step % config.checkpoint_every == 0 or step == config.steps:
                self.choose()
                self.save()
            if _is_shown(step, config):
                shown, numbers = self.tiles.look(self.translator())
                if self.exchanged:
                    return self.start_over()
        message = "training" if losses else "skipped a step that gave numbers that are not finite"
        return Progress(step, config.steps, ". ".join([message, *self.words]), losses | numbers, shown)

    @property
    def exchanged(self) -> bool:
        """Whether dark and bright come out exchanged, and a loss that would have held them was switched off."""
        held = self.config.identity_weight or not self.outside.identity_weight or crew.size() > 1
        early = SETTLED_SHARE <= self.learner.steps_done / self.config.steps <= FIRST_SHARE
        return bool(not held and early and self.tiles.upright < EXCHANGED_BELOW)

    def start_over(self) -> Progress:
        """Forget all that was learned, and begin again with the identity loss."""
        self.config = self.config.model_copy(update={"identity_weight": self.outside.identity_weight})
        self._say(EXCHANGED)
        self._learner = self._kept = None
        if self.folder is not None:
            forget_checkpoint(self.folder)
        if self.chooser is not None:
            self.chooser.forget()
        self.start()
        self.saved_step = -1
        self.save()
        return Progress(0, self.config.steps, EXCHANGED)

    def step_down(self, error: BaseException) -> Progress:
        """Change the config so that the error does not come again; the next `start` begins at the last checkpoint.

        Raises the error if nothing can be done about it, and `ProjectError` if several processes train together.
        """
        if crew.size() > 1:
            raise ProjectError(
                f"one of the {crew.size()} processes that train together failed ({error}); resume the run to go on "
                "from its last checkpoint, or train in one process, which can do with less memory"
            ) from error
        device = choose_device(self.config.device)
        found = step_down(self.config, error, device.type == "cuda", self.cache.type == "cuda")
        if found is None:
            raise error
        self.config, words = found
        self._say(words)
        self._learner = None
        return Progress(self.saved_step, self.config.steps, words)

    def _cache(self) -> torch.device:
        """Where images are kept that crops are drawn from."""
        if not self.config.images_on_gpu:
            return torch.device("cpu")
        return cache_device(self.device, sum(bytes_of(field) for fields in self.fields.values() for field in fields))

    def step(self) -> dict[str, float]:
        """Learn from crops of both domains, and from the labels of the source where it has any."""
        source, labels = self.crops["source"].batch(self.config.batch_size, self.device)
        target, _ = self.crops["target"].batch(self.config.batch_size, self.device)
        return self.learner.step(source, target, labels if self.values else None)

    def result(self) -> TrainedTranslator:
        """Return the best checkpoint, or the last where nobody chose."""
        self.outside.on_end(self.config)
        best = None if self.chooser is None else self.chooser.best
        return self.finished() if best is None else best

    def finished(self) -> TrainedTranslator:
        """Fix the norms of the averaged networks at what crops of both domains show there."""
        fresh = crops_of(self.fields, self.config, self.config.seed + 2)
        count = min(CALIBRATION_CROPS, max(4, CALIBRATION_PIXELS // self.config.crop_px**2))
        calibration = {domain: crops.batch(count, self.device)[0] for domain, crops in fresh.items()}
        return self.learner.translator(self.instant, calibration)

    def choose(self) -> None:
        """Let the chooser look at the networks as they are, once they have begun to learn."""
        step = self.learner.steps_done
        if self.chooser is not None and step >= FIRST_SHARE * self.config.steps:
            self.chooser.consider(step, self.finished())

    def translator(self) -> TrainedTranslator:
        """Copy the networks as they are, their norms not fixed, to look at what they make."""
        return self.learner.translator(self.instant)

    def _restore(self, learner: Learner, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """Bring networks, crops and chooser to where a checkpoint was taken."""
        try:
            learner.restore(tensors, values["learner"])
        except (KeyError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise ProjectError(
                f"the checkpoint in {self.folder} is of other networks than those to train; "
                f"choose the settings it was started with, or start a new run ({error})"
            ) from error
        for domain, crops in self.crops.items():
            crops.restore(values["crops"][domain])
        if self.chooser is not None and "chooser" in values:
            self.chooser.restore(values["chooser"], self.config.device)

    def save(self) -> None:
        """Write a checkpoint unless it is there or another process does; without a folder, keep it in memory."""
        if self._learner is None or crew.rank() or self.saved_step == self.learner.steps_done:
            return
        tensors, values = self.learner.state()
        values = {
            "learner": values,
            "crops": {domain: crops.state() for domain, crops in self.crops.items()},
            "changed": changes(self.asked, self.config),
            "words": self.words,
            "kills": self._minded,
            "classes": list(self.values),
        }
        if self.chooser is not None:
            values["chooser"] = self.chooser.state()
        self.saved_step = self.learner.steps_done
        if self.folder is None:
            self._kept = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, deepcopy(values)
            return
        save_checkpoint(self.folder, tensors, values)
        if self.chooser is not None:
            self.chooser.tidy()
        self.outside.on_checkpoint(self.saved_step)


def _is_shown(step: int, config: TrainTranslatorConfig) -> bool:
    """Whether the fixed tiles are looked at after a step: the first, the last, and every 50th or four hundredth.

    And that at which the polarity has settled, early enough to start over.
    """
    settled = ceil(SETTLED_SHARE * config.steps)
    return step in (1, settled, config.steps) or step % max(PREVIEW_EVERY, config.steps // PREVIEWS) == 0
