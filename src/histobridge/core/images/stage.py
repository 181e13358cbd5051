"""Put one image into the folder of an import run, whole or not at all."""

import hashlib
import re
import shutil
import unicodedata
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

from histobridge.core.adopting import LABELS_ONLY
from histobridge.core.config import Domain
from histobridge.core.disk import pyramid_bytes, room_for
from histobridge.core.files import read_json, rename_durably, shortened, write_json
from histobridge.core.images.problem import FileError
from histobridge.core.images.pyramid import ArrayLike, blocks, write_pyramid
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.runs import Run


def stage_array(
    run: Run,
    record: ImageRecord,
    image: ArrayLike,
    classes: ArrayLike | None = None,
    state: ArrayLike | None = None,
    *,
    labels_only: bool = False,
) -> ImageRecord:
    """Stage one image, and its labels if there are any, for `Project.adopt`.

    Parameters
    ----------
    run : Run
        The import run; ``staged/<id>`` is made in it at once, when all is written.
    record : ImageRecord
        What is known of the image; shape, dtype, `has_masks` and an empty `sha256` are set here. With a `reference`
        no pixels are written.
    image : array-like
        (Y, X) uint8 or uint16, native resolution; read in blocks.
    classes : array-like, optional
        (Y, X) uint8: 0 background, class values, 255 unlabelled.
    state : array-like, optional
        (Y, X) uint8, see `histobridge.core.states`; none: accepted, and ignore where unlabelled.
    labels_only : bool
        The image is in the project already, under this id, and gets labels.

    Returns
    -------
    ImageRecord
        As staged.

    Raises
    ------
    FileError
        If the image is not 2-D or not 8 or 16 bit, or the labels have another size.
    ProjectError
        If the disk has no room for it.
    """
    from histobridge.core.labels import LabelStore

    where = record.origin or record.id
    if len(image.shape) != 2 or np.dtype(image.dtype) not in (np.uint8, np.uint16):
        found = f"has shape {tuple(image.shape)} and type {image.dtype}, not (Y, X) and 8 or 16 bit"
        raise FileError(where, found, "give one plane of unsigned 8 or 16 bit")
    shape = (int(image.shape[0]), int(image.shape[1]))
    for part in (classes, state):
        if part is not None and tuple(part.shape) != shape:
            found = f"labels of {size(part.shape)} do not fit the image of {size(shape)}"
            raise FileError(where, found, "give labels of the same image, neither cropped nor resampled")
    measured: dict[str, Any] = {"shape": shape, "dtype": np.dtype(image.dtype).name, "has_masks": classes is not None}
    record = record.model_copy(update=measured | {"sha256": record.sha256 or sha256_of_pixels(image)})
    incoming = run.path / "incoming" / record.id
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        if labels_only:
            (incoming / LABELS_ONLY).touch()
        elif not record.reference:
            room_for(incoming, pyramid_bytes(shape, image.dtype))
            write_pyramid(incoming / "image", image, record.pixel_size_um)
        if classes is not None:
            LabelStore.create(incoming / "labels", shape, classes=classes, state=state)
        write_json(incoming / "record.json", record.model_dump(mode="json"))
        (run.path / "staged").mkdir(exist_ok=True)
        rename_durably(incoming, run.path / "staged" / record.id)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return record


def new_id(name: str, taken: Set[str]) -> str:
    """Make an image id from a file name: letters, digits, dot, dash, underscore; a number behind it if taken.

    That of a very long name is cut, since folders and files are named after it.

    `taken` are ids in small letters.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    base = shortened(re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._") or "image")
    number, found = 1, base
    while found.casefold() in taken:
        number += 1
        found = f"{base}-{number}"
    return found


def staged_records(run: Run) -> list[ImageRecord]:
    """Return what an import run has staged so far and the project has not yet taken in."""
    paths = sorted((run.path / "staged").glob("*/record.json"))
    return [ImageRecord.model_validate(read_json(path)) for path in paths]


def staged_ids(project: Project) -> set[str]:
    """Ids, in small letters, of what import runs have staged and the project has not yet taken in."""
    return {path.parent.name.casefold() for path in (project.path / "runs").glob("*/staged/*/record.json")}


def sha256_of_file(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_pixels(image: ArrayLike) -> str:
    """Hash shape, type and pixels, block by block, of what is not one file."""
    digest = hashlib.sha256(f"{tuple(image.shape)} {np.dtype(image.dtype).name}".encode())
    for rows, columns in blocks((int(image.shape[0]), int(image.shape[1]))):
        digest.update(np.ascontiguousarray(image[rows, columns]).data)
    return digest.hexdigest()


def size(shape: tuple[int, ...]) -> str:
    """Write a (Y, X) shape as the user knows it, width first."""
    return f"{shape[-1]} x {shape[-2]} pixels"


def image_record(name: str, domain: Domain, **known: Any) -> ImageRecord:
    """Make the record of an image to be staged; shape and type are set by `stage_array`."""
    return ImageRecord(id=name, domain=domain, shape=(1, 1), dtype="uint8", **known)
