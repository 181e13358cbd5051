"""Write label maps as PNG and TIFF, block by block, and read them back."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from histobridge.core.export_publish import ReadBackError, need_equal, need_identical, published
from histobridge.core.export_staging import ExportItem
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import ArrayLike

TILE = 512
ROWS = 256

Writer = Callable[[Path, ArrayLike, float | None], None]


def png_names(image_id: str) -> tuple[str, ...]:
    """Names of the PNG files of an image; the class map first."""
    return tuple(f"{image_id}_{name}.png" for name in ("classes", "state"))


def tiff_names(image_id: str) -> tuple[str, ...]:
    """Names of the TIFF files of an image; the class map first."""
    return tuple(f"{image_id}_{name}.ome.tif" for name in ("classes", "state", "fibres"))


def write_png_maps(item: ExportItem, out: Path, *, replace: bool) -> list[Path]:
    """Write class values and states as grey 8-bit PNG; pixels are values, not shades.

    Parameters
    ----------
    item : ExportItem
    out : Path
        Folder that exists.
    replace : bool
        Whether files of the same names may be replaced.

    Returns
    -------
    list of Path
        The class map first; a ``.json`` beside it has the provenance.

    Raises
    ------
    ReadBackError
        If what was written reads back differently.
    """
    images = (item.labels.classes, item.labels.state)
    return _write_maps(item, [out / name for name in png_names(item.record.id)], images, write_png, replace)


def write_tiff_maps(item: ExportItem, out: Path, *, replace: bool) -> list[Path]:
    """Write class values and states (uint8) and fibres (uint32) as OME-TIFF with pixel size; see `write_png_maps`."""
    names = [out / name for name in tiff_names(item.record.id)]
    images = (item.labels.classes, item.labels.state, item.labels.fibres)
    return _write_maps(item, names, images, write_tiff, replace)


def _write_maps(
    item: ExportItem, finals: list[Path], images: tuple[ArrayLike | None, ...], write: Writer, replace: bool
) -> list[Path]:
    """Write each map that exists, verified, then the provenance beside the first."""
    written = []
    for final, image in zip(finals, images, strict=True):
        if image is not None:
            with published(final, replace=replace) as beside:
                write(beside, image, item.record.pixel_size_um)
            written.append(final)
    write_json(finals[0].with_name(finals[0].name + ".json"), item.provenance)
    return written


def write_png(path: Path, image: ArrayLike, pixel_size_um: float | None) -> None:
    """Write (Y, X) uint8 as grey PNG a band of rows at a time, with pixels per metre, and read it back."""
    with path.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        _chunk(stream, b"IHDR", struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 0, 0, 0, 0))
        if pixel_size_um and (per_metre := round(1e6 / pixel_size_um)) < 2**31:
            _chunk(stream, b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
        compressor = zlib.compressobj(6)
        for top in range(0, image.shape[0], ROWS):
            band = np.asarray(image[top : min(top + ROWS, image.shape[0]), :])
            # Each row of a PNG starts with its filter, 0 for none.
            _chunk(stream, b"IDAT", compressor.compress(np.pad(band, ((0, 0), (1, 0))).tobytes()))
        _chunk(stream, b"IDAT", compressor.flush())
        _chunk(stream, b"IEND", b"")
    _verify_png(path, image)


def _chunk(stream: BinaryIO, kind: bytes, data: bytes) -> None:
    """Write one PNG chunk: length, kind, data, checksum; empty data chunks are left out."""
    if data or kind == b"IEND":
        stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _verify_png(path: Path, meant: ArrayLike) -> None:
    """Read a PNG back with Pillow; takes one byte a pixel."""
    from PIL.PngImagePlugin import PngImageFile

    # Opened by its class: Image.open takes large images for decompression bombs.
    with PngImageFile(path) as image:
        need_equal(image.mode, "L", f"{path.name}: kind of pixels")
        image.load()
        need_identical(_Cropped(image), meant, path.name)


class _Cropped:
    """A Pillow image that is sliced like an array."""

    dtype = np.dtype(np.uint8)

    def __init__(self, image: Any):
        self._image = image
        self.shape = (image.height, image.width)

    def __getitem__(self, window: Any) -> NDArray[np.uint8]:
        """Read a (Y, X) window."""
        rows, columns = window
        return np.asarray(self._image.crop((columns.start, rows.start, columns.stop, rows.stop)))


def write_tiff(path: Path, image: ArrayLike, pixel_size_um: float | None) -> None:
    """Write (Y, X) integers as tiled, compressed OME-TIFF with pixel size in OME-XML and resolution tags; verify."""
    import tifffile

    size: dict[str, Any] = {}
    metadata: dict[str, Any] = {"axes": "YX"}
    if pixel_size_um:
        size = {"resolution": (1e4 / pixel_size_um, 1e4 / pixel_size_um), "resolutionunit": "CENTIMETER"}
        for axis in "XY":
            metadata |= {f"PhysicalSize{axis}": pixel_size_um, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(
        path,
        _tiles(image),
        shape=tuple(image.shape),
        dtype=image.dtype,
        tile=(TILE, TILE),
        compression="zlib",
        photometric="minisblack",
        ome=True,
        metadata=metadata,
        **size,
    )
    _verify_tiff(path, image, pixel_size_um)


def _tiles(image: ArrayLike) -> Iterator[NDArray[Any]]:
    """Tiles of an image, row by row."""
    for top in range(0, image.shape[0], TILE):
        for left in range(0, image.shape[1], TILE):
            window = (slice(top, min(top + TILE, image.shape[0])), slice(left, min(left + TILE, image.shape[1])))
            yield np.ascontiguousarray(image[window])


def _verify_tiff(path: Path, meant: ArrayLike, pixel_size_um: float | None) -> None:
    """Read a TIFF back tile by tile, and its resolution."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        need_equal((page.shape, page.dtype), (tuple(meant.shape), np.dtype(meant.dtype)), f"{path.name}: shape, type")
        if pixel_size_um:
            read = 1e4 / page.get_resolution("CENTIMETER")[0]
            need_equal(f"{read:.5g}", f"{pixel_size_um:.5g}", f"{path.name}: pixel size")
        for tile, (*_, top, left, _), _ in page.segments():
            if tile is None:
                raise ReadBackError(f"{path.name}: the tile at ({top}, {left}) is missing; export again")
            pixels = tile[0, :, :, 0][: meant.shape[0] - top, : meant.shape[1] - left]
            rows, columns = slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1])
            need_identical(pixels, np.asarray(meant[rows, columns]), f"{path.name}: tile at ({top}, {left})")
