"""The training loop of all methods, from images to a translator whose tiles join."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from histobridge.core.checkpoint import load_checkpoint, save_checkpoint
from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.device import choose_device
from histobridge.core.errors import ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.translate.base import Image, look_of
from histobridge.core.translate.crops import Field, ImageCrops, Labelled, values_of
from histobridge.core.translate.fixed_tiles import FixedTiles
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learner import TrainedTranslator, build_learner
from histobridge.core.translate.quality.choosing import FIRST_SHARE, Chooser

PREVIEW_EVERY = 50
PREVIEWS = 400
"""At most about so many in a training."""

CALIBRATION_CROPS = 48
CALIBRATION_PIXELS = 1 << 20


def train_pair(
    source_fields: Sequence[Field],
    target_fields: Sequence[Image],
    instant: Instant,
    config: TrainTranslatorConfig,
    folder: Path | None = None,
    on_checkpoint: Callable[[int], object] = lambda step: None,
) -> Job[TrainedTranslator]:
    """Train a translator on whole images of both domains.

    A checkpoint in `folder` is continued from; on the CPU the result then equals that of an uninterrupted training
    exactly. Closing the job writes a checkpoint.

    Parameters
    ----------
    source_fields : sequence of array, (Y, X) float32, or Labelled
        At the working scale, in [-1, 1], each in its own look; with labels for methods that use them.
    target_fields : sequence of array, (Y, X) float32
        The same.
    instant : Instant
        Brings the source to the look of the target.
    config : TrainTranslatorConfig
    folder : Path, optional
        Where the checkpoint lies; none: no checkpoints.
    on_checkpoint : callable
        Called with the step after each checkpoint is on disk.

    Yields
    ------
    Progress
        Every step with the losses of the method, ``generator`` and ``discriminator`` among them; every 50 steps or
        more with pictures and numbers of a few fixed tiles, see `FixedTiles.look`.

    Returns
    -------
    TrainedTranslator
        With fixed norms, on the device it was trained on.

    Raises
    ------
    InputError
        If a domain is empty or has values that are not finite.
    ProjectError
        If the checkpoint is damaged or of other networks, or the training diverges.
    """
    matched = [_matched(field, instant) for field in source_fields]
    fields: dict[Domain, Sequence[Field]] = {"source": matched, "target": target_fields}
    return (yield from train_matched(fields, instant, config, folder, on_checkpoint))


def _matched(field: Field, instant: Instant) -> Field:
    image, classes = field if isinstance(field, Labelled) else (field, None)
    matched = instant.translate(image, "source_to_target", look_of(image))
    return matched if classes is None else Labelled(matched, classes)


def train_matched(
    fields: Mapping[Domain, Sequence[Field]],
    instant: Instant,
    config: TrainTranslatorConfig,
    folder: Path | None = None,
    on_checkpoint: Callable[[int], object] = lambda step: None,
    chooser: Chooser | None = None,
) -> Job[TrainedTranslator]:
    """Train like `train_pair` on images of both domains of which those of the source have the look of the target.

    With a `chooser` the best checkpoint is returned, without one the last.
    """
    training = _Training(fields, instant, config, folder, chooser)
    training.resume()
    for step in range(training.learner.steps_done + 1, config.steps + 1):
        losses = training.step()
        if step % config.checkpoint_every == 0 or step == config.steps:
            training.choose()
            training.save(on_checkpoint)
        shown, numbers = training.tiles.look(training.translator()) if _is_shown(step, config) else ({}, {})
        message = "training" if losses else "skipped a step that gave numbers that are not finite"
        try:
            yield Progress(step, config.steps, message, losses | numbers, shown)
        except GeneratorExit:
            training.save(on_checkpoint)
            raise
    return chooser.best if chooser is not None and chooser.best is not None else training.finished()


class _Training:
    """What one training carries from step to step."""

    def __init__(
        self,
        fields: Mapping[Domain, Sequence[Field]],
        instant: Instant,
        config: TrainTranslatorConfig,
        folder: Path | None,
        chooser: Chooser | None,
    ):
        self.config, self.instant, self.folder, self.chooser = config, instant, folder, chooser
        self.fields = fields
        self.device = choose_device(config.device)
        self.values = values_of(fields["source"])
        self.learner = build_learner(config, self.device, self.values)
        self.crops = self._crops(seed=config.seed)
        self.tiles = FixedTiles(self._crops(seed=config.seed + 1), instant)
        self.saved_step = 0

    def _crops(self, seed: int) -> dict[Domain, ImageCrops]:
        return {
            domain: ImageCrops(fields, self.config.crop_px, 2 * seed + place, self.config.class_balanced)
            for place, (domain, fields) in enumerate(self.fields.items())
        }

    def step(self) -> dict[str, float]:
        """Learn from crops of both domains, and from the labels of the source where it has any."""
        source, labels = self._labelled(self.crops["source"], self.config.batch_size)
        target = self._some(self.crops["target"], self.config.batch_size)
        return self.learner.step(source, target, labels if self.values else None)

    def _some(self, crops: ImageCrops, count: int) -> torch.Tensor:
        return self._labelled(crops, count)[0]

    def _labelled(self, crops: ImageCrops, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw crops (N, 1, Y, X) and their labels (N, Y, X), on the device."""
        images, labels = zip(*(crops.draw_labelled() for _ in range(count)), strict=True)
        return torch.cat(images).to(self.device), torch.cat(labels).to(self.device)

    def finished(self) -> TrainedTranslator:
        """Fix the norms of the averaged networks at what crops of both domains show there."""
        crops_of = self._crops(seed=self.config.seed + 2)
        count = min(CALIBRATION_CROPS, max(4, CALIBRATION_PIXELS // self.config.crop_px**2))
        calibration = {domain: self._some(crops, count) for domain, crops in crops_of.items()}
        return self.learner.translator(self.instant, calibration)

    def choose(self) -> None:
        """Let the chooser look at the networks as they are, once they have begun to learn."""
        step = self.learner.steps_done
        if self.chooser is not None and step >= FIRST_SHARE * self.config.steps:
            self.chooser.consider(step, self.finished())

    def translator(self) -> TrainedTranslator:
        """Copy the networks as they are, their norms not fixed, to look at what they make."""
        return self.learner.translator(self.instant)

    def resume(self) -> None:
        """Go back to the checkpoint, if there is one."""
        checkpoint = load_checkpoint(self.folder) if self.folder is not None else None
        if checkpoint is None:
            return
        tensors, values = checkpoint
        try:
            self.learner.restore(tensors, values["learner"])
        except (KeyError, RuntimeError) as error:
            raise ProjectError(
                f"the checkpoint in {self.folder} is of other networks than those to train; "
                f"choose the settings it was started with, or start a new run ({error})"
            ) from error
        for domain, crops in self.crops.items():
            crops.restore(values["crops"][domain])
        if self.chooser is not None and "chooser" in values:
            self.chooser.restore(values["chooser"], self.config.device)
        self.saved_step = self.learner.steps_done

    def save(self, on_checkpoint: Callable[[int], object]) -> None:
        """Write a checkpoint unless it is there."""
        step = self.learner.steps_done
        if self.folder is None or self.saved_step == step:
            return
        tensors, values = self.learner.state()
        crops = {domain: crops.state() for domain, crops in self.crops.items()}
        chosen = {"chooser": self.chooser.state()} if self.chooser is not None else {}
        save_checkpoint(self.folder, tensors, {"learner": values, "crops": crops, **chosen})
        self.saved_step = step
        on_checkpoint(step)


def _is_shown(step: int, config: TrainTranslatorConfig) -> bool:
    """Whether the fixed tiles are looked at after a step: the first, the last, and every 50th or four hundredth."""
    return step in (1, config.steps) or step % max(PREVIEW_EVERY, config.steps // PREVIEWS) == 0
