"""Whether the tiles of a translation join: seams, and dependence on where the grid lies."""

from dataclasses import dataclass

import numpy as np

from histobridge.core.base_config import Direction
from histobridge.core.translate.base import Image, Look, Translator, translate_window

AWAY = range(6, 10)
"""Pixels from a border at which the steps of the image itself are measured."""


@dataclass(frozen=True, slots=True)
class TilingScore:
    """How well tiles join.

    Parameters
    ----------
    seam_ratio : float
        Step across tile borders over the steps 6 to 9 px away; 1 is no seam.
    mismatch : float
        Largest difference, in grey values of [-1, 1], between two grids of tiles half a tile apart.
    """

    seam_ratio: float
    mismatch: float


def seam_ratio(image: Image, tile_px: int, start: int = 0) -> float:
    """Compare the steps across tile borders with those nearby.

    Parameters
    ----------
    image : array, (Y, X) float32
        Put together from tiles.
    tile_px : int
        Side of a tile, at least 20 px.
    start : int
        Where the first border lies; 0: at the first multiple of `tile_px`.

    Returns
    -------
    float
        Mean absolute step across borders over that 6 to 9 px away; 1 where the image has no borders or is constant.
    """
    across, nearby = [], []
    for view in (image, image.T):
        steps = np.abs(np.diff(view.astype(np.float64), axis=0)).mean(axis=1)
        for border in range(start or tile_px, view.shape[0], tile_px):
            around = [border - 1 + sign * away for away in AWAY for sign in (-1, 1)]
            across.append(steps[border - 1])
            nearby += [steps[place] for place in around if 0 <= place < len(steps)]
    usual = float(np.mean(nearby)) if nearby else 0.0
    return float(np.mean(across)) / usual if usual > 0 else 1.0


def translate_tiled(
    translator: Translator, image: Image, direction: Direction, look: Look, tile_px: int, shift: int = 0
) -> Image:
    """Translate a whole image in tiles of `tile_px`, the grid moved by `shift` px up and left."""
    whole = np.empty_like(image)
    shape = (image.shape[0], image.shape[1])
    for row in range(-shift, shape[0], tile_px):
        for column in range(-shift, shape[1], tile_px):
            tile = (
                slice(max(0, row), min(row + tile_px, shape[0])),
                slice(max(0, column), min(column + tile_px, shape[1])),
            )
            whole[tile] = translate_window(translator, lambda part: image[part], shape, tile, direction, look)
    return whole


def tiling_score(
    translator: Translator, image: Image, direction: Direction, look: Look, tile_px: int = 64
) -> TilingScore:
    """Translate an image in two grids of tiles and compare.

    Parameters
    ----------
    translator : Translator
    image : array, (Y, X) float32
        In [-1, 1], larger than a tile.
    direction : {"source_to_target", "target_to_source"}
    look : array, (257,) float32
        Grey quantiles of the image.
    tile_px : int

    Returns
    -------
    TilingScore
    """
    one = translate_tiled(translator, image, direction, look, tile_px)
    other = translate_tiled(translator, image, direction, look, tile_px, tile_px // 2)
    return TilingScore(seam_ratio(one, tile_px), float(np.abs(one - other).max()))
