"""Translators that need no training: none at all, and polarity with a map of grey values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histobridge.core.config import Direction
from histobridge.core.translate.base import BOTH_DIRECTIONS, Image, Look, as_look, check_direction


@dataclass(frozen=True)
class Identity:
    """Leaves images as they are."""

    name: str = "identity"
    directions: frozenset[Direction] = BOTH_DIRECTIONS
    halo: int = 0
    alignment: int = 1

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Return `image`; see `Translator.translate`."""
        check_direction(self, direction)
        return image


class Instant:
    """Polarity and quantile map: the grey values of an image take the distribution of the other domain.

    Parameters
    ----------
    invert : bool
        Whether dark in one domain is bright in the other.
    source_look, target_look : array_like, (257,)
        Grey quantiles of each domain in its own polarity, in [-1, 1].
    """

    name = "instant"
    directions = BOTH_DIRECTIONS
    halo = 0
    alignment = 1

    def __init__(self, invert: bool, source_look: ArrayLike, target_look: ArrayLike):
        self.invert = invert
        self.source_look: Look = as_look(source_look)
        self.target_look: Look = as_look(target_look)

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Map the quantiles `look` of the whole image to those of the other domain; see `Translator.translate`."""
        check_direction(self, direction)
        goal = self.target_look if direction == "source_to_target" else self.source_look
        levels, ranks = _ranks(look)
        if self.invert:
            ranks = 1 - ranks
        wanted = np.interp(ranks, np.linspace(0, 1, goal.size), goal)
        return np.interp(image, levels, wanted).astype(np.float32)


def _ranks(look: Look) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Distinct grey levels of a look and the rank of each in [0, 1]; a level that fills several takes their mean."""
    levels, place, count = np.unique(look, return_inverse=True, return_counts=True)
    ranks = np.bincount(place, np.linspace(0, 1, look.size)) / count
    return levels, ranks
