"""Terms with a head of their own on the student's features."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from histobridge.core.segment.terms.base import Scene, Student, Term
from histobridge.core.segment.terms.features import Taps
from histobridge.core.segment.terms.term_settings import Settings

LEARNING_RATE = 1e-3
"""AdamW learning rate of the heads."""


class Headed(Term):
    """A term whose head learns from the same loss as the student; it is left behind when training ends.

    Parameters
    ----------
    settings : Settings
    student : Student
    head : callable
        Makes the head from the taps of the student, with the random state seeded.
    """

    nets: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, settings: Settings, student: Student, head: Callable[[Taps], nn.Module]):
        super().__init__(settings, student)
        self.taps = Taps(student.net)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(student.seed)
            self.nets = head(self.taps).to(student.device)
        self.optimizer = torch.optim.AdamW(self.nets.parameters(), LEARNING_RATE)

    def bottleneck(self, scene: Scene, image: torch.Tensor) -> torch.Tensor:
        """Features (N, C, Y, X) of the student's bottleneck."""
        return self.taps.read(scene.net, image, self.taps.bottleneck)[0]

    def after_step(self, scene: Scene) -> dict[str, float]:
        """Take the head's step on the gradient that the loss has left."""
        del scene
        self.optimizer.step()
        return {}


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers with rectifiers between: (N, first width) to (N, last width)."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
