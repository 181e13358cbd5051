"""Label maps that are compared: those of a folder, and the proposals of a project."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import InputError
from histobridge.core.images.masks import MaskFiles, read_masks
from histobridge.core.images.open import square
from histobridge.core.images.pairing import EXPORTED_BESIDE
from histobridge.core.images.problem import FileError, readable
from histobridge.core.images.raster import ENDINGS, open_raster, stem
from histobridge.core.manifest import ClassSpec

if TYPE_CHECKING:
    from histobridge.core.project import Project

EXPORTED = "_classes"
"""What exported label maps have behind the name of their image."""

IMAGE_COLUMNS = ("image", "file")


@dataclass(frozen=True)
class LabelMap:
    """One label map in memory: classes (Y, X) uint8; its pixel size where the file states one, confidence if known."""

    classes: NDArray[np.uint8]
    pixel_size_um: float | None = None
    confidence: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Known:
    """What is known of an image beside its pixels; empty or none: unknown."""

    subject: str = ""
    pixel_size_um: float | None = None


@dataclass(frozen=True)
class Predictions:
    """Predictions by image name, read when asked for."""

    classes: tuple[ClassSpec, ...]
    readers: Mapping[str, Callable[[], LabelMap]]
    known: Mapping[str, Known] = field(default_factory=dict)
    run: str = ""


def label_map_files(folder: Path) -> dict[str, Path]:
    """Files of a folder by the name of their image, without ending and ``_classes``; not what exports write beside."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the folder that holds the label maps")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(ENDINGS):
            continue
        name = stem(path).removesuffix(EXPORTED)
        if name.rpartition("_")[2] in EXPORTED_BESIDE:
            continue
        if name in files:
            raise InputError(f"{files[name]} and {path.name} are both called {name}; leave one of them")
        files[name] = path
    if not files:
        raise InputError(f"{folder} holds no label maps; expected files ending in {', '.join(ENDINGS)}")
    return files


def read_label_map(path: Path, classes: tuple[ClassSpec, ...]) -> LabelMap:
    """Read one file; raises `FileError` where it is unreadable, a stack, or has values that are no class."""
    with readable(path):
        raster = open_raster(path)
    if len(raster.planes) != 1:
        raise FileError(path, f"is a stack of {len(raster.planes)} sections", "save each section as a file of its own")
    plane = read_masks(MaskFiles(label_map=path), 0, tuple(raster.planes[0].shape[:2]), classes, {})
    return LabelMap(plane[:, :], square(path, raster.pixel_sizes_um))


def of_folder(folder: Path, classes: tuple[ClassSpec, ...]) -> Predictions:
    """Label maps of a folder as predictions."""
    files = label_map_files(folder)
    return Predictions(classes, {name: partial(read_label_map, path, classes) for name, path in files.items()})


def of_project(project: "Project", run_id: str) -> Predictions:
    """Proposals of one run, or of the one in use, as predictions."""
    from histobridge.core.proposals import has_proposal

    run = project.need("proposals", run_id, "propose labels first, or name a folder of label maps").id
    records = [record for record in project.images("target") if has_proposal(project, run, record.id)]
    if not records:
        raise InputError(f"run {run} holds no proposals; `histobridge status {project.path}` lists the runs")
    readers = {record.id: partial(_proposal, project, run, record.id) for record in records}
    known = {record.id: Known(record.subject, record.pixel_size_um) for record in records}
    return Predictions(_classes_of_target(project), readers, known, run)


def _classes_of_target(project: "Project") -> tuple[ClassSpec, ...]:
    """Classes of the target; one whose outer class is not among them lies inside nothing."""
    classes = project.classes_of("target")
    names = {spec.name for spec in classes}
    return tuple(spec if spec.inside in names else spec.model_copy(update={"inside": ""}) for spec in classes)


def _proposal(project: "Project", run: str, name: str) -> LabelMap:
    from histobridge.core.proposals import read_proposal

    classes, confidence = read_proposal(project, run, name, (slice(None), slice(None)))
    return LabelMap(classes, confidence=np.divide(confidence, 255, dtype=np.float32))


def read_subjects(path: Path) -> dict[str, Known]:
    """Read a table of images: columns `image` (or `file`), `subject`, and perhaps `pixel_size_um`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except OSError as error:
        raise InputError(f"--subjects {path}: {error.strerror}; name a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--subjects {path} is not a CSV file: {error}") from error
    columns = set(rows[0]) if rows else set()
    if "subject" not in columns or not columns.intersection(IMAGE_COLUMNS):
        found = ", ".join(sorted(map(str, columns))) or "nothing"
        raise InputError(f"--subjects {path} has the columns {found}; expected image (or file) and subject")
    named = next(name for name in IMAGE_COLUMNS if name in columns)
    known = {}
    for number, row in enumerate(rows, 2):
        if not row[named] or not row["subject"]:
            raise InputError(f"--subjects {path}, line {number}: {named} or subject is empty; fill it in")
        size = row.get("pixel_size_um") or ""
        known[stem(Path(row[named]))] = Known(row["subject"], _pixel_size(path, number, size) if size else None)
    return known


def _pixel_size(path: Path, number: int, text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise InputError(f"--subjects {path}, line {number}: pixel_size_um must be a number above 0; got {text!r}")
    return size
