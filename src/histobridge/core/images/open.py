"""Open any image file as grey planes of 8 or 16 bit, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.problem import FileError, readable
from histobridge.core.images.pyramid import ArrayLike, Narrowed, blocks
from histobridge.core.images.raster import Raster, open_raster

SAVE_AS = "save it as unsigned 8 or 16 bit (Fiji: Image > Type)"


class Grey:
    """One plane as grey values, converted block by block where it is sliced.

    Colours become their luminance (ITU-R BT.601, exact for colours that are grey), alpha is dropped, bilevel becomes 0
    and 255, and where small values are white (TIFF) they are inverted.

    Parameters
    ----------
    plane : array-like
        (Y, X) or (Y, X, samples).
    raster : Raster
        The file it comes from.
    """

    ndim = 2

    def __init__(self, plane: ArrayLike, raster: Raster):
        self._plane, self._palette, self._invert = plane, raster.palette, raster.min_is_white
        self.shape = (int(plane.shape[0]), int(plane.shape[1]))
        stored = np.dtype(plane.dtype)
        eight = self._palette is not None or stored.kind == "b"
        self.dtype = np.dtype(np.uint8) if eight else stored.newbyteorder("=")

    def __getitem__(self, window: Any) -> NDArray[Any]:
        """Read a (Y, X) window."""
        pixels = np.asarray(self._plane[window])
        if self._palette is not None:
            return np.asarray(luminance(self._palette)[pixels])
        if pixels.ndim == 3:
            pixels = pixels[..., 0] if pixels.shape[-1] == 2 else luminance(pixels[..., :3])
        if pixels.dtype.kind == "b":
            pixels = pixels.astype(np.uint8) * np.uint8(255)
        if self._invert and self.dtype.kind == "u":
            pixels = np.iinfo(self.dtype).max - pixels
        return pixels.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Opened:
    """One image file, ready to be taken section by section.

    Parameters
    ----------
    path : Path
    sections : sequence of array-like
        Each (Y, X), as the file has them; `checked` makes one fit for the project.
    stack : bool
        Whether the file is a stack; otherwise there is one section.
    pixel_size_um : float, optional
        Where the file states it.
    pixel_size_from : str
        Where it is stated.
    """

    path: Path
    sections: Sequence[ArrayLike]
    stack: bool
    pixel_size_um: float | None
    pixel_size_from: str

    def checked(self, section: int) -> ArrayLike:
        """Return one section as (Y, X) uint8 or uint16.

        Raises
        ------
        FileError
            If it is damaged, constant, has NaN, or values that neither 8 nor 16 bit hold.
        """
        with readable(self.path):
            return _fitting(self.path, self.sections[section])


def open_image(path: Path) -> Opened:
    """Open one image file.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF, OME-TIFF or OME-Zarr.

    Returns
    -------
    Opened

    Raises
    ------
    FileError
        If it is missing, empty, damaged, of an unknown kind, has several channels or time points, or no square pixels.
    """
    raster = open_raster(path)
    size_um = square(path, raster.pixel_sizes_um)
    sections: list[ArrayLike] = [Grey(_known_samples(path, plane), raster) for plane in raster.planes]
    return Opened(path, sections, raster.stack, size_um, raster.pixel_size_from if size_um else "")


def square(path: Path | str, sizes_um: tuple[float, float] | None) -> float | None:
    """Return the side of a pixel in µm; raises `FileError` if height and width differ by more than 1 %."""
    if sizes_um is None:
        return None
    height, width = sizes_um
    if abs(height - width) > 0.01 * max(height, width):
        found = f"its pixels are not square: {width:.6g} µm wide and {height:.6g} µm high"
        raise FileError(path, found, "resample it to square pixels, or correct the pixel size it states")
    return (height + width) / 2


def luminance(colours: NDArray[Any]) -> NDArray[Any]:
    """Turn (..., 3) RGB into (...) grey of the same type, by the weights of ITU-R BT.601."""
    red, green, blue = (colours[..., index].astype(np.uint32) for index in range(3))
    return np.asarray((299 * red + 587 * green + 114 * blue + 500) // 1000, dtype=colours.dtype)


def _known_samples(path: Path, plane: ArrayLike) -> ArrayLike:
    """Let through grey, grey+alpha, RGB and RGBA; colours only in 8 or 16 bit."""
    samples = plane.shape[2] if len(plane.shape) == 3 else 1
    if len(plane.shape) not in (2, 3) or samples > 4:
        found = f"has shape {tuple(plane.shape)}, not one grey or colour plane"
        raise FileError(path, found, "save each channel as a file of its own (Fiji: Image > Color > Split Channels)")
    if samples > 1 and np.dtype(plane.dtype) not in (np.uint8, np.uint16):
        raise FileError(path, f"has colours of type {plane.dtype}", SAVE_AS)
    if min(plane.shape[:2]) < 2:
        raise FileError(path, f"has shape {tuple(plane.shape)}, not rows and columns", "give a 2-D image")
    return plane


def _fitting(path: Path, plane: ArrayLike) -> ArrayLike:
    """Look at every pixel once and return the plane as 8 or 16 bit."""
    low, high, whole = np.inf, -np.inf, True
    for rows, columns in blocks((int(plane.shape[0]), int(plane.shape[1]))):
        pixels = np.asarray(plane[rows, columns])
        if pixels.dtype.kind == "f":
            if not np.isfinite(pixels).all():
                raise FileError(path, "has pixels that are not a number (NaN) or infinite", f"repair it and {SAVE_AS}")
            whole = whole and bool((pixels == np.round(pixels)).all())
        low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
    if low == high:
        raise FileError(path, f"is constant: every pixel is {low:g}", "leave it out, or export it again")
    dtype = np.dtype(plane.dtype)
    if dtype in (np.uint8, np.uint16):
        return plane
    if not whole or low < 0 or high > 65535 or dtype.kind not in "uif":
        raise FileError(path, f"has type {dtype} and values from {low:g} to {high:g}", SAVE_AS)
    return Narrowed(plane, np.uint8 if high <= 255 and dtype.kind == "f" else np.uint16)
