"""Parts of the target that nobody has reviewed, for terms of fine-tuning that learn without labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import FineTuneConfig
from histobridge.core.holdout import ReviewedTile
from histobridge.core.images.working import Window, WorkingImage, majority, resampling_matrix
from histobridge.core.manifest import ImageRecord
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import overlap

POOL_TILES = 48
POOL_TILE_PX = 192
DRAWS = 20


def unreviewed_pool(
    model: TargetModel, reviewed: Sequence[ReviewedTile], config: FineTuneConfig, augmentation: float, proposals: str
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
    proposals : str
        Run whose proposals are what was said of the tiles so far; empty: nothing was.

    Returns
    -------
    TilePool

    Raises
    ------
    InputError
        If all of the target is reviewed.
    """
    rng = np.random.default_rng(config.seed + 3)
    images = [(record, model.working_image(record.id)) for record in model.project.images("target")]
    tiles: list[NDArray[np.float32]] = []
    said: dict[int, NDArray[np.floating]] = {}
    for number in range(POOL_TILES):
        record, image = images[number % len(images)]
        taken = [_scaled(tile.window, image.zoom) for tile in reviewed if tile.image == record.id]
        window = _free(image, taken, rng)
        if window is not None:
            if proposals and has_proposal(model.project, proposals, record.id):
                said[len(tiles)] = _said(model, record, image.zoom, window, proposals)
            tiles.append(model.read(image, window))
    return TilePool(tiles, config.crop_px, augmentation, config.seed + 2, said=said)


def _said(model: TargetModel, record: ImageRecord, zoom: float, window: Window, proposals: str) -> NDArray[np.floating]:
    """Probabilities (K, Y, X) of a proposal at the working scale: its confidence, the rest for the others alike."""
    rows, row_range = resampling_matrix(window[0], zoom, record.shape[0])
    columns, column_range = resampling_matrix(window[1], zoom, record.shape[1])
    classes, confidence = read_proposal(model.project, proposals, record.id, (row_range, column_range))
    card = model.segmenter.card
    channels = card.to_channels(majority(classes, rows, columns))
    sure = np.asarray((columns @ (rows @ (confidence / 255)).T).T)
    known = np.arange(1 + len(card.values))[:, None, None]
    return np.where(channels == known, sure, (1 - sure) / len(card.values)).astype(np.float16)


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
