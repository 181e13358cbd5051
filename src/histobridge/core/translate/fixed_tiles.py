"""The same few tiles of both domains, translated there and back again and again while a translator trains."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.base_config import Direction, Domain
from histobridge.core.translate.base import Image, to_levels
from histobridge.core.translate.crops import ImageCrops
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learner import TrainedTranslator
from histobridge.core.translate.quality.spectrum import spectrum_distance
from histobridge.core.translate.quality.upright import upright

TILES = 4
"""Of each domain."""

WAYS: tuple[tuple[Domain, Direction, Domain, Direction], ...] = (
    ("source", "source_to_target", "target", "target_to_source"),
    ("target", "target_to_source", "source", "source_to_target"),
)
"""Where a way starts, how it goes, where it leads, and how it goes back."""


class FixedTiles:
    """Tiles that stay the same during one training, so that pictures and numbers of its steps can be compared.

    Parameters
    ----------
    crops : mapping of domain to ImageCrops
        The tiles are the first that each draws; with target looks.
    instant : Instant
        Puts the look of the source on what is shown of it.

    Attributes
    ----------
    upright : float
        Of the last look: how surely dark stays dark in the direction that does so less; see `quality.upright`.
    """

    upright = 1.0

    def __init__(self, crops: Mapping[Domain, ImageCrops], instant: Instant):
        self._instant = instant
        self._tiles = {domain: [each.draw()[0, 0].numpy() for _ in range(TILES)] for domain, each in crops.items()}

    def look(self, translator: TrainedTranslator) -> tuple[dict[str, NDArray[np.uint8]], dict[str, float]]:
        """Translate all tiles there and back.

        Parameters
        ----------
        translator : TrainedTranslator

        Returns
        -------
        pictures : dict of array, (`TILES` * Y, 3 * X) uint8
            ``source_to_target`` and ``target_to_source``: a row for each tile, of the tile, its translation, and what
            comes back of that.
        numbers : dict of float
            ``tiles/source back`` and ``tiles/target back``: mean absolute difference of grey values in [-1, 1] between
            tiles and what comes back. ``tiles/to target`` and ``tiles/to source``: mean absolute difference of the log
            power spectra of translations and real tiles; see `spectrum_distance`.
        """
        pictures: dict[str, NDArray[np.uint8]] = {}
        kept: list[float] = []
        numbers: dict[str, float] = {}
        for start, there, goal, homewards in WAYS:
            tiles = self._tiles[start]
            fakes = [translator.generate(tile, there) for tile in tiles]
            back = [translator.generate(fake, homewards) for fake in fakes]
            shown = zip(self._eyed(tiles, start), self._eyed(fakes, goal), self._eyed(back, start), strict=True)
            pictures[there] = to_levels(np.concatenate([np.concatenate(each, axis=1) for each in shown]))
            numbers[f"tiles/{start} back"] = float(np.abs(np.stack(tiles) - np.stack(back)).mean())
            numbers[f"tiles/to {goal}"] = spectrum_distance(self._tiles[goal], fakes)
            kept.append(upright(fakes, tiles))
        self.upright = min(kept)
        return pictures, numbers

    def _eyed(self, images: Sequence[Image], domain: Domain) -> list[Image]:
        """Put the look of a domain on images with target looks, for the eye."""
        if domain == "target":
            return list(images)
        return [self._instant.translate(image, "target_to_source", self._instant.target_look) for image in images]
