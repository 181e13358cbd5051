"""Pictures of what speaks against a translation: what it invents, and where its tiles can be seen."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from histobridge.core.translate.base import Image, to_levels
from histobridge.core.translate.quality.report import Seam
from histobridge.core.translate.quality.tiling import InTiles
from histobridge.core.translate.quality.verdict import MISMATCH, shows_seam

Evidence: TypeAlias = NDArray[np.uint8]
"""(Y, X, 3): rows of three square panels, one row for each crop."""

RED = (230, 60, 40)
YELLOW = (250, 200, 40)
OPAQUE = 0.75
TICK_PX = 10


def structure_picture(
    images: Sequence[Image], returned: Sequence[Image], changes: Sequence[NDArray[np.float32]]
) -> Evidence:
    """Show where translation invents structures or loses them.

    Parameters
    ----------
    images : sequence of array, (Y, X) float32
        Crops of the source, in [-1, 1].
    returned : sequence of array, (Y, X) float32
        What came back of each.
    changes : sequence of array, (Y, X) float32
        The `hallucination_map` of each.

    Returns
    -------
    array, (N * S, 3 * S, 3) uint8
        Each crop, what came back of it, and the crop with red over what the segmenter takes for something else, the
        redder the surer it is; S is the longest side of any.
    """
    rows = [
        (_grey(image), _grey(back), _stained(image, change))
        for image, back, change in zip(images, returned, changes, strict=True)
    ]
    return _together(rows)


def tile_picture(ways: Sequence[InTiles]) -> Evidence:
    """Show where the tiles of a translation can be seen.

    Parameters
    ----------
    ways : sequence of InTiles
        One for each direction.

    Returns
    -------
    array, (N * S, 3 * S, 3) uint8
        For each direction a crop, its translation in tiles, and the same with red over what depends on where the grid
        lies, fully red where the difference can just be seen; where a seam can be seen, yellow ticks at both ends of
        the worst border.
    """
    rows = []
    for way in ways:
        stained = _stained(way.one, np.minimum(np.abs(way.one - way.other) / MISMATCH, 1))
        if way.joined.worst is not None and shows_seam(way.joined):
            _tick(stained, way.joined.worst)
        rows.append((_grey(way.image), _grey(way.one), stained))
    return _together(rows)


def _grey(image: Image) -> Evidence:
    """Map [-1, 1] to three times 0 .. 255."""
    return np.repeat(to_levels(image)[..., None], 3, axis=2)


def _stained(image: Image, share: NDArray[np.floating]) -> Evidence:
    """Lay red over a grey image where `share` is not 0."""
    opacity = OPAQUE * share[..., None]
    stained: Evidence = np.rint((1 - opacity) * _grey(image) + opacity * np.array(RED)).astype(np.uint8)
    return stained


def _tick(picture: Evidence, seam: Seam) -> None:
    """Mark both ends of a border, in place."""
    lying = picture if seam.axis == "row" else picture.swapaxes(0, 1)
    for part in (slice(0, TICK_PX), slice(-TICK_PX, None)):
        lying[seam.at - 1 : seam.at + 1, part] = YELLOW


def _together(rows: Sequence[Sequence[Evidence]]) -> Evidence:
    """Put pictures into a grid of squares, smaller ones in the corner of theirs."""
    side = max(max(picture.shape[:2]) for row in rows for picture in row)
    whole = np.zeros((side * len(rows), side * len(rows[0]), 3), np.uint8)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            height, width = picture.shape[:2]
            whole[down * side :, across * side :][:height, :width] = picture
    return whole
