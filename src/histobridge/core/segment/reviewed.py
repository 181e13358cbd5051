"""What the reviewed tiles of the target have to teach: labels and weights at the working scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histobridge.core.holdout import ReviewedTile, within
from histobridge.core.images.working import Window, WorkingImage, majority, resampling_matrix
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.segment.crops import Field
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import Tile, overlap, own_window

RING_PX = 3
"""Working pixels around a stroke that count as looked at: who paints a border sees both of its sides."""

BORDER_PX = 2
"""Working pixels on either side of a class border where a proposal is least certain."""

BORDER_WEIGHT = 0.3
DECIDED_SHARE = 0.9


def is_reviewed(state: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the user has accepted or corrected, (Y, X) bool."""
    reviewed: NDArray[np.bool_] = (state == ACCEPTED) | (state == CORRECTED)
    return reviewed


def reviewed_tiles(project: Project) -> list[ReviewedTile]:
    """Find the tiles of the target in which something is reviewed.

    What lies in decided tiles belongs to those, any other reviewed pixel to one tile, see `tile_of`. A tile that has
    nothing of its own is not among them, unless it is accepted: what it shares teaches in its neighbours.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of ReviewedTile
        In the order of images and tiles.
    """
    values = [spec.value for spec in project.classes_of("target")]
    found = []
    for record in project.images("target"):
        store = project.labels(record.id)
        try:
            found += _reviewed_of(store, record, project.tiles(record), values)
        finally:
            store.close()
    return found


def _reviewed_of(
    store: LabelStore, record: ImageRecord, grid: tuple[Tile, ...], values: list[int]
) -> list[ReviewedTile]:
    places = list(store.corrections())
    tiles = [tile for tile in grid if any(overlap(tile.window, place) for place in places)]
    found = [tile for tile in (_look(store, record, tile, values) for tile in tiles) if tile is not None]
    accepted = [tile for tile in found if store.history(tile.tile).accepted]
    decided = [
        tile for tile in found if tile.decided and (tile in accepted or _own_share(store, tile, tile.window, accepted))
    ]
    belonging = {tile.id: own_window(grid, tile) for tile in tiles}
    begun = {
        tile.key: share
        for tile in found
        if not tile.decided and (share := _own_share(store, tile, belonging[tile.tile], decided))
    }
    return [replace(tile, share=begun.get(tile.key, 1.0)) for tile in found if tile in decided or tile.key in begun]


def _look(store: LabelStore, record: ImageRecord, tile: Tile, values: list[int]) -> ReviewedTile | None:
    classes, state = store.read(tile.window)
    reviewed = is_reviewed(state)
    if not reviewed.any():
        return None
    decided = store.history(tile.id).accepted or bool(reviewed.mean() >= DECIDED_SHARE)
    shows_class = bool(np.isin(classes[reviewed], values).any())
    return ReviewedTile(record.id, tile.id, record.subject, tile.window, decided, shows_class)


def _own_share(store: LabelStore, tile: ReviewedTile, own: Window, decided: Sequence[ReviewedTile]) -> float:
    """Share of a tile that is reviewed in its `own` pixels, those of decided tiles left out."""
    reviewed = is_reviewed(store.read(own)[1])
    for other in decided:
        reviewed[within(other.window, own)] = False
    rows, columns = tile.window
    size: int = (rows.stop - rows.start) * (columns.stop - columns.start)
    return np.count_nonzero(reviewed) / size


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What one tile teaches.

    Parameters
    ----------
    tile : ReviewedTile
    field : Field
        Image, labels (255 where nothing is known) and weights at the working scale.
    corner : tuple of int
        First working pixel (Y, X) of the field.
    zoom : float
        Working pixels per native pixel.
    """

    tile: ReviewedTile
    field: Field
    corner: tuple[int, int]
    zoom: float

    def without(self, image_id: str, window: Window) -> "Lesson":
        """Leave out every working pixel that sees one of these native pixels (Y, X) of an image."""
        if image_id != self.tile.image or not overlap(window, self.tile.window):
            return self
        hidden = tuple(
            slice(max(0, int(part.start * self.zoom) - 1 - first), max(0, int(part.stop * self.zoom) + 2 - first))
            for part, first in zip(window, self.corner, strict=True)
        )
        labels = self.field.labels.copy()
        labels[hidden] = IGNORE
        return replace(self, field=replace(self.field, labels=labels))

    @property
    def teaches(self) -> bool:
        """Whether a labelled pixel is left."""
        return bool((self.field.labels != IGNORE).any())


class Teacher:
    """Makes lessons of the tiles of one image.

    Reviewed pixels weigh 1, as does what is proposed within 3 working pixels of a stroke. Other pixels count where the
    proposal is confident, with the weight given, and 0.3 of it within 2 working pixels of a class border. All others
    are unlabelled.

    Parameters
    ----------
    model : TargetModel
        Whose view the lessons are given in, and whose channels the labels are.
    image_id : str
    proposals : str
        Run that proposed; empty: reviewed pixels alone.
    confidence : float
        What counts as confident, 0 to 1.
    weight : float
        Of a confident proposal.
    """

    def __init__(self, model: TargetModel, image_id: str, proposals: str, confidence: float, weight: float):
        self.model, self.confidence, self.weight = model, confidence, weight
        self.record = model.project.image(image_id)
        self.proposals = proposals if has_proposal(model.project, proposals, image_id) else ""
        self.image: WorkingImage = model.working_image(image_id)

    def lesson(self, store: LabelStore, tile: ReviewedTile) -> Lesson:
        """Read what a tile teaches."""
        zoom = self.image.zoom
        window = _working_window(tile.window, zoom, self.image.shape)
        rows, row_range = resampling_matrix(window[0], zoom, self.record.shape[0])
        columns, column_range = resampling_matrix(window[1], zoom, self.record.shape[1])
        labels, weight = self._native(store, (row_range, column_range))
        known = (labels != IGNORE).astype(np.float32)
        cover, weighed = (np.asarray((columns @ (rows @ part).T).T) for part in (known, known * weight))
        channels = self.model.segmenter.card.to_channels(majority(labels, rows, columns))
        weights = np.divide(weighed, cover, out=np.zeros(cover.shape, np.float32), where=cover > 0, dtype=np.float32)
        field = Field(self.model.read(self.image, window), channels, weights)
        return Lesson(tile, field, (window[0].start, window[1].start), zoom)

    def _native(self, store: LabelStore, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class values, 255 where nothing is known, and weights of a native window."""
        from scipy import ndimage

        classes, state = store.read(window)
        reviewed = is_reviewed(state)
        labels = np.where(reviewed, classes, IGNORE).astype(np.uint8)
        weight = np.ones(labels.shape, np.float32)
        if not self.proposals:
            return labels, weight
        proposed, confidence = read_proposal(self.model.project, self.proposals, self.record.id, window)
        ring = ndimage.binary_dilation(state == CORRECTED, iterations=self._native_px(RING_PX))
        open_to_proposals = ~reviewed & (state != IGNORED)
        trusted = open_to_proposals & (ring | (confidence >= self.confidence * 255))
        labels[trusted] = proposed[trusted]
        shown = np.where(reviewed, classes, proposed)
        side = 2 * self._native_px(BORDER_PX) + 1
        border = ndimage.maximum_filter(shown, side) != ndimage.minimum_filter(shown, side)
        unseen = trusted & ~ring
        weight[unseen] = self.weight
        weight[unseen & border] *= BORDER_WEIGHT
        return labels, weight

    def _native_px(self, working_px: int) -> int:
        return max(1, round(working_px / self.image.zoom))


def _working_window(window: Window, zoom: float, shape: tuple[int, int]) -> Window:
    """Cover a native window at the working scale."""
    rows, columns = (
        slice(int(axis.start * zoom), min(size, int(np.ceil(axis.stop * zoom))))
        for axis, size in zip(window, shape, strict=True)
    )
    return rows, columns
