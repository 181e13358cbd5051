"""Other looks at one tile, quick enough for the window: in the look of the other domain, and what runs say of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Direction
from histobridge.core.project import Project
from histobridge.core.tiles import Window


@dataclass(frozen=True, slots=True)
class Translated:
    """A tile in the look of the other domain, at the working scale."""

    pixels: NDArray[np.float32]
    """(Y, X) in [-1, 1]."""

    zoom: float
    """Working pixels per native pixel."""

    origin: tuple[float, float]
    """Centre of its first pixel, (y, x) in native pixels of the image."""


def translated_tile(project: Project, image_id: str, window: Window) -> Translated:
    """Show a tile as the instant translator makes it: polarity and grey values of the other domain.

    A trained translator needs torch, which the window must not load; so this is what it starts from, not what it makes.

    Parameters
    ----------
    project : Project
    image_id : str
    window : tuple of slice
        Native pixels (Y, X) of the image.

    Returns
    -------
    Translated

    Raises
    ------
    ProjectError
        If the domains are not matched yet, or the pixel size of the image is unknown.
    """
    from histobridge.core.matching import load_matching, working_image
    from histobridge.core.translate.base import translate_window
    from histobridge.core.translate.instant import Instant

    matching = load_matching(project)
    image = working_image(project, image_id, matching)
    rows, columns = (
        slice(int(side.start * image.zoom), max(int(side.start * image.zoom) + 1, round(side.stop * image.zoom)))
        for side in window
    )
    target = project.image(image_id).domain == "target"
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    direction: Direction = "target_to_source" if target else "source_to_target"
    pixels = translate_window(instant, image.read, image.shape, (rows, columns), direction, image.look)
    y, x = ((side.start + 0.5) / image.zoom - 0.5 for side in (rows, columns))
    return Translated(pixels, image.zoom, (y, x))


def differing(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mark where two proposals of a tile differ.

    Parameters
    ----------
    one, other : ndarray (Y, X) uint8
        Class values.

    Returns
    -------
    ndarray (Y, X) uint8
        1 where they differ, else 0.
    """
    return np.asarray(one != other, np.uint8)
