"""Random crops of images, flipped and turned, with their labels where they have any."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.errors import InputError
from histobridge.core.manifest import IGNORE
from histobridge.core.translator_config import Orientation

CONSTANT = 2 / 255
DRAWS = 50
PLACES_KEPT = 1 << 16
"""Pixels of a class remembered in an image; of more every so manieth."""


class Labelled(NamedTuple):
    """An image whose pixels are labelled."""

    image: NDArray[np.float32]
    """(Y, X)."""

    classes: NDArray[np.uint8]
    """(Y, X) class values, 255 where unknown."""


Field: TypeAlias = NDArray[np.float32] | Labelled


class ImageCrops:
    """Square crops of the images of one domain, larger images more often.

    Parameters
    ----------
    fields : sequence of array, (Y, X) float32, or Labelled
        In [-1, 1]; reflected where smaller than a crop.
    crop_px : int
        Side of a crop.
    seed : int
    balanced : bool
        Of labelled images, draw crops around a pixel of each class equally often, however rare it is.
    device : torch.device, optional
        Where a copy of the images is kept and crops come from; none: not copied, crops come on the CPU.
    orientation : {"upright", "mirrored", "flipped", "turned"}
        How crops come: as they are, mirrored left to right too, flipped along both axes, turned by quarters too.

    Raises
    ------
    InputError
        If there are no images, or one has values that are not finite.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        crop_px: int,
        seed: int,
        balanced: bool = False,
        device: torch.device | None = None,
        orientation: Orientation = "turned",
    ):
        if not fields:
            raise InputError("no images to learn a translation from; add images of both domains")
        images = [_image(field) for field in fields]
        for index, image in enumerate(images):
            if not np.isfinite(image).all():
                raise InputError(f"image {index + 1} of {len(fields)} has values that are not finite; check its file")
        self.crop_px, self._orientation = crop_px, orientation
        self._images = [_at_least(image, crop_px) for image in images]
        self._classes = [_at_least(field.classes, crop_px) if isinstance(field, Labelled) else None for field in fields]
        self._kept = [_on(image, device) for image in self._images]
        self._known = [None if known is None else _on(known, device) for known in self._classes]
        areas = np.array([image.size for image in images], dtype=np.float64)
        self._shares = areas / areas.sum()
        self._places = _places(self._classes) if balanced else []
        self._random = np.random.default_rng(seed)

    def draw(self) -> Tensor:
        """One crop, (1, 1, Y, X) float32; nearly constant ones are drawn again, as long as there is hope."""
        return self.draw_labelled()[0]

    def draw_labelled(self) -> tuple[Tensor, Tensor]:
        """Draw a crop as `draw`, and its labels, (1, Y, X) uint8, 255 where there are none."""
        for _ in range(DRAWS):
            number, row, column = self._place()
            part = slice(row, row + self.crop_px), slice(column, column + self.crop_px)
            if self._images[number][part].std() >= CONSTANT:
                break
        crop, known = self._kept[number][part], self._known[number]
        classes = torch.full_like(crop, IGNORE, dtype=torch.uint8) if known is None else known[part]
        turns, mirrored = int(self._random.integers(4)), self._random.random() < 0.5
        image, labels = (_turned(pixels, turns, mirrored, self._orientation) for pixels in (crop, classes))
        return image[None, None], labels[None]

    def batch(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Draw crops (N, 1, Y, X) and their labels (N, Y, X), on a device."""
        images, labels = zip(*(self.draw_labelled() for _ in range(count)), strict=True)
        return torch.cat(images).to(device), torch.cat(labels).to(device)

    def _place(self) -> tuple[int, int, int]:
        """Number of an image, and where a crop of it starts."""
        number = int(self._random.choice(len(self._images), p=self._shares))
        if not self._places or self._classes[number] is None:
            row, column = (int(self._random.integers(size - self.crop_px + 1)) for size in self._images[number].shape)
            return number, row, column
        places = self._places[int(self._random.integers(len(self._places)))]
        number, *pixel = places[int(self._random.integers(len(places)))]
        row, column = (
            int(np.clip(at - self._random.integers(self.crop_px), 0, size - self.crop_px))
            for at, size in zip(pixel, self._images[number].shape, strict=True)
        )
        return int(number), row, column

    def state(self) -> dict[str, Any]:
        """Random state, as JSON values, for a checkpoint."""
        return dict(self._random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self._random.bit_generator.state = state


def crops_of(
    fields: Mapping[Domain, Sequence[Field]],
    config: TrainTranslatorConfig,
    seed: int,
    device: torch.device | None = None,
) -> dict[Domain, ImageCrops]:
    """Crops of each domain as a training wants them; `device` is where images are kept, see `ImageCrops`."""
    return {
        domain: ImageCrops(
            of_domain, config.crop_px, 2 * seed + place, config.class_balanced, device, config.orientation
        )
        for place, (domain, of_domain) in enumerate(fields.items())
    }


def values_of(fields: Sequence[Field]) -> tuple[int, ...]:
    """Class values that the labels of some images have, rising; empty without labels."""
    found = [np.unique(field.classes) for field in fields if isinstance(field, Labelled)]
    return tuple(int(value) for value in np.unique(np.concatenate(found)) if value != IGNORE) if found else ()


def bytes_of(field: Field) -> int:
    """Memory that an image takes, with its labels."""
    return sum(array.nbytes for array in field) if isinstance(field, Labelled) else field.nbytes


def _image(field: Field) -> NDArray[np.float32]:
    return field.image if isinstance(field, Labelled) else field


def _at_least(field: NDArray[Any], side: int) -> NDArray[Any]:
    """Reflect `field` until it is at least `side` px wide and high."""
    missing = [(0, max(0, side - size)) for size in field.shape]
    return np.pad(field, missing, mode="reflect") if any(stop for _, stop in missing) else field


def _places(classes: Sequence[NDArray[np.uint8] | None]) -> list[NDArray[np.int64]]:
    """Pixels of each class, (n, 3): number of the image, row, column."""
    by_class: dict[int, list[NDArray[np.int64]]] = {}
    for number, known in enumerate(classes):
        for value in [] if known is None else np.unique(known[known != IGNORE]):
            assert known is not None
            flat = np.flatnonzero(known == value)
            kept = np.stack(np.unravel_index(flat[:: flat.size // PLACES_KEPT + 1], known.shape), axis=1)
            by_class.setdefault(int(value), []).append(np.insert(kept, 0, number, axis=1))
    return [np.concatenate(by_class[value]) for value in sorted(by_class)]


def _on(array: NDArray[Any], device: torch.device | None) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=("C", "W"))).to(device or "cpu")


def _turned(pixels: Tensor, turns: int, mirrored: bool, orientation: Orientation) -> Tensor:
    """Turn and mirror pixels (Y, X) as far as they may be; upside down and turned by half is left to right."""
    if orientation == "upright":
        return pixels
    turns = {"mirrored": 2 * mirrored, "flipped": turns // 2 * 2}.get(orientation, turns)
    turned = torch.rot90(pixels, turns)
    return turned.flip(0) if mirrored else turned
