"""One image file as stored: PNG and the like here, TIFF in tiff.py, OME-Zarr in ngff.py."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.ngff import Multiscale, open_multiscale
from histobridge.core.images.problem import FileError, readable
from histobridge.core.images.pyramid import ArrayLike, Plane

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
ENDINGS = (*PICTURE_ENDINGS, *TIFF_ENDINGS)
ONE_PLANE = "save each channel or time point as a file of its own (Fiji: Image > Stacks > Stack to Images)"


@dataclass(frozen=True)
class Raster:
    """What a file holds, uninterpreted.

    Parameters
    ----------
    planes : sequence of array-like
        Sections, each (Y, X) or (Y, X, samples) with samples grey+alpha, RGB or RGBA.
    stack : bool
        Whether the file is a stack, be it of one section.
    palette : ndarray, optional
        (values, 3) uint8: colour of each pixel value.
    min_is_white : bool
        Whether small values are to be shown bright.
    pixel_sizes_um : (float, float), optional
        Height and width of a pixel in µm, where the file states them.
    pixel_size_from : str
        Where they are stated.
    """

    planes: Sequence[ArrayLike]
    stack: bool = False
    palette: NDArray[np.uint8] | None = None
    min_is_white: bool = False
    pixel_sizes_um: tuple[float, float] | None = None
    pixel_size_from: str = ""


def is_zarr(path: Path) -> bool:
    """Whether a path is a Zarr group or the URL of one."""
    return is_url(path) or any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup"))


def is_url(path: Path) -> bool:
    """Whether a path is meant as a URL; `Path` leaves one slash of ``://``."""
    head, colon, tail = str(path).partition(":/")
    return bool(colon) and len(head) > 1 and "/" not in head and bool(tail)


def address(path: Path) -> str:
    """Write a path or URL as a reader wants it."""
    head, _, tail = str(path).partition(":/")
    return f"{head}://{tail.lstrip('/')}" if is_url(path) else str(path)


def stem(path: Path) -> str:
    """File name without its ending; ``.ome.tif`` and ``.ome.zarr`` are one ending."""
    name = path.name
    for ending in (*ENDINGS, ".zarr"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            return name[:-4] if name.lower().endswith(".ome") else name
    return name


def open_raster(path: Path) -> Raster:
    """Open one file.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF, OME-TIFF or OME-Zarr.

    Returns
    -------
    Raster
        Large TIFF and all OME-Zarr stay on disk until sliced.

    Raises
    ------
    FileError
        If it is missing, empty, damaged, of an unknown kind, or has several channels or time points.
    """
    if is_zarr(path):
        return _zarr_raster(path)
    if not path.is_file():
        raise FileError(path, "is not there", "check the name, or plug in the drive it lies on")
    if path.stat().st_size == 0:
        raise FileError(path, "is empty (0 bytes)", "copy it again from where it came")
    if path.name.lower().endswith(TIFF_ENDINGS):
        from histobridge.core.images.tiff import tiff_raster

        return tiff_raster(path)
    if path.name.lower().endswith(PICTURE_ENDINGS):
        return _picture_raster(path)
    raise FileError(path, "is of a kind that is not read here", "save it as PNG, TIFF, OME-TIFF or OME-Zarr")


def _zarr_raster(path: Path) -> Raster:
    image = open_multiscale(address(path))
    array = image.arrays[0]
    long = [axis for axis, length in zip(image.axes[:-2], array.shape[:-2], strict=True) if length > 1]
    if long and long != ["z"]:
        found = f"has axes {', '.join(image.axes)} of lengths {tuple(array.shape)}, not one plane or a stack along z"
        raise FileError(path, found, "export one channel and one time point")
    planes = [array] if array.ndim == 2 else [Plane(array, index) for index in np.ndindex(array.shape[:-2])]
    return Raster(planes, bool(long), pixel_sizes_um=image.pixel_sizes_um, pixel_size_from=_from(image))


def _from(image: Multiscale) -> str:
    return "OME-Zarr metadata" if image.pixel_sizes_um else ""


def _picture_raster(path: Path) -> Raster:
    """Read PNG, JPEG or BMP; the resolution they state is about paper and left aside."""
    from PIL import Image

    with readable(path), any_size(), Image.open(path) as picture:
        if _loses_depth(path, picture.mode):
            found = "has 16 bit and several channels, of which only 8 bit would be read"
            raise FileError(path, found, "save it as 16 bit grey, or as TIFF")
        return frame_raster(picture)


@contextmanager
def any_size() -> Iterator[None]:
    """Lift Pillow's guard against pictures over 179 megapixels: these files are the user's own."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _loses_depth(path: Path, mode: str) -> bool:
    """Whether a PNG has more bits than Pillow gives for its mode; the depth is byte 24 of the file."""
    with path.open("rb") as stream:
        head = stream.read(26)
    return head[1:4] == b"PNG" and head[24] == 16 and mode in ("LA", "RGB", "RGBA")


def frame_raster(picture: Any) -> Raster:
    """Interpret one frame that Pillow has opened."""
    if picture.mode == "P":
        palette = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        return Raster([np.asarray(picture)], palette=palette)
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "F") and not picture.mode.startswith("I;16"):
        picture = picture.convert("RGB")
    return Raster([np.asarray(picture)])
