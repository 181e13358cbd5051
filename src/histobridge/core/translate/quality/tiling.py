"""Whether the tiles of a translation join: seams, and dependence on where the grid lies."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from histobridge.core.base_config import Direction
from histobridge.core.translate.base import Image, Look, Translator, WorksInTiles, translate_window
from histobridge.core.translate.quality.report import Seam, Tiling

AWAY = range(6, 10)
"""Pixels from a border at which the steps of the image itself are measured."""
SMALLEST_TILE = 20
HALF_A_LEVEL = 1 / 255
"""Of values in [-1, 1]; added to both steps, so that rounding in an even image is no seam."""

Axis = Literal["row", "column"]


def seam_ratio(image: Image, tile_px: int) -> float:
    """Compare the steps across tile borders with those nearby.

    Parameters
    ----------
    image : array, (Y, X) float32
        Put together from tiles.
    tile_px : int
        Side of a tile, at least 20 px; borders lie at its multiples.

    Returns
    -------
    float
        Mean absolute step across borders over that 6 to 9 px away, to both of which half a grey level is added; 1 where
        the image has no borders.
    """
    found = list(_steps(image, tile_px))
    if not found:
        return 1.0
    across, nearby = (float(np.mean([steps[side] for *_, steps in found])) for side in (0, 1))
    return _over(across, nearby)


def worst_seam(image: Image, tile_px: int) -> Seam | None:
    """Find the border between tiles that is seen best.

    Parameters
    ----------
    image : array, (Y, X) float32
        Put together from tiles.
    tile_px : int
        See `seam_ratio`.

    Returns
    -------
    Seam or None
        None where the image has no borders.
    """
    seams = [Seam(ratio=_over(*steps), axis=axis, at=at) for axis, at, steps in _steps(image, tile_px)]
    return max(seams, key=lambda seam: seam.ratio, default=None)


def _over(across: float, nearby: float) -> float:
    return (across + HALF_A_LEVEL) / (nearby + HALF_A_LEVEL)


def _steps(image: Image, tile_px: int) -> Iterator[tuple[Axis, int, tuple[float, float]]]:
    """Mean absolute step across each border, and near it."""
    axes: tuple[tuple[Axis, Image], ...] = (("row", image), ("column", image.T))
    for axis, view in axes:
        steps = np.abs(np.diff(view.astype(np.float64), axis=0)).mean(axis=1)
        for border in range(tile_px, view.shape[0], tile_px):
            around = [border - 1 + sign * away for away in AWAY for sign in (-1, 1)]
            nearby = [steps[place] for place in around if 0 <= place < len(steps)]
            yield axis, border, (float(steps[border - 1]), float(np.mean(nearby)))


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


def translate_moved(translator: Translator, image: Image, direction: Direction, look: Look) -> Image:
    """Translate a whole image with the translator's own grid of tiles moved by half a step up and left.

    Places keep their noise; the image is continued by its reflection.
    """
    by = translator.alignment // 2
    moved = np.pad(image, [(by, 0), (by, 0)], mode="reflect")
    return translator.translate(moved, direction, look, (-by, -by))[by:, by:]


class InTiles(NamedTuple):
    """One image and its translation in two grids of tiles."""

    image: Image
    """(Y, X), not translated."""

    one: Image
    """Translated in a grid that starts in its corner."""

    other: Image
    """And in one that is moved by half a tile: by half of the translator's own where it works in such."""

    joined: Tiling
    """How the tiles join."""


def in_tiles(translator: Translator, image: Image, direction: Direction, look: Look, tile_px: int = 64) -> InTiles:
    """Translate an image in two grids of tiles and compare.

    Seams are looked for where tiles of `tile_px` meet, and where tiles of the translator's own do if it has any. These
    may fade into each other, so that no step is left between them: that they differ is seen where the grid is moved.

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
    InTiles
    """
    one = translate_tiled(translator, image, direction, look, tile_px)
    if isinstance(translator, WorksInTiles):
        other = translate_moved(translator, image, direction, look)
    else:
        other = translate_tiled(translator, image, direction, look, tile_px, tile_px // 2)
    own = translator.alignment
    grid = max((tile_px, own) if own >= SMALLEST_TILE else (tile_px,), key=lambda grid: seam_ratio(one, grid))
    apart = np.abs(one - other)
    joined = Tiling(
        seam_ratio=seam_ratio(one, grid),
        before=seam_ratio(image, grid),
        mismatch=float(apart.max()),
        mean_mismatch=float(apart.mean()),
        own_grid=isinstance(translator, WorksInTiles),
        worst=worst_seam(one, grid),
    )
    return InTiles(image, one, other, joined)
