"""TIFF and OME-TIFF: planes, pixel size, photometric meaning."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.problem import FileError, readable
from histobridge.core.images.raster import ONE_PLANE, Raster, any_size, frame_raster

IN_MEMORY = 256 * 2**20
"""Bytes; larger files are mapped, or unpacked to a temporary file, so that memory does not grow with them."""

LARGEST_UM = 20.0
"""Resolution tags with coarser pixels speak of paper: 72 dpi is 353 µm, 300 dpi 85 µm, 1200 dpi 21 µm."""

STACK_AXES = frozenset("ZIQ")
MICROMETRES = {
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "\\u00b5m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "pm": 1e-6,
    "å": 1e-4,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
"""µm in one unit as OME-XML, ImageJ and BIDS write them, in lower case."""

Sizes = tuple[float, float] | None


def tiff_raster(path: Path) -> Raster:
    """Open a TIFF, see `open_raster`; the first image counts, reduced copies of it are skipped."""
    import tifffile

    with readable(path), tifffile.TiffFile(path) as tiff:
        series = _one_series(path, tiff.series)
        page = series.keyframe
        sizes, stated_in = _pixel_sizes(tiff, page)
        known = Raster(
            planes=[],
            palette=_palette(page),
            min_is_white=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
            pixel_sizes_um=sizes,
            pixel_size_from=stated_in,
        )
        axes = _axes(path, series)
        _check_complete(path, series)
        try:
            pixels = series.asarray(out="memmap" if series.nbytes > IN_MEMORY else None, squeeze=False)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return _unpacked_by_pillow(path, known, len(series.pages))
    return _with_planes(known, pixels, axes)


def _one_series(path: Path, series: Sequence[Any]) -> Any:
    """Return the first image; others must be thumbnails of it."""
    first = series[0]
    others = [other for other in series[1:] if other.size * 4 > first.size]
    if others:
        raise FileError(path, f"holds {len(others) + 1} different images", "save each as a file of its own")
    return first


def _axes(path: Path, series: Any) -> str:
    """Return the axes of the series, with all that is longer than 1 being Y, X, S or one stack axis."""
    axes: str = series.get_axes(False)
    shape = series.get_shape(False)
    long = [axis for axis, length in zip(axes, shape, strict=True) if length > 1 and axis not in "YXS"]
    if "Y" not in axes or "X" not in axes or len(long) > 1 or not STACK_AXES.issuperset(long):
        found = f"has axes {axes} of lengths {tuple(shape)}, not one plane or one stack"
        raise FileError(path, found, ONE_PLANE)
    return axes


def _check_complete(path: Path, series: Any) -> None:
    """Raise if strips or tiles lie beyond the end of their file, which tifffile would fill with zeros."""
    for page in filter(None, series.pages):
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        there = page.parent.filehandle.size
        if max(ends, default=there + 1) > there:
            found = f"is cut off: {max(ends, default=0)} bytes announced, {there} found"
            raise FileError(path, found, "copy it again from where it came")


def _with_planes(known: Raster, pixels: NDArray[Any], axes: str) -> Raster:
    """Cut an array into planes (Y, X) or (Y, X, samples)."""
    keep = "YXS" if "S" in axes and pixels.shape[axes.index("S")] > 1 else "YX"
    leading = [index for index, axis in enumerate(axes) if axis not in keep]
    pixels = np.transpose(pixels, leading + [axes.index(axis) for axis in keep])
    stack = max((pixels.shape[index] for index in range(len(leading))), default=1) > 1
    planes = pixels.reshape(-1, *pixels.shape[len(leading) :])
    return replace(known, planes=[planes[index] for index in range(len(planes))], stack=stack)


def _unpacked_by_pillow(path: Path, known: Raster, frames: int) -> Raster:
    """Read LZW, JPEG and fax compression, which tifffile leaves to a package of its own."""
    from PIL import Image

    planes = []
    with any_size(), Image.open(path) as picture:
        for index in range(frames):
            picture.seek(index)
            plane = np.array(frame_raster(picture).planes[0])
            if known.min_is_white and picture.mode in ("1", "L"):
                plane = ~plane
            planes.append(plane)
    return replace(known, planes=planes, stack=frames > 1)


def _palette(page: Any) -> NDArray[np.uint8] | None:
    """Return (values, 3) uint8 of a palette image."""
    if page.colormap is None or page.photometric.name != "PALETTE":
        return None
    return np.asarray(page.colormap.T >> 8, dtype=np.uint8)


def _pixel_sizes(tiff: Any, page: Any) -> tuple[Sizes, str]:
    """Return (height, width) of a pixel in µm and where it is stated: OME first, then ImageJ, then the tags."""
    if tiff.is_ome and (sizes := ome_sizes_um(tiff.ome_metadata or "")):
        return sizes, "OME metadata"
    per_unit = [_ratio(page.tags.get(name)) for name in ("YResolution", "XResolution")]
    if tiff.is_imagej and (unit := str((tiff.imagej_metadata or {}).get("unit", "")).lower()):
        if unit in MICROMETRES:
            return _sizes(per_unit, MICROMETRES[unit]), "ImageJ metadata"
        if unit not in ("inch", "in"):
            return None, ""
    unit_tag = page.tags.get("ResolutionUnit")
    um = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}.get(int(unit_tag.value) if unit_tag else 1)
    sizes = _sizes(per_unit, um) if um else None
    return (sizes, "TIFF resolution") if sizes and max(sizes) < LARGEST_UM else (None, "")


def _ratio(tag: Any) -> float:
    """Value of a rational tag; 0 if missing or senseless."""
    if tag is None or len(tag.value) != 2 or not tag.value[1]:
        return 0.0
    return float(tag.value[0] / tag.value[1])


def _sizes(per_unit: Sequence[float], um: float) -> Sizes:
    height, width = per_unit
    return (um / height, um / width) if height > 0 and width > 0 else None


def ome_sizes_um(xml: str) -> Sizes:
    """Return (height, width) of a pixel in µm from OME-XML; none if not stated in a unit of length.

    Source: OME schema 2016-06, `PhysicalSizeX` and `PhysicalSizeXUnit`, whose default is µm.
    """
    try:
        pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    if pixels is None:
        return None
    sizes = []
    for axis in "YX":
        unit = MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower(), math.nan)
        sizes.append(float(pixels.get(f"PhysicalSize{axis}", "nan")) * unit)
    return (sizes[0], sizes[1]) if all(size > 0 for size in sizes) else None
