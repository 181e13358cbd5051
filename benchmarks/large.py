"""Very large images, made cheaply: one synthetic field repeated, each distinct chunk written once and linked."""

import os
from pathlib import Path

import numpy as np

from histobridge.core.config import AddImagesConfig, ProposeConfig
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import CHUNK, SMALLEST, halve
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.project import Project
from histobridge.core.synthetic import SyntheticField, two_modalities


class Tiled:
    """A field (Y, X), repeated to any size; computed where it is sliced."""

    def __init__(self, field: np.ndarray, size: int):
        self.field, self.shape, self.dtype = field, (size, size), field.dtype

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        rows, columns = (
            np.arange(*part.indices(size)) % side
            for part, size, side in zip(window, self.shape, self.field.shape, strict=True)
        )
        return self.field[np.ix_(rows, columns)]


def target_field(side: int) -> SyntheticField:
    """Make one field of the target, with its truth."""
    return next(made for made in two_modalities(1, side) if made.domain == "target")


def write_large(folder: Path, field: np.ndarray, size: int, pixel_um: float) -> None:
    """Write `field`, repeated to `size` pixels a side, as an OME-Zarr pyramid; both are powers of two."""
    import zarr

    group = zarr.create_group(str(folder), zarr_format=3)
    datasets = []
    while True:
        level, pixel = len(datasets), pixel_um * 2 ** len(datasets)
        write_repeated(folder / str(level), field, size >> level)
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [pixel, pixel]}]})
        if size >> level < SMALLEST:
            break
        field = halve(field)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": "large", "axes": axes, "datasets": datasets}]}


def write_repeated(folder: Path, field: np.ndarray, size: int) -> None:
    """Write `field`, repeated to `size` pixels a side, as a zarr array: the first chunks, and links to them."""
    import zarr

    chunk = min(CHUNK, size)
    array = zarr.create_array(str(folder), shape=(size, size), chunks=(chunk, chunk), dtype=field.dtype)
    period = min(size, max(len(field), chunk))
    array[:period, :period] = Tiled(field, period)[:, :]
    distinct = period // chunk
    for row in range(size // chunk):
        (folder / "c" / str(row)).mkdir(exist_ok=True)
        for column in range(size // chunk):
            first = folder / "c" / str(row % distinct) / str(column % distinct)
            here = folder / "c" / str(row) / str(column)
            if not here.exists() and first.exists():
                os.link(first, here)


def add_large(project: Project, name: str, field: SyntheticField, size: int) -> None:
    """Add a target image of any size to a project that is being edited, as a reference to an OME-Zarr beside it."""
    folder = project.path.with_name(f"{name}.ome.zarr")
    write_large(folder, field.image, size, field.pixel_size_um)
    run = project.create_run("add", AddImagesConfig())
    known = {"pixel_size_um": field.pixel_size_um, "pixel_size_from": "user", "reference": f"../{folder.name}"}
    record = image_record(name, "target", subject="rat9", sha256="0" * 64, **known)
    stage_array(run, record, Tiled(field.image, size))
    project.adopt(run)
    run.end(run.state(), "finished", "done")


def propose_large(project: Project, sizes: dict[str, int], field: SyntheticField) -> None:
    """Write a finished run that proposes the truth of the field, repeated, for images of these sizes."""
    run = project.create_run("propose", ProposeConfig(images=tuple(sizes)))
    for name, size in sizes.items():
        folder = run.path / "proposals" / name
        write_repeated(folder / "classes", field.classes, size)
        write_repeated(folder / "confidence", np.full_like(field.classes, 200), size)
        write_json(folder / "proposal.json", {"fractions": {}, "confidence": 200 / 255})
    run.end(run.state(), "finished", "done")
