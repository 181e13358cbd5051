"""OME-Zarr pyramids: open one lazily, write one block by block."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.ngff import open_multiscale
from histobridge.core.images.problem import FileError

Window = tuple[slice, slice]

CHUNK = 512
SMALLEST = 256
BLOCK = 4 * CHUNK

LARGEST_WHOLE = 16 * 2**20
"""Pixels of a level that is read whole to show or judge an image as a whole."""


class ArrayLike(Protocol):
    """What can be sliced like an array: numpy, memory map, zarr, dask."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""

    @property
    def dtype(self) -> Any:
        """Type of one pixel."""

    def __getitem__(self, window: Any) -> Any:
        """Read a window."""


class Plane:
    """One 2-D section of an array with more axes, read only where it is sliced."""

    ndim = 2

    def __init__(self, array: ArrayLike, leading: tuple[int, ...]):
        self._array, self._leading = array, leading
        self.shape = (array.shape[-2], array.shape[-1])
        self.size = self.shape[0] * self.shape[1]
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, window: Any) -> Any:
        """Read a (Y, X) window."""
        window = window if isinstance(window, tuple) else (window,)
        return self._array[(*self._leading, *window)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read it whole."""
        return np.asarray(self[:, :], dtype=dtype)


class Narrowed:
    """A plane whose values are known to fit another type."""

    ndim = 2

    def __init__(self, plane: ArrayLike, dtype: Any):
        self._plane, self.dtype = plane, np.dtype(dtype)
        self.shape = (int(plane.shape[0]), int(plane.shape[1]))
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, window: Any) -> NDArray[Any]:
        """Read a (Y, X) window."""
        return np.asarray(self._plane[window]).astype(self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read it whole."""
        return np.asarray(self[:, :], dtype=dtype)


class Pyramid:
    """One 2-D image at several resolutions, lazily read.

    Parameters
    ----------
    levels : sequence of array-like
        Finest first; axes (Y, X).
    factors : sequence of float
        Downsampling of each level against the first, 1.0 first.
    pixel_sizes_um : (float, float), optional
        Height and width of a pixel of the finest level in µm; none when not stated.
    """

    def __init__(
        self,
        levels: Sequence[ArrayLike],
        factors: Sequence[float],
        pixel_sizes_um: tuple[float, float] | None = None,
    ):
        self.levels = list(levels)
        self.factors = tuple(factors)
        self.pixel_sizes_um = pixel_sizes_um

    @classmethod
    def open(cls, path: Path | str, leading: tuple[int, ...] | None = None) -> Self:
        """Open an OME-Zarr image group, version 0.4 or 0.5.

        Parameters
        ----------
        path : Path or str
            Folder of the group, or its URL.
        leading : tuple of int, optional
            Index into each axis before (Y, X), such as (time, channel, z); needed only where those are longer than 1.

        Returns
        -------
        Pyramid
            Nothing is read but metadata.

        Raises
        ------
        FileError
            If it is no OME-Zarr image, or has several planes and no `leading` tells which.
        """
        image = open_multiscale(path)
        shape = image.arrays[0].shape
        if leading is None and max(shape[:-2], default=1) > 1:
            raise FileError(path, f"has shape {tuple(shape)}, not one 2-D plane", "add it as a stack, by sections")
        index = leading if leading is not None else (0,) * (len(shape) - 2)
        planes: list[ArrayLike] = [array if array.ndim == 2 else Plane(array, index) for array in image.arrays]
        return cls(planes, image.factors, image.pixel_sizes_um)

    def narrowed(self, dtype: str) -> "Pyramid":
        """Return the pyramid with pixels of a type that is known to hold their values, which are whole numbers."""
        levels = [level if level.dtype == dtype else Narrowed(level, np.dtype(dtype)) for level in self.levels]
        return Pyramid(levels, self.factors, self.pixel_sizes_um)

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the finest level."""
        height, width = self.levels[0].shape
        return int(height), int(width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        return dtype

    @property
    def pixel_size_um(self) -> float | None:
        """µm per pixel of the finest level; none when not stated or when pixels are not square (1 %)."""
        if self.pixel_sizes_um is None:
            return None
        height, width = self.pixel_sizes_um
        return None if abs(height - width) > 0.01 * max(height, width) else (height + width) / 2

    def read(self, window: Window, level: int = 0) -> NDArray[Any]:
        """Read pixels.

        Parameters
        ----------
        window : (slice, slice)
            Rows and columns in pixels of `level`; what lies outside the image is cut off.
        level : int
            0 is the finest.

        Returns
        -------
        ndarray
            (Y, X), native type.
        """
        rows, columns = (
            slice(max(side.start or 0, 0), size if side.stop is None else max(min(side.stop, size), 0))
            for side, size in zip(window, self.levels[level].shape, strict=True)
        )
        return np.asarray(self.levels[level][rows, columns])

    def sampled(self, level: int) -> NDArray[Any]:
        """Return a level as a whole, (Y, X) native type; of one over `LARGEST_WHOLE` only every n-th row and column.

        Read block by block, so that memory does not grow with an image that has no coarser copy.
        """
        array = self.levels[level]
        height, width = (int(size) for size in array.shape)
        step = int(np.ceil(np.sqrt(height * width / LARGEST_WHOLE)))
        if step <= 1:
            return self.read((slice(None), slice(None)), level)
        side = BLOCK // step * step
        rows = []
        for top in range(0, height, side):
            blocks_of_row = (array[top : top + side, left : left + side] for left in range(0, width, side))
            rows.append(np.hstack([np.asarray(block)[::step, ::step] for block in blocks_of_row]))
        return np.vstack(rows)

    def thumbnail(self, max_px: int) -> NDArray[np.uint8]:
        """Return the image at most `max_px` long and wide, (Y, X) uint8, its 0.5th to 99.5th percentile stretched."""
        enough = [index for index, level in enumerate(self.levels) if max(level.shape) >= max_px]
        pixels = self.sampled(enough[-1] if enough else 0).astype(np.float32)
        step = -(-max(pixels.shape) // max_px)
        if step > 1:
            height, width = (max(size // step, 1) for size in pixels.shape)
            pixels = pixels[: height * step, : width * step]
            pixels = pixels.reshape(height, -1, width, pixels.shape[1] // width).mean(axis=(1, 3))
        low, high = np.percentile(pixels, (0.5, 99.5))
        stretched = (pixels - low) * (255 / max(high - low, 1e-6))
        return np.asarray(np.clip(stretched, 0, 255), dtype=np.uint8)


def write_pyramid(folder: Path, image: ArrayLike, pixel_size_um: float | None, *, labels: bool = False) -> None:
    """Write a 2-D image as OME-Zarr 0.5, halved until the smaller side is under 256 pixels.

    Works in blocks of 2048 pixels, so memory does not grow with the image.

    Parameters
    ----------
    folder : Path
        The group to make; must not exist.
    image : array-like
        (Y, X), integer; sliced block by block.
    pixel_size_um : float or None
        µm per pixel; none writes scale 1 without a unit.
    labels : bool
        Halve by the most frequent value of each 2 x 2 pixels (the first on a tie) instead of by their mean, and mark
        the group as a label image.
    """
    import zarr

    group = zarr.create_group(str(folder), zarr_format=3)
    shapes = [(int(image.shape[0]), int(image.shape[1]))]
    while min(shapes[-1]) >= SMALLEST:
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    finer: ArrayLike = image
    for level, shape in enumerate(shapes):
        array = group.create_array(
            str(level),
            shape=shape,
            dtype=np.dtype(image.dtype),
            chunks=(min(CHUNK, shape[0]), min(CHUNK, shape[1])),
            dimension_names=("y", "x"),
        )
        for rows, columns in blocks(shape):
            if level == 0:
                array[rows, columns] = np.asarray(finer[rows, columns])
            else:
                fine = finer[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
                array[rows, columns] = halve(np.asarray(fine), labels=labels)
        finer = array
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [_multiscale(folder.name, len(shapes), pixel_size_um)]}
    group.attrs["ome"] = ome | ({"image-label": {}} if labels else {})


def blocks(shape: tuple[int, int], size: int = BLOCK) -> Iterator[Window]:
    """Cut (Y, X) into windows of at most `size` pixels a side."""
    for top, left in product(range(0, shape[0], size), range(0, shape[1], size)):
        yield slice(top, min(top + size, shape[0])), slice(left, min(left + size, shape[1]))


def halve(image: NDArray[Any], *, labels: bool = False) -> NDArray[Any]:
    """Halve (Y, X), odd sides rounded up: the mean of each 2 x 2 pixels, or for `labels` their most frequent value."""
    image = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    corners = np.stack([image[y::2, x::2] for y, x in product((0, 1), (0, 1))])
    if not labels:
        return np.asarray((corners.sum(axis=0, dtype=np.uint32) + 2) // 4, dtype=image.dtype)
    votes = np.stack([(corners == corner).sum(axis=0, dtype=np.uint8) for corner in corners])
    return np.asarray(np.take_along_axis(corners, votes.argmax(axis=0)[None], axis=0)[0])


def _multiscale(name: str, levels: int, pixel_size_um: float | None) -> dict[str, Any]:
    """Metadata of a pyramid; the centres of coarser pixels lie half a step further in."""
    unit = {"unit": "micrometer"} if pixel_size_um else {}
    size = pixel_size_um or 1.0
    datasets = []
    for level in range(levels):
        shift = size * (2**level - 1) / 2
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": [size * 2**level] * 2}]
        if level:
            steps.append({"type": "translation", "translation": [shift, shift]})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    axes = [{"name": axis, "type": "space", **unit} for axis in "yx"]
    return {"name": name, "axes": axes, "datasets": datasets}
