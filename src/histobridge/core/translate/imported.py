"""Generators that were trained elsewhere, with instance norms: import them, and translate whole images with them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histobridge.core.config import Direction
from histobridge.core.job import Job, Progress
from histobridge.core.translate.base import Image, Look, Window, check_direction, translate_window
from histobridge.core.translate.card import TranslatorCard
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.generators import generator_of
from histobridge.core.translate.import_config import Spread
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.map_norms import Grid, Moments, Place, Statistics, norms_of, with_map_norms

IMAGES_KEPT = 8
"""Images whose statistics are remembered."""

EMPTY, FULL = 0.1, 0.9
"""A tile is empty if its grey values vary less than this share of what they do in the tile at this quantile."""

Read = Callable[[Window], Image]


class Imported(CycleGan):
    """Generators from elsewhere, between images as they are; see `CycleGan`.

    A crop alone is normalised by its own statistics. `translate_window` asks for `of_image` first.
    """

    def __init__(self, generators: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        self.place = Place()
        super().__init__({way: with_map_norms(net, self.place) for way, net in generators.items()}, instant, card)
        self.directions = frozenset(generators)
        self.spread: Spread = "interpolated" if card.spread == "interpolated" else "pooled"
        self._known: OrderedDict[tuple[Direction, tuple[int, int], bytes], Statistics] = OrderedDict()

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop by its own statistics."""
        check_direction(self, direction)
        return self.generate(image, direction, origin)

    def apply(self, x: Tensor, direction: Direction, origin: tuple[int, int]) -> Tensor:
        """Apply one generator to (1, 1, Y, X) whose first pixel is at `origin`."""
        self.place.crop, self.place.origin = (x.shape[2], x.shape[3]), origin
        return super().apply(x, direction, origin)

    def of_image(self, read: Read, shape: tuple[int, int], direction: Direction, look: Look) -> Job["OfImage"]:
        """Measure a whole image, unless that was done; return what translates windows of it.

        Parameters
        ----------
        read : callable
            Maps a window inside the image to (Y, X) float32 in [-1, 1].
        shape : tuple of int
            (Y, X) of the image.
        direction : {"source_to_target", "target_to_source"}
        look : array, (257,) float32
            Grey quantiles of the image; images of the same shape and look are taken for the same.

        Yields
        ------
        Progress
            After each tile that was measured.

        Returns
        -------
        OfImage
        """
        check_direction(self, direction)
        key = direction, shape, look.tobytes()
        if key not in self._known:
            self._known[key] = yield from self._measure(read, shape, direction, look)
            while len(self._known) > IMAGES_KEPT:
                self._known.popitem(last=False)
        return OfImage(self, direction, Grid(shape, self.card.tile_px), self._known[key])

    def _measure(self, read: Read, shape: tuple[int, int], direction: Direction, look: Look) -> Job[Statistics]:
        """Statistics of every layer in every tile.

        In the first sweep layers normalise tiles by themselves; each further one settles the next layer, which is then
        normalised as it will be used. Those behind it must not be settled yet: what they showed after layers that have
        changed since would not fit, and such misfits grow from layer to layer. Tiles without tissue count for nothing:
        a tile of the embedding resin, normalised by itself, is noise hundreds of times as strong as the tissue.
        """
        grid = Grid(shape, self.card.tile_px)
        rows, columns = grid.counts
        norms = norms_of(self.generators[direction])
        statistics: Statistics = {}
        deviations = [float(read(grid.window(*place)).std()) for place in product(range(rows), range(columns))]
        with_tissue = np.array(deviations) >= EMPTY * np.quantile(deviations, FULL)
        for sweep in range(self.card.sweeps):
            settled = {name: statistics[name] for name in list(norms)[:sweep]}
            seen = OfImage(self, direction, grid, settled)
            found: dict[str, list[tuple[Tensor, Tensor, int]]] = {name: [] for name in norms}
            for number, place in enumerate(product(range(rows), range(columns)), sweep * rows * columns + 1):
                seen.tile = grid.window(*place)
                translate_window(seen, read, shape, seen.tile, direction, look)
                for name, norm in norms.items():
                    found[name].append(norm.measured)
                yield Progress(number, self.card.sweeps * rows * columns, "measuring the whole image")
            statistics = {name: _table(tiles, grid, with_tissue) for name, tiles in found.items()}
        return statistics

    @staticmethod
    def empty(card: TranslatorCard) -> nn.Module:
        """Generator of the shape that a card tells, its weights to be read."""
        return generator_of(card.config)


@dataclass
class OfImage:
    """Imported generators with the statistics of one image; a `Translator` of that image alone.

    Parameters
    ----------
    of : Imported
    direction : {"source_to_target", "target_to_source"}
    grid : Grid
    statistics : mapping of str to Moments
        Empty: every crop by the statistics of `tile`.
    tile : Window, optional
        Is being measured.
    """

    of: Imported
    direction: Direction
    grid: Grid
    statistics: Statistics
    tile: Window | None = None

    def __post_init__(self) -> None:
        self.name, self.halo, self.alignment = self.of.name, self.of.halo, self.of.alignment
        self.directions = frozenset({self.direction})

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate a crop of the image; see `Translator.translate`."""
        place = self.of.place
        for name, norm in norms_of(self.of.generators[direction]).items():
            norm.moments = self.statistics.get(name)
        place.grid, place.tile = self.grid, self.tile
        place.spread = self.of.spread if self.statistics else None
        try:
            return self.of.translate(image, direction, look, origin)
        finally:
            place.tile = place.spread = None


def _table(tiles: list[tuple[Tensor, Tensor, int]], grid: Grid, with_tissue: NDArray[np.bool_]) -> Moments:
    """Arrange what was measured in each tile, row by row; where there is no tissue, of the nearest tile with some."""
    from scipy.ndimage import distance_transform_edt

    places = distance_transform_edt(~with_tissue.reshape(grid.counts), return_distances=False, return_indices=True)
    nearest = np.ravel_multi_index(tuple(places), grid.counts).ravel()
    means = torch.stack([tiles[tile][0] for tile in nearest], dim=1)
    variances = torch.stack([tiles[tile][1] for tile in nearest], dim=1)
    pixels = [float(count) if full else 0.0 for (_, _, count), full in zip(tiles, with_tissue, strict=True)]
    counts = torch.tensor(pixels, device=means.device)
    return Moments(
        means.unflatten(1, grid.counts), variances.unflatten(1, grid.counts), counts.unflatten(0, grid.counts)
    )
