"""What a term sees of a training step, and what it may keep."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from histobridge.core.checkpoint import optimizer_tensors, part, prefixed, restore_optimizer
from histobridge.core.errors import InputError
from histobridge.core.segment.crops import Look
from histobridge.core.segment.terms.term_settings import Settings


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """A batch of crops without labels.

    Parameters
    ----------
    weak, strong : torch.Tensor
        (N, 1, Y, X) float32 in [-1, 1]: the same pixels as they are, and with another look.
    place : torch.Tensor
        (N, 3) int64: number of the tile in the pool, first row, first column. Crops are not turned.
    """

    weak: torch.Tensor
    strong: torch.Tensor
    place: torch.Tensor

    def to(self, device: torch.device) -> "Unlabelled":
        """Move to a device."""
        return Unlabelled(self.weak.to(device), self.strong.to(device), self.place.to(device))


class Scene:
    """One training step as its terms see it; what is computed by one is there for the others.

    Parameters
    ----------
    net : nn.Module
        The student: maps (N, 1, Y, X) to (N, K, Y, X) logits.
    average : nn.Module
        Running average of its weights, in eval mode; the teacher.
    step, steps : int
        This step, counted from 1, of so many.
    labelled : tuple of torch.Tensor
        Image (N, 1, Y, X), labels (N, Y, X) int64 with 255 unlabelled, weight (N, Y, X).
    unlabelled : Unlabelled or None
        None where the training has none; terms that need it say so.
    """

    def __init__(
        self,
        net: nn.Module,
        average: nn.Module,
        progress: tuple[int, int],
        labelled: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        unlabelled: Unlabelled | None,
    ):
        self.net, self.average = net, average
        self.step, self.steps = progress
        self.image, self.labels, self.weight = labelled
        self._unlabelled = unlabelled

    @property
    def unlabelled(self) -> Unlabelled:
        """The crops without labels; only for terms that need them."""
        if self._unlabelled is None:
            raise InputError("terms: this one learns from images without labels, and there are none")
        return self._unlabelled

    @cached_property
    def logits(self) -> torch.Tensor:
        """Of the labelled images, with gradient."""
        logits: torch.Tensor = self.net(self.image)
        return logits

    @cached_property
    def logits_weak(self) -> torch.Tensor:
        """Of the images without labels as they are, with gradient."""
        logits: torch.Tensor = self.net(self.unlabelled.weak)
        return logits

    @cached_property
    def logits_strong(self) -> torch.Tensor:
        """Of the images without labels in another look, with gradient."""
        logits: torch.Tensor = self.net(self.unlabelled.strong)
        return logits

    @cached_property
    def taught(self) -> torch.Tensor:
        """What the teacher says of the images as they are: probabilities (N, K, Y, X), without gradient."""
        with torch.no_grad():
            probabilities: torch.Tensor = self.average(self.unlabelled.weak).softmax(dim=1)
        return probabilities


@dataclass(frozen=True, slots=True)
class Student:
    """The network that terms are made for.

    Parameters
    ----------
    net : nn.Module
        On the device it is trained on.
    channels : int
        K, its classes with background.
    seed : int
        Of the weights of networks that terms own.
    look : callable, optional
        ``look(image, rng)`` gives a labelled crop the look of the other domain; none: the training has no translator.
    tiles : tuple of tuple of int
        Shape (Y, X) of every tile of the pool.
    said : mapping of int to ndarray
        Of tiles of the pool, by number, what was proposed there before the training: probabilities (K, Y, X).
    """

    net: nn.Module
    channels: int
    seed: int
    look: Look | None = None
    tiles: tuple[tuple[int, int], ...] = ()
    said: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.net.parameters()).device


class Term:
    """A part of the loss beside the supervised one.

    A term may own networks (`nets`); they are trained by their own optimizer, saved and resumed with the training.

    Parameters
    ----------
    settings : Settings
        Its weight and ramp.
    student : Student
        What it is made for; few terms need to know.
    """

    needs_unlabelled = True
    nets: nn.Module | None = None
    optimizer: torch.optim.Optimizer | None = None

    def __init__(self, settings: Settings, student: Student):
        del student
        self.name, self.weight, self.ramp = settings.kind, settings.weight, settings.ramp

    def share(self, step: int, steps: int) -> float:
        """Weight at a step, counted from 1."""
        return self.weight * self.risen(step, steps)

    def risen(self, step: int, steps: int) -> float:
        """Share of the ramp's height at a step: exp(-5 (1 - t)^2), t the share of the ramp that is done."""
        done = min(1.0, step / (self.ramp * steps)) if self.ramp > 0 else 1.0
        return math.exp(-5 * (1 - done) ** 2)

    def loss(self, scene: Scene) -> torch.Tensor:
        """Scalar, with a gradient for the student; also for own networks that learn from it."""
        raise NotImplementedError

    def after_step(self, scene: Scene) -> dict[str, float]:
        """Do what is due when the student has learned, such as own networks' steps; returns numbers to show."""
        del scene
        return {}

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a resumed training needs."""
        kept: dict[str, torch.Tensor] = {}
        if self.nets is not None:
            kept |= prefixed("nets", self.nets.state_dict())
        if self.optimizer is not None:
            kept |= prefixed("optimizer", optimizer_tensors(self.optimizer))
        return kept

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `tensors` returned."""
        if self.nets is not None:
            self.nets.load_state_dict(part("nets", tensors))
        if self.optimizer is not None:
            restore_optimizer(self.optimizer, part("optimizer", tensors))
