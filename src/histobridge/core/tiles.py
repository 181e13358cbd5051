"""The grid of editable windows on an image."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]
"""Rows and columns in absolute pixels, both with start and stop."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One editable window.

    Parameters
    ----------
    row, column : int
        Place on the grid, from 0.
    window : tuple of slice
        Absolute pixels (Y, X).
    """

    row: int
    column: int
    window: Window

    @property
    def id(self) -> str:
        """Name in the journal and the worklist, such as ``r000c001``."""
        return f"r{self.row:03d}c{self.column:03d}"

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        rows, columns = self.window
        return rows.stop - rows.start, columns.stop - columns.start


@lru_cache(maxsize=256)
def tile_grid(shape: tuple[int, int], tile: int = 1024, overlap: int = 128) -> tuple[Tile, ...]:
    """Cover an image with overlapping tiles, row by row.

    An axis not longer than `tile` is covered by one tile; else all tiles are `tile` long and the last is shifted to end
    at the border of the image.

    Parameters
    ----------
    shape : tuple of int
        Image (Y, X) in pixels.
    tile : int
        Side of a tile in pixels.
    overlap : int
        Pixels that neighbours share, at least; less than `tile`.

    Returns
    -------
    tuple of Tile
    """
    rows, columns = (_spans(length, tile, overlap) for length in shape)
    return tuple(Tile(r, c, (row, column)) for r, row in enumerate(rows) for c, column in enumerate(columns))


def tile_of(tiles: tuple[Tile, ...], y: float, x: float) -> Tile:
    """Find the one tile that owns a pixel or centroid: the one whose centre is nearest, the earlier of two.

    Parameters
    ----------
    tiles : tuple of Tile
        A whole grid from `tile_grid`.
    y, x : float
        Absolute pixels inside the image.

    Raises
    ------
    ValueError
        If the point lies outside all tiles.
    """
    grid = {(tile.row, tile.column): tile for tile in tiles}
    row = _nearest([(tile.row, tile.window[0]) for tile in tiles if tile.column == 0], y)
    column = _nearest([(tile.column, tile.window[1]) for tile in tiles if tile.row == 0], x)
    return grid[row, column]


def own_window(tiles: tuple[Tile, ...], tile: Tile) -> Window:
    """Return the pixels that `tile_of` gives to a tile; those of all tiles cover the image, each pixel once.

    Parameters
    ----------
    tiles : tuple of Tile
        A whole grid from `tile_grid`.
    tile : Tile
        One of them.
    """
    rows = _own([(each.row, each.window[0]) for each in tiles if each.column == 0], tile.row)
    columns = _own([(each.column, each.window[1]) for each in tiles if each.row == 0], tile.column)
    return rows, columns


def starts(length: int, tile: int, overlap: int) -> NDArray[np.intp]:
    """First pixels of the tiles along one axis, the last one such that its tile ends at `length`."""
    if not 0 <= overlap < tile or length < 1:
        raise ValueError(f"tiles of {tile} px cannot overlap by {overlap} px over {length} px")
    if length <= tile:
        return np.zeros(1, dtype=np.intp)
    regular = np.arange(0, length - tile, tile - overlap)
    return np.append(regular, length - tile)


def _spans(length: int, tile: int, overlap: int) -> list[slice]:
    return [slice(int(start), int(min(start + tile, length))) for start in starts(length, tile, overlap)]


def _nearest(spans: list[tuple[int, slice]], position: float) -> int:
    inside = [
        (abs(position - (span.start + span.stop - 1) / 2), index)
        for index, span in spans
        if span.start <= position < span.stop
    ]
    if not inside:
        raise ValueError(f"position {position} lies outside the image")
    return min(inside)[1]


def _own(spans: list[tuple[int, slice]], index: int) -> slice:
    """Cut the span of one tile half-way to the centres of its neighbours."""
    span = dict(spans)
    doubled = {number: each.start + each.stop - 1 for number, each in span.items()}
    first = (doubled[index - 1] + doubled[index]) // 4 + 1 if index - 1 in span else span[index].start
    stop = (doubled[index] + doubled[index + 1]) // 4 + 1 if index + 1 in span else span[index].stop
    return slice(first, stop)


def overlap(first: Window, second: Window) -> bool:
    """Whether two windows of one image share a pixel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))
