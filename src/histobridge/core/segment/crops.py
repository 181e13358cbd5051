"""Training crops drawn from labelled images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from histobridge.core.errors import InputError
from histobridge.core.manifest import IGNORE
from histobridge.core.segment.augment import Crop, change_look, draw_zoom, flip_crop, resize_crop, shift_background
from histobridge.core.training_config import SegmenterTraining

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Image (N, 1, Y, X) float32, labels (N, Y, X) int64, weight (N, Y, X) float32."""
Look = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]
PLACES_KEPT = 50_000
DRAWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One labelled image at the working scale.

    Parameters
    ----------
    image : ndarray
        (Y, X) float32 in [-1, 1].
    labels : ndarray
        (Y, X) uint8: the network's channel of each pixel (0 background), 255 unlabelled.
    weight : ndarray, optional
        (Y, X) float32 >= 0, how much a pixel counts; none: 1 everywhere.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    weight: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.image, self.labels, self.weight) if array is not None}
        if len(shapes) > 1 or self.image.ndim != 2 or 0 in self.image.shape:
            raise InputError(f"image, labels and weight of a field must have one shape (Y, X); found {sorted(shapes)}")


class Sampler(Protocol):
    """Whatever `train` can draw batches from and resume."""

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` crops forever."""

    def state(self) -> dict[str, Any]:
        """Return the random state as JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


class CropSampler:
    """Draws augmented crops; every second one lies around a foreground pixel, classes taking turns by chance.

    Parameters
    ----------
    fields : sequence of Field
        Parts of a crop outside a field mirror the image and are unlabelled.
    crop_px : int
        Side of a crop.
    augmentation : float
        Strength in [0, 1], see `augment`.
    seed : int
        Of all that is drawn.
    look : callable, optional
        ``look(image, rng)`` gives a crop another look before the augmentation; keeps the shape.
    background_shift : float
        Standard deviation of the shift of the background against the objects, see `shift_background`.

    Raises
    ------
    InputError
        If no pixel of any field is labelled.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        crop_px: int,
        augmentation: float,
        seed: int,
        look: Look | None = None,
        background_shift: float = SegmenterTraining().background_shift,
    ):
        self._fields, self._crop_px, self._augmentation, self._look = tuple(fields), crop_px, augmentation, look
        self._background_shift = background_shift
        self._rng = np.random.default_rng(seed)
        classes = sorted({int(value) for field in fields for value in np.unique(field.labels)} - {0, IGNORE})
        anywhere = _Places.of(self._fields, [*classes, 0])
        if anywhere is None:
            raise InputError(
                f"none of the {len(self._fields)} images has a labelled pixel that counts; label some first"
            )
        self._anywhere = anywhere
        by_class = (_Places.of(self._fields, [value]) for value in classes)
        self._foreground = [places for places in by_class if places is not None]

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` crops forever.

        Parameters
        ----------
        size : int
            Crops a batch, N.

        Yields
        ------
        tuple of torch.Tensor
            Image (N, 1, Y, X) float32 in [-1, 1], labels (N, Y, X) int64 with 255 unlabelled, weight (N, Y, X).
        """
        while True:
            crops = [self._draw(around_foreground=number % 2 == 0) for number in range(size)]
            image, labels, weight = (np.stack(arrays) for arrays in zip(*crops, strict=True))
            yield (
                torch.from_numpy(image[:, None]).float(),
                torch.from_numpy(labels).long(),
                torch.from_numpy(weight).float(),
            )

    def state(self) -> dict[str, Any]:
        """Return the random state as JSON values."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        self._rng.bit_generator.state = state

    def _draw(self, *, around_foreground: bool) -> Crop:
        rng = self._rng
        around = around_foreground and self._foreground
        places = self._foreground[rng.integers(len(self._foreground))] if around else self._anywhere
        image, labels, weight = self._cut_varied(places)
        if self._augmentation > 0:
            image = shift_background((image, labels, weight), self._augmentation, rng, self._background_shift)
        if self._look is not None:
            image = self._look(image, rng)
        image, labels, weight = resize_crop((image, labels, weight), self._crop_px)
        if self._augmentation > 0:
            image, labels, weight = flip_crop((image, labels, weight), rng)
            image = change_look(image, self._augmentation, rng)
        return image, labels, weight

    def _cut_varied(self, places: "_Places") -> Crop:
        """Cut until a crop has more than one grey value; nothing can be learned from the others."""
        for _ in range(DRAWS):
            number, place = places.draw(self._rng)
            side = max(2, round(self._crop_px / draw_zoom(self._augmentation, self._rng)))
            crop = _cut(self._fields[number], place, side, self._rng)
            if np.ptp(crop[0]) > 0:
                break
        return crop


class MixedSampler:
    """Batches of which a share comes from a second sampler (replay of the source while fine-tuning).

    Parameters
    ----------
    first, second : Sampler
        Where crops come from.
    share : float
        Of the crops of each batch from `second`, in [0, 1); rounded, and `first` always gives at least one.
    """

    def __init__(self, first: Sampler, second: Sampler, share: float):
        self._first, self._second, self._share = first, second, share

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` crops forever."""
        replayed = min(round(self._share * size), size - 1)
        if replayed == 0:
            yield from self._first.batches(size)
        for ours, theirs in zip(self._first.batches(size - replayed), self._second.batches(replayed), strict=False):
            image, labels, weight = (torch.cat(pair) for pair in zip(ours, theirs, strict=True))
            yield image, labels, weight

    def state(self) -> dict[str, Any]:
        """Return the random state as JSON values."""
        return {"first": self._first.state(), "second": self._second.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state` returned."""
        self._first.restore(state["first"])
        self._second.restore(state["second"])


@dataclass(frozen=True, slots=True)
class _Places:
    """Pixels that crops are drawn around: flat indices in each field (a sample of many), and each field's share."""

    shares: NDArray[np.float64]
    indices: tuple[NDArray[np.int64], ...]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, fields: Sequence[Field], values: list[int]) -> "_Places | None":
        """Collect the pixels that have one of these labels and count; none if there are none."""
        counts, indices = [], []
        for field in fields:
            mask = np.isin(field.labels, values)
            flat = np.flatnonzero(mask if field.weight is None else mask & (field.weight > 0))
            counts.append(flat.size)
            indices.append(flat[:: flat.size // PLACES_KEPT + 1].copy())
        if sum(counts) == 0:
            return None
        return cls(np.array(counts) / sum(counts), tuple(indices), tuple(field.labels.shape[1] for field in fields))

    def draw(self, rng: np.random.Generator) -> tuple[int, tuple[int, int]]:
        """Draw a field's number and a pixel (y, x) in it."""
        number = int(rng.choice(len(self.shares), p=self.shares))
        y, x = divmod(int(rng.choice(self.indices[number])), self.widths[number])
        return number, (y, x)


def _cut(field: Field, place: tuple[int, int], side: int, rng: np.random.Generator) -> Crop:
    """Cut a square with `place` in its middle half, moved into the field as far as it fits, mirrored where not."""
    window, padding = [], []
    for centre, size in zip(place, field.image.shape, strict=True):
        last = max(size - side, 0)
        earliest, latest = (min(max(centre - round(share * side), 0), last) for share in (0.75, 0.25))
        start = int(rng.integers(earliest, latest + 1))
        missing = max(side - size, 0)
        window.append(slice(start, start + side))
        padding.append((missing // 2, missing - missing // 2))
    cut = tuple(window)
    image, labels = field.image[cut], field.labels[cut]
    weight = np.ones(image.shape, np.float32) if field.weight is None else field.weight[cut]
    if np.any(padding):
        image = np.pad(image, padding, mode="reflect")
        labels = np.pad(labels, padding, constant_values=IGNORE)
        weight = np.pad(weight, padding)
    return image, labels, weight
