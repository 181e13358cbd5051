"""Other looks at one tile, quick enough for the window: in the look of the other domain, and what runs say of it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Direction, TranslateImageConfig
from histobridge.core.errors import ProjectError
from histobridge.core.project import Project
from histobridge.core.tiles import Window
from histobridge.core.translations import TranslationCard, card_of, read_translation, to_grey, working_window

if TYPE_CHECKING:
    from histobridge.core.matching import Matching

INSTANT = "instant"
WHOLE_PIXELS = 1 << 22
"""Working pixels up to which an image is translated whole; of larger ones only the tiles that are looked at, since
other quick jobs wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A tile in the look of the other domain, at the working scale."""

    pixels: NDArray[np.float32]
    """(Y, X) in [-1, 1]."""

    zoom: float
    """Working pixels per native pixel."""

    origin: tuple[float, float]
    """Centre of its first pixel, (y, x) in native pixels of the image."""

    made_by: str = INSTANT
    """`instant`, or the run whose translator made it."""

    missing: TranslateImageConfig | None = None
    """What would make the look of the translator in use, where that is not made yet."""

    why: str = ""
    """Why a trained translator is not in use, where there is one."""


def translated_tile(project: Project, image_id: str, window: Window, trained: str = "") -> Translated:
    """Show a tile as a trained translator makes it; as the instant one does where that is not made yet.

    A trained translator needs torch, which the window must not load: what it makes comes from the runs of
    `translate-image`. Until then there is what it starts from, polarity and grey values of the other domain.

    Parameters
    ----------
    project : Project
    image_id : str
    window : tuple of slice
        Native pixels (Y, X) of the image.
    trained : str
        Run of the trained translator in use, left out if it failed its checks and was not chosen by hand; empty: none.

    Returns
    -------
    Translated

    Raises
    ------
    ProjectError
        If the domains are not matched yet, or the pixel size of the image is unknown.
    """
    from histobridge.core.matching import load_matching

    matching = load_matching(project)
    why, missing = "", None
    try:
        why = _why_not(project, trained)
        if trained and not why:
            card = card_of(project, image_id, trained, matching)
            pixels = _made(project, card, window)
            if pixels is not None:
                return pixels
            missing = TranslateImageConfig(
                image=image_id,
                translator=trained,
                matching=matching.run,
                window=(window[0].start, window[1].start, window[0].stop, window[1].stop),
                whole=card.shape[0] * card.shape[1] <= WHOLE_PIXELS,
            )
    except ProjectError as error:
        why = str(error)
    return replace(_instant(project, image_id, window, matching), missing=missing, why=why)


def trained_tile(project: Project, wanted: TranslateImageConfig, window: Window) -> Translated | None:
    """Show a tile as a trained translator makes it, if that is made by now.

    Parameters
    ----------
    project : Project
    wanted : TranslateImageConfig
        What was `missing`.
    window : tuple of slice
        Native pixels (Y, X) of the image.
    """
    from histobridge.core.matching import load_matching

    matching = load_matching(project, wanted.matching)
    return _made(project, card_of(project, wanted.image, wanted.translator, matching), window)


def _why_not(project: Project, trained: str) -> str:
    """Say why a translator is not to be used; empty if it is."""
    from histobridge.core.translate.quality.report import read_quality

    if not trained or trained == project.manifest.active.get("translator"):
        return ""
    quality = read_quality(project.run(trained).path)
    failed = quality is not None and quality.verdict == "failed"
    return "the trained translator failed its checks" if failed else ""


def _made(project: Project, card: TranslationCard, window: Window) -> Translated | None:
    """Read what is kept of a tile; none unless all of it is there."""
    there = working_window(window, card.zoom, card.shape)
    pixels = read_translation(project, card, there)
    if not pixels.all():
        return None
    return Translated(to_grey(pixels), card.zoom, _origin(there, card.zoom), made_by=card.translator)


def _instant(project: Project, image_id: str, window: Window, matching: "Matching") -> Translated:
    from histobridge.core.matching import working_image
    from histobridge.core.translate.base import translate_window
    from histobridge.core.translate.instant import Instant

    image = working_image(project, image_id, matching)
    there = working_window(window, image.zoom, image.shape)
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    target = project.image(image_id).domain == "target"
    direction: Direction = "target_to_source" if target else "source_to_target"
    pixels = translate_window(instant, image.read, image.shape, there, direction, image.look)
    return Translated(pixels, image.zoom, _origin(there, image.zoom))


def _origin(window: Window, zoom: float) -> tuple[float, float]:
    """Centre of the first pixel of a window of working pixels, (y, x) in native pixels."""
    y, x = ((side.start + 0.5) / zoom - 0.5 for side in window)
    return y, x


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
