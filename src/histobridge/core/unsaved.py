"""Edits that could not be written to their project: saved in a file elsewhere, and brought back later."""

import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from histobridge.core.delta import Delta, Entry, decode, encode
from histobridge.core.errors import InputError
from histobridge.core.files import shortened, write_bytes
from histobridge.core.frames import frame, scan
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project

FORMAT = 1
ENDING = ".edits"


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What a file of saved edits holds.

    Parameters
    ----------
    project : Path
        Folder of the project they belong to, as it was then.
    labels : str
        Folder of the labels within the project.
    shape : tuple of int
        Image (Y, X) in pixels.
    deltas : tuple of Delta
        In order.
    image : str
        Hash of what the image was made from; empty if it was not written down.
    """

    project: Path
    labels: str
    shape: tuple[int, int]
    deltas: tuple[Delta, ...]
    image: str = ""


def save_elsewhere(store: LabelStore, project: Project, folder: Path) -> Path | None:
    """Write the edits of a store that are not on disk yet to a file of their own.

    They stay pending, so that the project gets them as soon as it can be written. The file begins with a JSON head in a
    frame of the journal's kind, its edits follow as in a journal.

    Parameters
    ----------
    store : LabelStore
        With edits that could not be written.
    project : Project
        Which it belongs to; nothing is read from its folder.
    folder : Path
        Where to put the file; made if missing.

    Returns
    -------
    Path or None
        The file; none if there was nothing to save.

    Raises
    ------
    OSError
        If it cannot be written there either.
    """
    deltas = store.journal.unsaved()
    if not deltas:
        return None
    labels = store.folder.relative_to(project.path).as_posix()
    head = {"format": FORMAT, "project": str(project.path), "labels": labels, "shape": store.shape}
    head["image"] = next((record.sha256 for record in _records(project, labels)), "")
    data = frame(json.dumps(head).encode()) + b"".join(frame(encode(delta)) for delta in deltas)
    folder.mkdir(parents=True, exist_ok=True)
    moment = time.strftime("%Y-%m-%d-%H%M%S")
    name = shortened(f"{project.path.name}-{labels.replace('/', '-')}")
    path = folder / f"{name}-edits-{deltas[0].entry.sequence}-to-{deltas[-1].entry.sequence}-{moment}{ENDING}"
    write_bytes(path, data)
    return path


def read_unsaved(path: Path) -> Unsaved:
    """Read a file of saved edits.

    Raises
    ------
    InputError
        If it is none, is damaged, or a newer version made it.
    """
    try:
        with path.open("rb") as stream:
            first, *others = [found.payload for found in scan(stream)]
        head = json.loads(first or b"")
        if head["format"] > FORMAT:
            raise InputError(f"{path} was made by a newer HistoBridge; upgrade with: pip install -U napari-histobridge")
        deltas = tuple(decode(payload or b"") for payload in others)
        rows, columns = head["shape"]
        image = str(head.get("image", ""))
        return Unsaved(Path(head["project"]), head["labels"], (int(rows), int(columns)), deltas, image)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a whole file of saved edits ({error}); choose one ending in {ENDING}"
        ) from error


def bring_back(project: Project, path: Path) -> int:
    """Append the edits of a file to the journal they belong to; doing it again does nothing.

    Edits that reached the journal after all are passed over. The others become the newest, so they cover what was
    painted in the meantime; undo takes them back one by one.

    Parameters
    ----------
    project : Project
        Its edit lock must be free or held here.
    path : Path
        Written by `save_elsewhere`.

    Returns
    -------
    int
        Edits that were missing.

    Raises
    ------
    InputError
        If the file is damaged or of another project.
    LockedError
        If somebody else edits the project.
    ProjectError
        If the edits cannot be written there.
    """
    found = read_unsaved(path)
    known = _records(project, found.labels)
    safe = re.fullmatch(r"\w+(/[\w.-]+)+", found.labels) and ".." not in found.labels
    if not safe or not known or known[0].shape != found.shape:
        raise InputError(f"{path} holds edits of {found.labels} of {found.project}, which {project.path} does not have")
    if found.image and known[0].sha256 and found.image != known[0].sha256:
        raise InputError(
            f"{path} holds edits of {found.project}, and {known[0].id} of {project.path} is another image of that "
            "name; bring them back into the project they were made in"
        )
    with project.editing("histobridge bring-back"):
        store = LabelStore(project.path / found.labels, found.shape, writable=True)
        count = _append(store, found.deltas)
        store.close()
    return count


def _records(project: Project, labels: str) -> list[ImageRecord]:
    """Which image a folder of labels belongs to, if any."""
    return [record for record in project.images() if labels.endswith(f"/{record.domain}/{record.id}")]


def _append(store: LabelStore, deltas: tuple[Delta, ...]) -> int:
    store.begin()
    there = {_mark(entry): entry.sequence for entry in store.journal.entries}
    numbers: dict[int, int] = {}
    count = 0
    for delta in deltas:
        entry = delta.entry
        if _mark(entry) in there:
            numbers[entry.sequence] = there[_mark(entry)]
            continue
        now = np.stack(store.read(entry.window))[:, delta.mask]
        fresh = replace(delta, old=now, entry=replace(entry, of=numbers.get(entry.of, entry.of)))
        numbers[entry.sequence] = store.append(fresh, time=entry.time)
        count += 1
    return count


def _mark(entry: Entry) -> tuple[object, ...]:
    """What tells one edit from another, whatever its number."""
    window = tuple((side.start, side.stop) for side in entry.window)
    return entry.kind, entry.tile, window, entry.pixels, round(entry.time, 3)
