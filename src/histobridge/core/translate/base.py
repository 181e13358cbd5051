"""What a translator is, what the look of an image is, and how tiles of a translation join."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histobridge.core.config import Direction
from histobridge.core.errors import InputError
from histobridge.core.images.pyramid import blocks
from histobridge.core.job import Job, Progress, finish, scaled

Image: TypeAlias = NDArray[np.float32]
"""(Y, X) at the working scale, grey values in [-1, 1]."""

Look: TypeAlias = NDArray[np.float32]
"""(257,) grey quantiles 0/256 ... 256/256 of a whole image or domain, non-decreasing, in [-1, 1]."""

Window: TypeAlias = tuple[slice, slice]

LOOK_SIZE = 257
LOOK_PIXELS = 1 << 22
BLOCK_PX = 1024
SLOW_BLOCK_PX = 256
"""Of translators that work in tiles, which take seconds each, so that jobs can tell more often how far they are."""

MEASURED = 0.5
"""Share of a translation that measuring the whole image before it is told as."""

BOTH_DIRECTIONS: frozenset[Direction] = frozenset({"source_to_target", "target_to_source"})


class Translator(Protocol):
    """Gives images of one domain the look of the other; pixels keep their place and size.

    Call `translate_window` rather than `translate` for anything larger than a tile: it reads what a translator needs
    around a window, so that windows join without a seam.
    """

    @property
    def name(self) -> str:
        """What the user and provenance call it: ``instant``, or the run that trained it."""

    @property
    def directions(self) -> frozenset[Direction]:
        """What it can do; a method that learns one network a direction may have only one."""

    @property
    def halo(self) -> int:
        """Pixels to read around a window for an exact result inside; a multiple of `alignment`."""

    @property
    def alignment(self) -> int:
        """Crops given to `translate` start at multiples of this, in pixels of the working image.

        Networks with strides see the same grid in every crop then.
        """

    def translate(self, image: Image, direction: Direction, look: Look, origin: tuple[int, int] = (0, 0)) -> Image:
        """Translate one crop.

        Parameters
        ----------
        image : array, (Y, X) float32
            Grey values in [-1, 1]; starts at a multiple of `alignment`.
        direction : {"source_to_target", "target_to_source"}
        look : array, (257,) float32
            Grey quantiles of the whole image that the crop comes from, see `look_of`; never of the crop.
        origin : tuple of int
            Where the crop starts in the whole image; a stochastic translator keys its noise on it.

        Returns
        -------
        array, (Y, X) float32
            In [-1, 1], same shape as `image`.
        """


@runtime_checkable
class MeasuresImages(Protocol):
    """A translator that has to see a whole image, tile by tile, before it translates windows of it."""

    def of_image(
        self, read: Callable[[Window], Image], shape: tuple[int, int], direction: Direction, look: Look
    ) -> Job[Translator]:
        """Measure an image, once, with progress tile by tile; return what translates windows of it."""


@runtime_checkable
class WorksInTiles(Protocol):
    """A translator that computes tiles of its own, and saves those that nobody looks at."""

    def translate_inside(
        self, image: Image, direction: Direction, look: Look, origin: tuple[int, int], inside: Window
    ) -> Image:
        """Translate a crop as `Translator.translate`, of which the pixels `inside` alone are wanted."""


def look_of(image: ArrayLike) -> Look:
    """Measure the grey quantiles of a whole image.

    Parameters
    ----------
    image : array, (Y, X)
        Grey values in [-1, 1]; thinned out beyond about four million pixels.

    Returns
    -------
    array, (257,) float32
        Quantiles 0/256 ... 256/256.

    Raises
    ------
    InputError
        If the image is empty or has values that are not finite.
    """
    grey = np.asarray(image)
    if grey.size == 0:
        raise InputError("the image has no pixels, so its grey values cannot be measured")
    stride = int(np.ceil(np.sqrt(grey.size / LOOK_PIXELS)))
    thin = grey[tuple(slice(None, None, stride) for _ in range(grey.ndim))]
    return as_look(np.quantile(thin, np.linspace(0, 1, LOOK_SIZE)))


def as_look(values: ArrayLike) -> Look:
    """Check 257 stored numbers to be grey quantiles and return them as an array.

    Raises
    ------
    InputError
        If they are not 257 finite, non-decreasing numbers.
    """
    look = np.asarray(values, dtype=np.float32)
    if look.shape != (LOOK_SIZE,) or not np.isfinite(look).all() or (np.diff(look) < -1e-6).any():
        raise InputError(
            f"grey quantiles of shape {look.shape} found, {LOOK_SIZE} finite non-decreasing numbers expected; "
            "check the image for values that are not finite and match the domains again"
        )
    return np.maximum.accumulate(look)


def to_levels(image: Image) -> NDArray[np.uint8]:
    """Round grey values in [-1, 1], (Y, X), to 0 .. 255, for the eye."""
    levels: NDArray[np.uint8] = np.rint(np.clip(image + 1, 0, 2) * 127.5).astype(np.uint8)
    return levels


def check_direction(translator: Translator, direction: Direction) -> None:
    """Raise `InputError` if `translator` does not translate in `direction`."""
    if direction not in translator.directions:
        raise InputError(
            f"translator {translator.name!r} translates {', '.join(sorted(translator.directions))}, "
            f"not {direction}; choose another translator or the other route"
        )


def translate_window(
    translator: Translator,
    read: Callable[[Window], Image],
    shape: tuple[int, int],
    window: Window,
    direction: Direction,
    look: Look,
) -> Image:
    """Translate any window so that it equals the same region of the whole translated image; see `translate_blocks`."""
    return finish(translate_blocks(translator, read, shape, window, direction, look))


def translate_blocks(
    translator: Translator,
    read: Callable[[Window], Image],
    shape: tuple[int, int],
    window: Window,
    direction: Direction,
    look: Look,
) -> Job[Image]:
    """Translate any window, block by block, so that it equals the same region of the whole translated image.

    The image is thought reflected at its borders; windows may reach outside and start anywhere.

    Parameters
    ----------
    translator : Translator
    read : callable
        Maps a window inside the image to (Y, X) float32 in [-1, 1].
    shape : tuple of int
        (Y, X) of the whole image at the working scale.
    window : tuple of slice
        In pixels of the working image, with start and stop.
    direction : {"source_to_target", "target_to_source"}
    look : array, (257,) float32
        Grey quantiles of the whole image.

    Yields
    ------
    Progress
        After each block but the last.

    Returns
    -------
    array, (Y, X) float32
        In [-1, 1], of the window's size.
    """
    if isinstance(translator, MeasuresImages):
        measured = yield from scaled(translator.of_image(read, shape, direction, look), 0, MEASURED)
        return (yield from scaled(translate_blocks(measured, read, shape, window, direction, look), MEASURED, 1))
    rows, columns = window
    translated = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    side = min(SLOW_BLOCK_PX, BLOCK_PX) if isinstance(translator, WorksInTiles) else BLOCK_PX
    parts = list(blocks(translated.shape, side))
    for done, part in enumerate(parts):
        if done:
            yield Progress(done, len(parts))
        block = _shifted(part, (rows.start, columns.start))
        crop, origin = _crop_around(translator, read, shape, block)
        inside = _shifted(block, (-origin[0], -origin[1]))
        if isinstance(translator, WorksInTiles):
            translated[part] = translator.translate_inside(crop, direction, look, origin, inside)[inside]
        else:
            translated[part] = translator.translate(crop, direction, look, origin)[inside]
    return translated


def _shifted(window: Window, by: tuple[int, int]) -> Window:
    rows, columns = (slice(part.start + way, part.stop + way) for part, way in zip(window, by, strict=True))
    return rows, columns


def _crop_around(
    translator: Translator, read: Callable[[Window], Image], shape: tuple[int, int], block: Window
) -> tuple[Image, tuple[int, int]]:
    """Read a block with the halo and alignment that a translator needs; return the crop and where it starts."""
    step, halo = translator.alignment, translator.halo
    starts = [(part.start - halo) // step * step for part in block]
    stops = [-(-(part.stop + halo) // step) * step for part in block]
    rows, columns = (
        _reflected(np.arange(start, stop), size) for start, stop, size in zip(starts, stops, shape, strict=True)
    )
    box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
    return read(box)[np.ix_(rows - box[0].start, columns - box[1].start)], (starts[0], starts[1])


def _reflected(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Fold indices beyond an axis of `size` pixels back into it, without repeating the border pixel."""
    if size == 1:
        return np.zeros_like(index)
    folded = index % (2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)
