"""Regions too small to be objects."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, pi
from typing import Self

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import ProposeConfig
from histobridge.core.images.working import Window

SHARE_OF_DIAMETER = ProposeConfig().smallest_object
"""What is narrower than this share of a typical object is no object but noise."""


@dataclass(frozen=True, slots=True)
class Specks:
    """Which regions of a prediction are no objects.

    Parameters
    ----------
    channel : int
        Of the class that is counted in objects (axons).
    area_px : float
        Pixels, at the scale of the prediction, below which a connected region is none.
    """

    channel: int
    area_px: float

    @classmethod
    def of(cls, channel: int, object_diameter_px: float, share: float = SHARE_OF_DIAMETER) -> Self:
        """Regions smaller than a disc of a share (a sixth) of the typical diameter."""
        return cls(channel, pi / 4 * (share * object_diameter_px) ** 2)

    @property
    def margin_px(self) -> int:
        """Pixels around a window that have to be known: no region of fewer pixels reaches further."""
        return ceil(self.area_px)

    def without(
        self, read: Callable[[Window], NDArray[np.float32]], window: Window, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Read a window without specks, the same as that part of the whole would be.

        Parameters
        ----------
        read : callable
            ``read(window)`` gives probabilities (K, Y, X) float32, which are changed in place.
        window : tuple of slice
        shape : tuple of int
            (Y, X) of the whole.

        Returns
        -------
        (K, Y, X) float32
        """
        margin = self.margin_px
        rows, columns = (
            slice(max(0, part.start - margin), min(size, part.stop + margin))
            for part, size in zip(window, shape, strict=True)
        )
        probabilities = read((rows, columns))
        self.drop(probabilities)
        top, left = window[0].start - rows.start, window[1].start - columns.start
        height, width = (part.stop - part.start for part in window)
        return probabilities[:, top : top + height, left : left + width]

    def drop(self, probabilities: NDArray[np.float32]) -> None:
        """Leave each speck to the class that comes second there.

        Parameters
        ----------
        probabilities : (K, Y, X) float32
            Changed in place: 0 for the class of the specks on them; they then sum to less than 1, since nobody is sure
            of what is there.
        """
        from scipy import ndimage

        regions, _ = ndimage.label(probabilities.argmax(axis=0) == self.channel)
        small = np.bincount(regions.ravel()) < self.area_px
        small[0] = False
        probabilities[self.channel][small[regions]] = 0
