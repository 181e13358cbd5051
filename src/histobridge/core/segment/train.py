"""The training loop of segmenters, for first training and fine-tuning."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Protocol

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
from histobridge.core.errors import HistoBridgeError, ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.segment.crops import Batch, Sampler
from histobridge.core.segment.losses import masked_dice_ce

WARM_UP_STEPS = 20
POLYNOMIAL_POWER = 0.9
GRADIENT_LIMIT = 12.0
BAD_STEPS_ALLOWED = 2
SKIPPED = "skipped a step whose loss was not a finite number"


class DivergedError(HistoBridgeError):
    """The loss stopped being a number."""


class TrainingPlan(Protocol):
    """What `train` reads of a config; `weight_decay` too, where there is one."""

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
) -> Job[nn.Module]:
    """Train `net` in place with AdamW, warm-up and polynomial decay.

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

    Yields
    ------
    Progress
        After every optimizer step, with the ``loss``; without it where the step was skipped.

    Returns
    -------
    nn.Module
        `net`, in eval mode; also when the job is closed early.

    Raises
    ------
    DivergedError
        If the loss is not finite three times in a row; single bad steps are skipped.
    ProjectError
        If the checkpoint is damaged or of another network.
    """
    training = _Training(net, sampler, config, folder)
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
    finally:
        net.eval()
    return net


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the full learning rate at `step`, counted from 1: warm-up, then polynomial decay."""
    return float(min(1.0, step / WARM_UP_STEPS) * (1 - (step - 1) / steps) ** POLYNOMIAL_POWER)


class _Training:
    """What one training carries from step to step."""

    def __init__(self, net: nn.Module, sampler: Sampler, config: TrainingPlan, folder: Path | None):
        self.net, self.sampler, self.config, self.folder = net, sampler, config, folder
        self.device = next(net.parameters()).device
        weight_decay = getattr(config, "weight_decay", 1e-4)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=weight_decay)
        self.bad_steps = 0
        self.saved_step = 0

    def learn(self, batch: Batch, step: int) -> dict[str, float]:
        """Take one optimizer step and return the loss; a step without a finite one changes and returns nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * learning_rate_share(step, self.config.steps)
        buffers = [buffer.clone() for buffer in self.net.buffers()]
        image, labels, weight = (tensor.to(self.device) for tensor in batch)
        loss = masked_dice_ce(self.net(image), labels, weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), GRADIENT_LIMIT)
        if not torch.isfinite(loss + norm):
            self._skip(buffers, step)
            return {}
        self.optimizer.step()
        self.bad_steps = 0
        return {"loss": float(loss.detach())}

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
        save_checkpoint(self.folder, tensors, {"step": step, "sampler": self.sampler.state()})
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
        except RuntimeError as error:
            raise ProjectError(
                f"the checkpoint in {self.folder} is of another network than the one to train; "
                f"choose the settings it was started with, or start a new run ({error})"
            ) from error
        restore_optimizer(self.optimizer, part("optimizer", tensors))
        torch.set_rng_state(tensors["random"])
        self.sampler.restore(values["sampler"])
        self.saved_step = int(values["step"])
        return self.saved_step
