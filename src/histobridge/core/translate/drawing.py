"""Translators that draw random numbers: others for each image and direction, the same ones for each of its windows."""

from collections.abc import Mapping
from copy import copy
from typing import Self

from torch import nn

from histobridge.core.config import Direction
from histobridge.core.translate.base import Image, Look
from histobridge.core.translate.card import TranslatorCard
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.noise_field import NoiseField


class Drawing(CycleGan):
    """A translator whose noise belongs to places of one image; see `CycleGan`.

    Parameters
    ----------
    generators : mapping of direction to nn.Module
    instant : Instant
    card : TranslatorCard
        Its seed is that of the noise, together with the look of the image.
    """

    def __init__(self, generators: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        super().__init__(generators, instant, card)
        self.noise = NoiseField(card.config.seed)

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop with the noise of its image; see `Translator.translate`."""
        return CycleGan.translate(self.drawn_for(look), image, direction, look, origin)

    def drawn_for(self, look: Look) -> Self:
        """Return the same translator with the noise of the image that has this look."""
        drawn = copy(self)
        drawn.noise = self.noise.of_image(look)
        return drawn


def stream_of(direction: Direction, step: int, steps: int) -> int:
    """Number of the noise of a step: there and back draw apart, else what comes back would know the way there."""
    return step if direction == "source_to_target" else steps + step
