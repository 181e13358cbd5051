"""Regions too small to be objects."""

from dataclasses import dataclass
from math import ceil, pi
from typing import Self

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import ProposeConfig

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
