"""Take the images that an import run has staged into the project."""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from histobridge.core.files import fsync, read_json, write_json
from histobridge.core.manifest import ImageRecord, image_folder, label_folder
from histobridge.core.runs import Run

if TYPE_CHECKING:
    from histobridge.core.project import Project

LABELS_ONLY = "labels-only"
"""File in a staged folder whose image is in the project already, without labels."""

Known = Mapping[str, ImageRecord]
"""Images by their id in small letters."""


def adopt(project: "Project", run: Run) -> list[ImageRecord]:
    """Take the images that an import run has staged into the project; doing it again does nothing.

    A staged image is the folder ``<run>/staged/<id>`` with ``record.json`` and the folders ``image`` and ``labels``
    (each may be missing). It gets another id if another import has taken its own in the meantime, or has left folders
    of that name behind, and is dropped if another import has brought the same file. Labels for an image that is in the
    project already are taken if it still has none.
    """
    known = {image.id.casefold(): image for image in project.images()}
    brought = {(image.source, image.has_masks) for image in known.values() if image.origin}
    files, adopted, parents, labelled = [], list[ImageRecord](), set[Path](), list[str]()
    for file in sorted((run.path / "staged").glob("*/record.json")):
        record = _staged(project.path, file, known)
        if record.id.casefold() not in known and (record.source, record.has_masks) in brought:
            shutil.rmtree(file.parent)
            continue
        for name, target in (
            ("image", image_folder(project.path, record)),
            ("labels", label_folder(project.path, record)),
        ):
            made = file.parent / name
            if made.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                made.replace(target)
                parents.add(target.parent)
        if record.id.casefold() not in known:
            adopted.append(record)
            known[record.id.casefold()] = record
        elif (file.parent / LABELS_ONLY).exists() and not (file.parent / "labels").exists():
            labelled.append(record.id)
        files.append(file)
    for folder in parents:
        fsync(folder)
    if adopted:
        project.add_records(adopted)
    if labelled:
        adopted += project.update_images(labelled, has_masks=True)
    for file in files:
        file.unlink()
    return adopted


def brings_labels(run: Run) -> bool:
    """Whether an import run has staged labels for images that are in the project already, and may lie open."""
    return any((run.path / "staged").glob(f"*/{LABELS_ONLY}"))


def _staged(project: Path, file: Path, known: Known) -> ImageRecord:
    """Read a staged record; a new id goes to disk first, so that a crash later on cannot give it another one."""
    record = ImageRecord.model_validate(read_json(file))
    other = known.get(record.id.casefold())
    to_move = any((file.parent / name).exists() for name in ("image", "labels"))
    if (file.parent / LABELS_ONLY).exists() or (other is not None and not to_move and _same_image(other, record)):
        return record
    if other is None and not _left_by_another(project, file.parent, record):
        return record
    others = (record.model_copy(update={"id": f"{record.id}-{number}"}) for number in count(2))
    free = next(
        new for new in others if new.id.casefold() not in known and not _left_by_another(project, file.parent, new)
    )
    write_json(file, free.model_dump(mode="json"))
    return free


def _left_by_another(project: Path, staged: Path, record: ImageRecord) -> bool:
    """Whether folders of this id are there that another import moved and then did not list, since it was killed.

    What this one has moved itself is staged no more: a rename takes place as a whole.
    """
    parts = (
        ("image", image_folder(project, record), not record.reference),
        ("labels", label_folder(project, record), record.has_masks),
    )
    return any(target.exists() and ((staged / name).exists() or not brought) for name, target, brought in parts)


def _same_image(one: ImageRecord, other: ImageRecord) -> bool:
    """Whether two records are of the same section of the same file, whatever the user has changed since."""
    fixed = ("domain", "shape", "origin", "sha256")
    return all(getattr(one, name) == getattr(other, name) for name in fixed)
