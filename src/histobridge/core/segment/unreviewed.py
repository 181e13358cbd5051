"""Parts of the target that nobody has reviewed, for terms of fine-tuning that learn without labels."""

from collections.abc import Sequence

import numpy as np

from histobridge.core.config import FineTuneConfig
from histobridge.core.holdout import ReviewedTile
from histobridge.core.images.working import Window, WorkingImage
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import overlap

POOL_TILES = 48
POOL_TILE_PX = 192
DRAWS = 20


def unreviewed_pool(
    model: TargetModel, reviewed: Sequence[ReviewedTile], config: FineTuneConfig, augmentation: float
) -> TilePool:
    """Draw tiles of the target as `model` sees them, from all images alike, where nothing is reviewed.

    Parameters
    ----------
    model : TargetModel
    reviewed : sequence of ReviewedTile
        Where not to look; if an image has nothing else, it gives nothing.
    config : FineTuneConfig
        Size of the crops, seed.
    augmentation : float
        Strength of the strong view's change of look, in [0, 1].

    Returns
    -------
    TilePool

    Raises
    ------
    InputError
        If all of the target is reviewed.
    """
    rng = np.random.default_rng(config.seed + 3)
    images = [(record.id, model.working_image(record.id)) for record in model.project.images("target")]
    tiles = []
    for number in range(POOL_TILES):
        name, image = images[number % len(images)]
        taken = [_scaled(tile.window, image.zoom) for tile in reviewed if tile.image == name]
        window = _free(image, taken, rng)
        if window is not None:
            tiles.append(model.read(image, window))
    return TilePool(tiles, config.crop_px, augmentation, config.seed + 2)


def _free(image: WorkingImage, taken: list[Window], rng: np.random.Generator) -> Window | None:
    """Draw a window that touches nothing that is taken; none if twenty do."""
    sides = [min(POOL_TILE_PX, size) for size in image.shape]
    for _ in range(DRAWS):
        corners = [int(rng.integers(0, size - side + 1)) for size, side in zip(image.shape, sides, strict=True)]
        rows, columns = (slice(corner, corner + side) for corner, side in zip(corners, sides, strict=True))
        if not any(overlap((rows, columns), window) for window in taken):
            return rows, columns
    return None


def _scaled(window: Window, zoom: float) -> Window:
    rows, columns = (slice(int(part.start * zoom), int(np.ceil(part.stop * zoom))) for part in window)
    return rows, columns
