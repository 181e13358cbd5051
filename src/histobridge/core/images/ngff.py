"""What the metadata of an OME-Zarr image group say, versions 0.4 and 0.5."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histobridge.core.images.problem import FileError, reachable, readable

UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25400.0,
}
"""µm in one unit of length, by the names that OME-NGFF uses."""


@dataclass(frozen=True)
class Multiscale:
    """One OME-Zarr image, opened; no pixel is read yet.

    Parameters
    ----------
    arrays : tuple of zarr.Array
        Finest first; the last two axes are (Y, X).
    axes : tuple of str
        Name of each axis, such as ``("z", "y", "x")``.
    factors : tuple of float
        Downsampling of each array against the first.
    pixel_sizes_um : (float, float), optional
        Height and width of a pixel of the finest array in µm; none where scale or unit is not stated.
    labels : tuple of str
        Names of the label images beside it.
    """

    arrays: tuple[Any, ...]
    axes: tuple[str, ...]
    factors: tuple[float, ...]
    pixel_sizes_um: tuple[float, float] | None
    labels: tuple[str, ...]


def open_multiscale(path: Path | str) -> Multiscale:
    """Open an OME-Zarr image group.

    Parameters
    ----------
    path : Path or str
        Folder of the group, or its URL; also a bioformats2raw folder, whose first image is taken.

    Raises
    ------
    FileError
        If it is no OME-Zarr image.
    """
    import zarr

    remedy = "give the folder of the image, the one whose .zattrs or zarr.json lists `multiscales`"
    try:
        with reachable(path):
            group = zarr.open_group(str(path), mode="r")
    except (OSError, ValueError, LookupError, TypeError, ImportError) as error:
        raise FileError(path, f"is no readable OME-Zarr group ({error})", remedy) from error
    ome = _ome(group)
    if "bioformats2raw.layout" in ome and "0" in group:
        return open_multiscale(f"{path}/0")
    if not ome.get("multiscales"):
        found = "a plate" if "plate" in ome else "a Zarr group without `multiscales`"
        raise FileError(path, f"is {found}, not an OME-Zarr image", remedy)
    with readable(path):
        return _multiscale(path, group, ome["multiscales"][0])


def _ome(group: Any) -> dict[str, Any]:
    """Metadata of OME: under `ome` since 0.5, at the top before."""
    attributes: dict[str, Any] = dict(group.attrs)
    inner: dict[str, Any] = attributes.get("ome") or attributes
    return inner


def _multiscale(path: Path | str, group: Any, entry: dict[str, Any]) -> Multiscale:
    import zarr

    datasets = entry["datasets"]
    arrays = [group.get(dataset["path"]) for dataset in datasets]
    if any(not isinstance(array, zarr.Array) or array.ndim < 2 for array in arrays):
        raise FileError(path, "lacks a level that its metadata list", "copy it again from where it came")
    ndim = arrays[0].ndim
    axes = entry.get("axes") or "tczyx"[-ndim:]
    names = [axis["name"] if isinstance(axis, dict) else str(axis) for axis in axes]
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in axes]
    scales = [_scale(entry, dataset, ndim) for dataset in datasets]
    if all(scale is not None for scale in scales):
        factors = [float(scale[-1] / scales[0][-1]) for scale in scales]
    else:
        factors = [float(arrays[0].shape[-1] / array.shape[-1]) for array in arrays]
    labels = _ome(group["labels"]).get("labels", ()) if "labels" in group else ()
    return Multiscale(tuple(arrays), tuple(names), tuple(factors), _sizes_um(scales[0], units), tuple(labels))


def _scale(entry: dict[str, Any], dataset: dict[str, Any], ndim: int) -> Any:
    """Return the size of a pixel along each axis, in the units of the axes; none if not stated."""
    steps = [*dataset.get("coordinateTransformations", ()), *entry.get("coordinateTransformations", ())]
    scales = [step["scale"] for step in steps if step.get("type") == "scale" and len(step.get("scale", ())) == ndim]
    return np.prod(scales, axis=0) if scales else None


def _sizes_um(scale: Any, units: Sequence[str | None]) -> tuple[float, float] | None:
    """Return (height, width) of a pixel in µm; none where scale or unit is not stated."""
    factors = [UM_PER_UNIT.get(unit or "") for unit in units[-2:]]
    if scale is None or len(units) != len(scale) or None in factors:
        return None
    height, width = (float(size) * (factor or 0) for size, factor in zip(scale[-2:], factors, strict=True))
    return (height, width) if height > 0 and width > 0 else None
