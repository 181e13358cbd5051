"""Losses of adversarial translation, and the pool of earlier fakes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def least_squares(logits: Tensor, real: bool) -> Tensor:
    """Mean squared distance of the logits from 1 (real) or 0 (fake), the loss of LSGAN (arXiv 1611.04076).

    Parameters
    ----------
    logits : Tensor
        Of a discriminator, any shape.
    real : bool
        What the discriminator should have said.

    Returns
    -------
    Tensor
        Scalar, 0 or more.
    """
    return (logits - float(real)).square().mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Half the sum of what is wrong on real and on fake images: 0 when told apart, 0.25 when all say one half."""
    return 0.5 * (least_squares(real, True) + least_squares(fake, False))


def average_weight(step: int, limit: float, recency: float = 0.0) -> float:
    """Weight of the past in the running mean of the generators after `step` updates; rises to `limit`.

    Until then update k counts about as k^recency: all the same at 0 (Shamir and Zhang 2013, arXiv 1212.1824).
    """
    return min(1 - (1 + recency) / (step + 1 + recency), limit)


class FakePool:
    """Earlier fakes, so that a discriminator does not forget what it has learned to tell (arXiv 1612.07828).

    Parameters
    ----------
    size : int
        Fakes kept. Until it is full each fake is kept and returned; then, half of the time, one of the pool is
        returned and the new one takes its place.
    seed : int
    """

    def __init__(self, size: int = 50, seed: int = 0):
        self.size = size
        self.fakes: list[Tensor] = []
        self._random = np.random.default_rng(seed)

    def swap(self, fakes: Tensor) -> Tensor:
        """Hand in new fakes, (N, 1, Y, X), and get as many back, new or old; never with a gradient."""
        returned = []
        for fake in fakes.detach():
            if len(self.fakes) < self.size:
                self.fakes.append(fake)
            elif self._random.random() < 0.5:
                place = int(self._random.integers(self.size))
                fake, self.fakes[place] = self.fakes[place], fake
            returned.append(fake)
        return torch.stack(returned)

    def state(self) -> tuple[Tensor, dict[str, Any]]:
        """Fakes (N, 1, Y, X), N may be 0, and the random state, for a checkpoint."""
        fakes = torch.stack(self.fakes) if self.fakes else torch.zeros(0, 1, 1, 1)
        return fakes, dict(self._random.bit_generator.state)

    def restore(self, fakes: Tensor, random: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.fakes = list(fakes)
        self._random.bit_generator.state = random
