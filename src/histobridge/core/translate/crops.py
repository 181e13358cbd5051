"""Random crops of unlabelled images, flipped and turned."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histobridge.core.errors import InputError

CONSTANT = 2 / 255
DRAWS = 50


class ImageCrops:
    """Square crops of the images of one domain, larger images more often.

    Parameters
    ----------
    fields : sequence of array, (Y, X) float32
        In [-1, 1]; reflected where smaller than a crop.
    crop_px : int
        Side of a crop.
    seed : int

    Raises
    ------
    InputError
        If there are no images, or one has values that are not finite.
    """

    def __init__(self, fields: Sequence[NDArray[np.float32]], crop_px: int, seed: int):
        if not fields:
            raise InputError("no images to learn a translation from; add images of both domains")
        for index, field in enumerate(fields):
            if not np.isfinite(field).all():
                raise InputError(f"image {index + 1} of {len(fields)} has values that are not finite; check its file")
        self.crop_px = crop_px
        self._fields = [_at_least(field, crop_px) for field in fields]
        areas = np.array([field.size for field in fields], dtype=np.float64)
        self._shares = areas / areas.sum()
        self._random = np.random.default_rng(seed)

    def draw(self) -> Tensor:
        """One crop, (1, 1, Y, X) float32; nearly constant ones are drawn again, as long as there is hope."""
        for _ in range(DRAWS):
            crop = self._any_crop()
            if crop.std() >= CONSTANT:
                break
        turned = np.rot90(crop, int(self._random.integers(4)))
        if self._random.random() < 0.5:
            turned = turned[::-1]
        return torch.from_numpy(np.ascontiguousarray(turned))[None, None]

    def _any_crop(self) -> NDArray[np.float32]:
        field = self._fields[int(self._random.choice(len(self._fields), p=self._shares))]
        row, column = (int(self._random.integers(size - self.crop_px + 1)) for size in field.shape)
        return field[row : row + self.crop_px, column : column + self.crop_px]

    def state(self) -> dict[str, Any]:
        """Random state, as JSON values, for a checkpoint."""
        return dict(self._random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self._random.bit_generator.state = state


def _at_least(field: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reflect `field` until it is at least `side` px wide and high."""
    missing = [(0, max(0, side - size)) for size in field.shape]
    return np.pad(field, missing, mode="reflect") if any(stop for _, stop in missing) else field
