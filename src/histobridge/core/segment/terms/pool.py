"""Crops without labels, drawn from a pool of tiles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histobridge.core.errors import InputError
from histobridge.core.segment.augment import change_look
from histobridge.core.segment.crops import Look
from histobridge.core.segment.terms.base import Unlabelled


class TilePool:
    """Draws pairs of views of crops without labels, all tiles equally often in the mean.

    Parameters
    ----------
    tiles : sequence of ndarray
        (Y, X) float32 in [-1, 1] at the working scale, of any size.
    crop_px : int
        Side of a crop; smaller tiles are mirrored up to it.
    strength : float
        Of the strong view's change of look, in [0, 1], see `change_look`.
    seed : int
        Of all that is drawn.
    look : callable, optional
        Gives labelled crops the look of the other domain, for the terms that translate.
    said : mapping of int to ndarray, optional
        What was proposed for a tile, by its number: probabilities (K, Y, X), for the terms that begin with them.

    Raises
    ------
    InputError
        If there are no tiles.
    """

    def __init__(
        self,
        tiles: Sequence[NDArray[np.float32]],
        crop_px: int,
        strength: float,
        seed: int,
        look: Look | None = None,
        said: Mapping[int, NDArray[np.floating]] | None = None,
    ):
        if not tiles:
            raise InputError("there are no images without labels to learn from; add target images first")
        self.tiles = tuple(_at_least(tile, crop_px) for tile in tiles)
        self.look = look
        self.said = {number: _at_least(of_tile, crop_px) for number, of_tile in (said or {}).items()}
        self._crop_px, self._strength = crop_px, strength
        self._rng = np.random.default_rng(seed)

    def batches(self, size: int) -> Iterator[Unlabelled]:
        """Yield batches of `size` crops forever."""
        while True:
            weak, strong, place = zip(*(self._draw() for _ in range(size)), strict=True)
            yield Unlabelled(
                torch.from_numpy(np.stack(weak)[:, None]).float(),
                torch.from_numpy(np.stack(strong)[:, None]).float(),
                torch.tensor(place, dtype=torch.int64),
            )

    def state(self) -> dict[str, Any]:
        """Return the random state as JSON values."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        self._rng.bit_generator.state = state

    def _draw(self) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, int, int]]:
        number = int(self._rng.integers(len(self.tiles)))
        tile = self.tiles[number]
        row, column = (int(self._rng.integers(0, size - self._crop_px + 1)) for size in tile.shape)
        weak = tile[row : row + self._crop_px, column : column + self._crop_px]
        strong = change_look(weak, self._strength, self._rng)
        return weak, strong, (number, row, column)


def _at_least(tile: NDArray[np.floating], side: int) -> NDArray[np.floating]:
    """Mirror a tile (..., Y, X) up to a size."""
    missing = [max(0, side - size) for size in tile.shape[-2:]]
    if not any(missing):
        return tile
    around = [(0, 0)] * (tile.ndim - 2) + [(lack // 2, lack - lack // 2) for lack in missing]
    return np.pad(tile, around, mode="symmetric")
