"""Small pictures of tiles, read from the coarsest level of the pyramid that still shows something."""

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.pyramid import Pyramid
from histobridge.core.project import Project
from histobridge.core.tiles import Window

OPEN_IMAGES = 8


class TileThumbnails:
    """Reads thumbnails; keeps the last few images open. For one thread at a time.

    Parameters
    ----------
    project : Project
    side_px : int
        Longer side of a thumbnail.
    """

    def __init__(self, project: Project, side_px: int):
        self._project, self._side_px = project, side_px
        self._images: OrderedDict[str, tuple[Pyramid, float, float]] = OrderedDict()

    def read(self, image: str, window: Window) -> NDArray[np.uint8]:
        """Read one tile.

        Parameters
        ----------
        image : str
            Id of the image.
        window : tuple of slice
            Native pixels (Y, X).

        Returns
        -------
        ndarray
            (Y, X) uint8, its longer side at most that of a thumbnail; grey values stretched alike for all tiles of the
            image.

        Raises
        ------
        HistoBridgeError
            If the image cannot be opened.
        """
        pyramid, low, high = self._opened(image)
        longer = max(side.stop - side.start for side in window)
        fine = [level for level, factor in enumerate(pyramid.factors) if longer / factor >= self._side_px]
        level = fine[-1] if fine else 0
        factor = pyramid.factors[level]
        rows, columns = (slice(int(side.start / factor), -int(-side.stop // factor)) for side in window)
        pixels: NDArray[Any] = pyramid.read((rows, columns), level)
        step = -(-max(pixels.shape) // self._side_px)
        pixels = pixels[::step, ::step].astype(np.float32)
        return np.asarray(np.clip((pixels - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)

    def _opened(self, image: str) -> tuple[Pyramid, float, float]:
        """Open an image, with what is black and white in it."""
        if image in self._images:
            self._images.move_to_end(image)
            return self._images[image]
        pyramid = self._project.pixels(image)
        coarse = pyramid.sampled(len(pyramid.levels) - 1)
        low, high = np.percentile(coarse, (0.5, 99.5))
        self._images[image] = (pyramid, float(low), float(high))
        while len(self._images) > OPEN_IMAGES:
            self._images.popitem(last=False)
        return self._images[image]
