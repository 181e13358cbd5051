"""A trained pair of generators, of CycleGAN, CUT or FastCUT, as a translator."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from histobridge.core.config import Direction
from histobridge.core.device import choose_device
from histobridge.core.translate.base import BOTH_DIRECTIONS, Image, Look, check_direction
from histobridge.core.translate.card import TranslatorCard, instant_of, read_card, read_weights, write_translator
from histobridge.core.translate.generators import generator_of
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.networks import STRIDE
from histobridge.core.translate.norms import with_fixed_norms

SMALLEST = 2 * STRIDE


class CycleGan:
    """Instant translation refined by a generator a direction.

    The networks live in the space of target looks: source images pass the instant translator first, and translated
    target images pass its inverse last. With generators that change nothing it is the instant translator.

    Parameters
    ----------
    generators : mapping of direction to nn.Module
        Map (N, 1, Y, X) in [-1, 1] to the same; fixed norms wherever tiles shall join.
    instant : Instant
    card : TranslatorCard
    """

    directions = BOTH_DIRECTIONS
    alignment = STRIDE

    def __init__(self, generators: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        self.generators = {direction: net.eval() for direction, net in generators.items()}
        self.instant = instant
        self.card = card
        self.halo = card.halo

    @property
    def name(self) -> str:
        """The run that trained it, or the method."""
        return self.card.run or self.card.method

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop; see `Translator.translate`."""
        return self._in_looks(image, direction, look, lambda seen: self.generate(seen, direction, origin))

    def _in_looks(self, image: Image, direction: Direction, look: Look, generate: Callable[[Image], Image]) -> Image:
        """Give a generator what it knows, images with the look of the target, and their own look to what it makes."""
        check_direction(self, direction)
        if direction == "source_to_target":
            return generate(self.instant.translate(image, direction, look))
        return self.instant.translate(generate(image), direction, look)

    @torch.no_grad()
    def generate(self, image: Image, direction: Direction, origin: tuple[int, int] = (0, 0)) -> Image:
        """Apply one generator to (Y, X) with target looks; sizes that do not fit its strides are reflected to fit."""
        extra = [max(SMALLEST, -(-size // STRIDE) * STRIDE) - size for size in image.shape]
        padded = np.pad(image, [(0, count) for count in extra], mode="reflect") if any(extra) else image
        device = next(self.generators[direction].parameters()).device
        x = torch.from_numpy(np.ascontiguousarray(padded, dtype=np.float32)).to(device)
        translated: Image = self.apply(x[None, None], direction, origin)[0, 0].cpu().numpy()
        return translated[: image.shape[0], : image.shape[1]]

    def apply(self, x: Tensor, direction: Direction, origin: tuple[int, int]) -> Tensor:
        """Apply one generator to (1, 1, Y, X) whose first pixel is at `origin`."""
        translated: Tensor = self.generators[direction](x)
        return translated

    def save(self, folder: Path) -> None:
        """Write ``translator.safetensors`` and, last, ``translator.json`` into `folder`."""
        self.card = write_translator(folder, self.generators, self.card)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            Of the run that trained it.
        device : {"auto", "cpu", "cuda"}

        Raises
        ------
        ProjectError
            If a file is missing, damaged, of another version, or does not fit the other; names the file.
        """
        card = read_card(folder)
        generators: dict[Direction, nn.Module] = {direction: cls.empty(card) for direction in card.ways}
        read_weights(folder, card, generators)
        where = choose_device(device)
        return cls({direction: net.to(where) for direction, net in generators.items()}, instant_of(card), card)

    @staticmethod
    def empty(card: TranslatorCard) -> nn.Module:
        """Generator of the shape that a card tells, its weights to be read."""
        return with_fixed_norms(generator_of(card.config))
