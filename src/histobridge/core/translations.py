"""What trained translators made of images, kept block by block in the folders of runs; needs no torch to be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import PositiveFloat, PositiveInt

from histobridge.core.config import Config
from histobridge.core.errors import ProjectError
from histobridge.core.files import rename_durably, write_json
from histobridge.core.images.working import working_shape, zoom_of
from histobridge.core.project import Project
from histobridge.core.saved import read_saved
from histobridge.core.tiles import Window

if TYPE_CHECKING:
    from histobridge.core.matching import Matching

FOLDER, CARD, PIXELS = "translated", "translated.json", "pixels"
BLOCK_PX = 512
"""Side of a block in working pixels: what is translated at once, and a chunk of the array."""

REMEDY = "delete the folder it lies in; it is made again when it is asked for"


class TranslationCard(Config):
    """What one array of translated pixels is; saved beside it. Arrays with the same card hold the same pixels."""

    schema_version: Literal[1] = 1
    """Format of the array and of this file."""

    image: str
    """The image."""

    translator: str
    """The run whose translator made it."""

    matching: str
    """The run that matched the domains."""

    zoom: PositiveFloat
    """Working pixels per native pixel."""

    shape: tuple[PositiveInt, PositiveInt]
    """(Y, X) at the working scale."""


def card_of(project: Project, image_id: str, translator: str, matching: "Matching") -> TranslationCard:
    """Describe what a translator makes of an image as both are now.

    Parameters
    ----------
    project : Project
    image_id : str
    translator : str
        Id of a run.
    matching : Matching

    Raises
    ------
    ProjectError
        If there is no such image, or its pixel size is unknown.
    """
    record = project.image(image_id)
    source = record.domain == "source"
    zoom = zoom_of(record, matching.source_working_um if source else matching.target_working_um)
    shape = working_shape(record.shape, zoom)
    return TranslationCard(image=image_id, translator=translator, matching=matching.run, zoom=zoom, shape=shape)


def working_window(window: Window, zoom: float, shape: tuple[int, int]) -> Window:
    """Return the working pixels, at least one, of an image of `shape` that show a window of native pixels."""
    rows, columns = (_side(side, zoom, size) for side, size in zip(window, shape, strict=True))
    return rows, columns


def _side(side: slice, zoom: float, size: int) -> slice:
    start = min(int(side.start * zoom), size - 1)
    return slice(start, min(size, max(start + 1, round(side.stop * zoom))))


def blocks(shape: tuple[int, int], within: Window | None = None) -> Iterator[Window]:
    """Blocks of an image of `shape`, or those that touch a window, row by row."""
    rows, columns = within or (slice(0, shape[0]), slice(0, shape[1]))
    for row in range(rows.start // BLOCK_PX * BLOCK_PX, rows.stop, BLOCK_PX):
        for column in range(columns.start // BLOCK_PX * BLOCK_PX, columns.stop, BLOCK_PX):
            yield slice(row, min(row + BLOCK_PX, shape[0])), slice(column, min(column + BLOCK_PX, shape[1]))


def to_bytes(grey: ArrayLike) -> NDArray[np.uint8]:
    """Round grey values in [-1, 1] to 1 .. 255; 0 stays for what is not made yet."""
    return np.asarray(np.rint(np.clip(grey, -1, 1) * 127) + 128, np.uint8)


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bring back the grey values in [-1, 1], float32, that `to_bytes` has rounded."""
    return (pixels.astype(np.float32) - np.float32(128)) / np.float32(127)


def begin_translation(run: Path, card: TranslationCard) -> Any:
    """Open the array of a run to be filled, made first where there is none, or one of another card.

    Parameters
    ----------
    run : Path
        Folder of the run.
    card : TranslationCard

    Returns
    -------
    zarr.Array
        (Y, X) uint8, see `to_bytes`. A block that is assigned whole is on disk whole or not at all.
    """
    import zarr

    from histobridge.core.durable_store import DurableStore

    folder = run / FOLDER / card.image
    if not (folder / CARD).exists() or read_saved(folder / CARD, TranslationCard, REMEDY) != card:
        beside = folder.with_name(f".{card.image}.part")
        for old in (beside, folder):
            shutil.rmtree(old, ignore_errors=True)
        beside.mkdir(parents=True)
        zarr.create_array(
            DurableStore(beside / PIXELS), shape=card.shape, chunks=(BLOCK_PX, BLOCK_PX), dtype="uint8", fill_value=0
        )
        write_json(beside / CARD, card.model_dump(mode="json"))
        rename_durably(beside, folder)
    return zarr.open_array(DurableStore(folder / PIXELS), mode="r+")


def read_translation(project: Project, card: TranslationCard, window: Window) -> NDArray[np.uint8]:
    """Read what any runs have made so far of a window.

    Parameters
    ----------
    project : Project
    card : TranslationCard
    window : tuple of slice
        Working pixels (Y, X), inside the image.

    Returns
    -------
    ndarray (Y, X) uint8
        See `to_bytes`; 0 where no run has made it yet.

    Raises
    ------
    ProjectError
        If what a run has made is damaged.
    """
    import zarr

    touched = [(rows.start // BLOCK_PX, columns.start // BLOCK_PX) for rows, columns in blocks(card.shape, window)]
    found = np.zeros([side.stop - side.start for side in window], np.uint8)
    for file in sorted((project.path / "runs").glob(f"*/{FOLDER}/{card.image}/{CARD}"), reverse=True):
        chunks = (file.parent / PIXELS / "c" / f"{row}" / f"{column}" for row, column in touched)
        if not any(chunk.exists() for chunk in chunks) or read_saved(file, TranslationCard, REMEDY) != card:
            continue
        try:
            made = np.asarray(zarr.open_array(file.with_name(PIXELS), mode="r")[window])
        except (OSError, ValueError, RuntimeError) as error:
            raise ProjectError(f"{file.with_name(PIXELS)} cannot be read ({error}); {REMEDY}") from error
        found = np.where(found == 0, made, found)
        if found.all():
            break
    return found
