"""The training loop of segmenters, for first training and fine-tuning."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from histobridge.core.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    part,
    prefixed,
    restore_optimizer,
    save_checkpoint,
)
from histobridge.core.errors import HistoBridgeError, InputError, ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.segment.crops import Batch, Sampler
from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.segment.networks import SIZE_MULTIPLE
from histobridge.core.segment.schedule import learning_rate_share
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.build import build_terms
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.terms.settings import TermSettings

GRADIENT_LIMIT = 12.0
BAD_STEPS_ALLOWED = 2
TEACHER_DECAY = 0.99
"""Of the running average of the weights, where a term needs one and the config does not say."""
SKIPPED = "skipped a step whose loss was not a finite number"


class DivergedError(HistoBridgeError):
    """The loss stopped being a number."""


class TrainingPlan(Protocol):
    """What `train` reads of a config; `weight_decay` too, where there is one."""

    @property
    def terms(self) -> tuple[TermSettings, ...]: ...  # noqa: D102
    @property
    def average(self) -> float: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def checkpoint_every(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


def train(
    net: nn.Module,
    sampler: Sampler,
    config: TrainingPlan,
    folder: Path | None = None,
    on_checkpoint: Callable[[int], object] = lambda step: None,
    unlabelled: TilePool | None = None,
) -> Job[nn.Module]:
    """Train `net` in place with AdamW, warm-up and polynomial decay.

    The loss is cross-entropy plus Dice on the labelled pixels, plus the terms of the config, each with its own weight
    and ramp. Where the config asks for it, `net` ends as the running average of its weights.

    A checkpoint in `folder` is continued from; on the CPU the result then equals that of an uninterrupted training
    exactly. Closing the job writes a checkpoint.

    Parameters
    ----------
    net : nn.Module
        Maps (N, 1, Y, X) images to (N, K, Y, X) logits. Trained on its own device.
    sampler : Sampler
        Gives the batches.
    config : SegmenterTraining or FineTuneConfig
        Steps, batch size, learning rate, checkpoints, seed.
    folder : Path, optional
        Where the checkpoint lies; none: no checkpoints.
    on_checkpoint : callable
        Called with the step after each checkpoint is on disk.
    unlabelled : TilePool, optional
        Images without labels, for the terms.

    Yields
    ------
    Progress
        After every optimizer step, with the supervised ``loss`` and every term by its kind; without them where the
        step was skipped.

    Returns
    -------
    nn.Module
        `net`, in eval mode; also when the job is closed early.

    Raises
    ------
    DivergedError
        If the loss is not finite three times in a row; single bad steps are skipped.
    InputError
        If a term needs images without labels and there are none.
    ProjectError
        If the checkpoint is damaged or of another network.
    """
    training = _Training(net, sampler, config, folder, unlabelled)
    first = training.resume()
    net.train()
    try:
        for step, batch in enumerate(islice(sampler.batches(config.batch_size), config.steps - first), first + 1):
            metrics = training.learn(batch, step)
            if step % config.checkpoint_every == 0 or step == config.steps:
                training.save(step, on_checkpoint)
            try:
                yield Progress(step, config.steps, "training" if metrics else SKIPPED, metrics)
            except GeneratorExit:
                training.save(step, on_checkpoint)
                raise
        training.settle()
    finally:
        net.eval()
    return net


class _Training:
    """What one training carries from step to step."""

    def __init__(
        self, net: nn.Module, sampler: Sampler, config: TrainingPlan, folder: Path | None, pool: TilePool | None
    ):
        self.net, self.sampler, self.config, self.folder, self.pool = net, sampler, config, folder, pool
        self.device = next(net.parameters()).device
        weight_decay = getattr(config, "weight_decay", 1e-4)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=weight_decay)
        self.terms = build_terms(config.terms, _student(net, config.seed, pool)) if config.terms else []
        if pool is None and any(term.needs_unlabelled for term in self.terms):
            raise InputError(
                "terms: they learn from images without labels, and there are none; add target images, or review less"
            )
        self.average = deepcopy(net).eval() if self.terms or config.average else None
        self.unlabelled: Iterator[Unlabelled] | None = None
        self.bad_steps = 0
        self.saved_step = 0

    def learn(self, batch: Batch, step: int) -> dict[str, float]:
        """Take one optimizer step and return the losses; a step without finite ones changes and returns nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * learning_rate_share(step, self.config.steps)
        buffers = [buffer.clone() for buffer in self.net.buffers()]
        self.optimizer.zero_grad(set_to_none=True)
        for term in self.terms:
            if term.nets is not None:
                term.nets.zero_grad(set_to_none=True)
        scene = self._scene(batch, step)
        supervised = masked_dice_ce(scene.logits, scene.labels, scene.weight)
        losses = {term.name: term.loss(scene) for term in self.terms}
        shares = (term.share(step, self.config.steps) for term in self.terms)
        loss = supervised + sum(share * each for share, each in zip(shares, losses.values(), strict=True))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), GRADIENT_LIMIT)
        if not torch.isfinite(loss + norm):
            self._skip(buffers, step)
            return {}
        self.optimizer.step()
        self._follow(step)
        metrics = {"loss": float(supervised.detach())} | {name: float(each.detach()) for name, each in losses.items()}
        for term in self.terms:
            metrics |= term.after_step(scene)
        self.bad_steps = 0
        return metrics

    def _scene(self, batch: Batch, step: int) -> Scene:
        """Show this step to the terms."""
        labelled = batch[0].to(self.device), batch[1].to(self.device), batch[2].to(self.device)
        drawn = None
        if self.terms and self.pool is not None:
            if self.unlabelled is None:
                self.unlabelled = self.pool.batches(self.config.batch_size)
            drawn = next(self.unlabelled).to(self.device)
        return Scene(self.net, self.average or self.net, (step, self.config.steps), labelled, drawn)

    def _follow(self, step: int) -> None:
        """Move the running average towards the weights: a_t = min(1 - 1 / (t + 1), a) (Tarvainen, Valpola 2017)."""
        if self.average is None:
            return
        decay = min(1 - 1 / (step + 1), self.config.average or TEACHER_DECAY)
        with torch.no_grad():
            for kept, new in zip(_state(self.average), _state(self.net), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def settle(self) -> None:
        """End with the running average, where the config asks for it."""
        if self.average is not None and self.config.average:
            self.net.load_state_dict(self.average.state_dict())

    def _skip(self, buffers: list[torch.Tensor], step: int) -> None:
        """Take the running statistics back, which a bad batch has spoiled; give up after a few in a row."""
        with torch.no_grad():
            for buffer, before in zip(self.net.buffers(), buffers, strict=True):
                buffer.copy_(before)
        self.bad_steps += 1
        if self.bad_steps > BAD_STEPS_ALLOWED:
            raise DivergedError(
                f"the loss was not a finite number {self.bad_steps} times in a row (step {step} of "
                f"{self.config.steps}); look for damaged images, or lower the learning rate "
                f"({self.config.learning_rate:g}), and start again"
            )

    def save(self, step: int, on_checkpoint: Callable[[int], object]) -> None:
        """Write a checkpoint of `step` unless it is there."""
        if self.folder is None or self.saved_step == step:
            return
        tensors = prefixed("net", self.net.state_dict()) | prefixed("optimizer", optimizer_tensors(self.optimizer))
        tensors["random"] = torch.get_rng_state()
        values: dict[str, Any] = {"step": step, "sampler": self.sampler.state()}
        if self.average is not None:
            tensors |= prefixed("average", self.average.state_dict())
        if self.pool is not None:
            values["unlabelled"] = self.pool.state()
        for number, term in enumerate(self.terms):
            tensors |= prefixed(f"term-{number}", term.tensors())
        save_checkpoint(self.folder, tensors, values)
        self.saved_step = step
        on_checkpoint(step)

    def resume(self) -> int:
        """Go back to the checkpoint and return its step, or seed afresh and return 0."""
        checkpoint = load_checkpoint(self.folder) if self.folder is not None else None
        if checkpoint is None:
            torch.manual_seed(self.config.seed)
            return 0
        tensors, values = checkpoint
        try:
            self.net.load_state_dict(part("net", tensors))
            if self.average is not None:
                self.average.load_state_dict(part("average", tensors))
            for number, term in enumerate(self.terms):
                term.restore(part(f"term-{number}", tensors))
        except (RuntimeError, KeyError) as error:
            raise ProjectError(
                f"the checkpoint in {self.folder} is of another training than this one; "
                f"choose the settings it was started with, or start a new run ({error})"
            ) from error
        restore_optimizer(self.optimizer, part("optimizer", tensors))
        torch.set_rng_state(tensors["random"])
        self.sampler.restore(values["sampler"])
        if self.pool is not None and "unlabelled" in values:
            self.pool.restore(values["unlabelled"])
        self.saved_step = int(values["step"])
        return self.saved_step


def _state(net: nn.Module) -> list[torch.Tensor]:
    return [*net.parameters(), *net.buffers()]


def _student(net: nn.Module, seed: int, pool: TilePool | None) -> Student:
    if pool is None:
        return Student(net, _channels(net), seed)
    shapes = tuple((len(tile), len(tile[0])) for tile in pool.tiles)
    return Student(net, _channels(net), seed, pool.look, shapes, pool.said)


def _channels(net: nn.Module) -> int:
    """Classes that a network tells apart, background included."""
    training = net.training
    with torch.no_grad():
        weight = next(net.parameters())
        logits = net.eval()(weight.new_zeros(1, 1, 2 * SIZE_MULTIPLE, 2 * SIZE_MULTIPLE))
    net.train(training)
    return int(logits.shape[1])
