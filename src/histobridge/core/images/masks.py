"""Mask files of three kinds as class values: label maps, 0/127/255 files, one binary file per class."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.mask_tables import Table, binary_table, label_table, pair_of, pair_table
from histobridge.core.images.open import luminance
from histobridge.core.images.problem import FileError, readable
from histobridge.core.images.pyramid import ArrayLike, blocks
from histobridge.core.images.raster import Raster, open_raster
from histobridge.core.images.stage import size
from histobridge.core.manifest import IGNORE, ClassSpec

MOST_BESIDE = 64
"""Files that are looked at to tell what 255 means beside them."""

LEVELS = 3
"""Values of a mask of two classes; an image has more."""


@dataclass(frozen=True)
class MaskFiles:
    """The files that hold the labels of one image.

    Parameters
    ----------
    label_map : Path, optional
        One value per class, or 0/127/255; the values tell which.
    pair : Path, optional
        A file named after two classes (``axonmyelin``): always 0/127/255.
    per_class : tuple of (class name, Path)
        Binary files. They win over `pair` where both are complete.
    """

    label_map: Path | None = None
    pair: Path | None = None
    per_class: tuple[tuple[str, Path], ...] = ()


class ClassPlane:
    """Class values of one image, looked up block by block; where files overlap the first one wins.

    Parameters
    ----------
    parts : sequence of (array-like, table)
        Stored values (Y, X) and what they mean.
    """

    ndim = 2
    dtype = np.dtype(np.uint8)

    def __init__(self, parts: Sequence[tuple[ArrayLike, Table]]):
        self._parts = [(plane, np.asarray([table.get(v, 0) for v in range(65536)], np.uint8)) for plane, table in parts]
        self.shape = (int(parts[0][0].shape[0]), int(parts[0][0].shape[1]))

    def __getitem__(self, window: Any) -> NDArray[np.uint8]:
        """Read a (Y, X) window."""
        values = np.zeros((), np.uint8)
        for plane, table in self._parts:
            values = np.where(values == 0, table[np.asarray(plane[window])], values)
        return values


class MaskValues:
    """Stored values of a mask plane as uint16, which are numbers of classes and not brightness.

    Alpha is dropped; a palette whose colours are all grey gives its greys, any other its indices.

    Parameters
    ----------
    path : Path
        For messages.
    raster : Raster
    section : int
        Which plane of it.
    inverted_at : int
        Largest value of a file that is to be read as it looks, small values being white; 0: as stored.
    """

    ndim = 2
    dtype = np.dtype(np.uint16)

    def __init__(self, path: Path, raster: Raster, section: int, inverted_at: int = 0):
        self._path, self._plane, self._inverted_at = path, raster.planes[section], inverted_at
        self.shape = (int(self._plane.shape[0]), int(self._plane.shape[1]))
        palette = raster.palette
        grey = palette is not None and bool((palette == palette[:, :1]).all())
        self._palette = luminance(palette) if grey and palette is not None else None

    def __getitem__(self, window: Any) -> NDArray[np.uint16]:
        """Read a (Y, X) window; raises `FileError` where values cannot be classes."""
        pixels = np.asarray(self._plane[window])
        if self._palette is not None:
            pixels = self._palette[pixels]
        if pixels.ndim == 3:
            colours = pixels[..., : 3 if pixels.shape[-1] > 2 else 1]
            if (colours != colours[..., :1]).any():
                raise FileError(self._path, "is a mask in colours", "save it as a grey label map, one value per class")
            pixels = colours[..., 0]
        if pixels.dtype.kind == "b":
            pixels = pixels.astype(np.uint8) * np.uint8(255)
        narrow = np.nan_to_num(pixels, nan=-1).clip(0, 65535).astype(np.uint16)
        if (narrow != pixels).any():
            found = f"is a mask with values that are no whole numbers from 0 to 65535 ({pixels.dtype})"
            raise FileError(self._path, found, "save it as an 8 bit label map, one value per class")
        return np.asarray(self._inverted_at - narrow if self._inverted_at else narrow, dtype=np.uint16)

    def counts(self) -> dict[int, int]:
        """Count the pixels of each value."""
        total = np.zeros(65536, np.int64)
        for window in blocks(self.shape):
            total += np.bincount(self[window].ravel(), minlength=65536)
        return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def read_masks(
    files: MaskFiles,
    section: int,
    shape: tuple[int, ...],
    classes: Sequence[ClassSpec],
    mask_values: Mapping[int, int],
    opened: dict[Path, Raster] | None = None,
) -> ClassPlane:
    """Read the labels of one image.

    Parameters
    ----------
    files : MaskFiles
    section : int
        Which plane, if the files are stacks.
    shape : tuple of int
        (Y, X) of the image.
    classes : sequence of ClassSpec
        Classes the image may have; where binary files overlap, the earlier class wins. In 0/127/255 files 255 is the
        inner class of the nested pair and 127 the outer one, else the first and the second class.
    mask_values : mapping of int to int
        Value in a label map -> class value; 255 is unlabelled. Empty: told from the values.
    opened : dict of Path to Raster, optional
        Files that are open already; those opened here are added, so that a stack is unpacked once for all its sections.

    Returns
    -------
    ClassPlane
        (Y, X) uint8: 0 background, class values, 255 unlabelled.

    Raises
    ------
    FileError
        If a file is unreadable, of another size than the image, or has values that are no class.
    """
    by_name = {spec.name.casefold(): spec for spec in classes}
    binary = {by_name[name.casefold()].value: path for name, path in files.per_class if name.casefold() in by_name}
    parts = []
    rasters = {} if opened is None else opened
    if files.label_map:
        plane, counts = _open(files.label_map, section, shape, rasters)
        beside = partial(has_beside, files.label_map)
        parts.append((plane, label_table(files.label_map, counts, classes, mask_values, beside)))
    elif files.pair and not _complete(binary, classes, files.pair):
        plane, counts = _open(files.pair, section, shape, rasters)
        parts.append((plane, pair_table(files.pair, counts, classes)))
        binary = {value: path for value, path in binary.items() if value not in pair_of(files.pair, classes)}
    for spec in classes:
        if spec.value in binary:
            plane, counts = _open(binary[spec.value], section, shape, rasters)
            parts.append((plane, binary_table(binary[spec.value], counts, spec.value)))
    return ClassPlane(parts)


def has_beside(path: Path, value: int) -> bool:
    """Whether a label map of one class lies beside a mask: a file of the same kind with its value, 0 and 255 alone."""
    return path.is_file() and _has_label_map(path.parent, path.suffix, value, path.parent.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _has_label_map(folder: Path, suffix: str, value: int, _changed: int) -> bool:
    """Whether one of the first files of a folder, first planes, is a label map of one class."""
    return any(_is_label_map(path, value) for path in sorted(folder.glob(f"*{suffix}"))[:MOST_BESIDE])


def _is_label_map(path: Path, value: int) -> bool:
    """Whether a file has the value of a class, and besides it 0 and 255 at most."""
    seen = _values_until(path, lambda seen: not seen <= {0, value, IGNORE})
    return value in seen <= {0, value, IGNORE}


def has_few_values(path: Path) -> bool:
    """Whether the first plane of a file has no more than 0, 127 and 255 need, as no image has."""
    return 0 < len(_values_until(path, lambda seen: len(seen) > LEVELS)) <= LEVELS


def _values_until(path: Path, enough: Callable[[set[int]], bool]) -> set[int]:
    """Values of the first plane of a file, read until they are enough; images soon show many. None where unreadable."""
    seen: set[int] = set()
    with suppress(FileError), readable(path):
        plane = MaskValues(path, open_raster(path), 0)
        for window in blocks(plane.shape):
            seen |= {int(found) for found in np.unique(plane[window])}
            if enough(seen):
                break
    return seen


def _complete(binary: Mapping[int, Path], classes: Sequence[ClassSpec], path: Path) -> bool:
    """Whether both classes of a combined file have files of their own."""
    return set(pair_of(path, classes)) <= set(binary)


def _open(
    path: Path, section: int, shape: tuple[int, ...], rasters: dict[Path, Raster]
) -> tuple[MaskValues, dict[int, int]]:
    """Open one plane of a mask file and count its values."""
    with readable(path):
        if path not in rasters:
            rasters[path] = open_raster(path)
        raster = rasters[path]
        if section >= len(raster.planes):
            found = f"has {len(raster.planes)} section(s), the image has more"
            raise FileError(path, found, "give a mask with as many sections as the image")
        plane = MaskValues(path, raster, section)
        if plane.shape != tuple(shape):
            found = f"mask of {size(plane.shape)} does not fit the image of {size(shape)}"
            raise FileError(path, found, "give the mask of this very image, neither cropped nor resampled")
        counts = plane.counts()
        top = 65535 if max(counts) > 255 else 255
        if raster.min_is_white and {0, top}.issuperset(counts):
            plane = MaskValues(path, raster, section, inverted_at=top)
            counts = {top - value: count for value, count in counts.items()}
    return plane, counts
