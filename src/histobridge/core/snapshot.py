"""`snapshot.json`: what the arrays of an image's labels hold, with digests, so that damage is noticed."""

from dataclasses import dataclass
from hashlib import blake2b
from json import dumps
from pathlib import Path
from typing import Any

from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.label_arrays import Chunk

FORMAT = 1
SNAPSHOT = "snapshot.json"
ABSENT = "-"
NEITHER = (ABSENT, ABSENT)
"""Digests of a chunk of zeros, which has no files."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `snapshot.json` says of the arrays.

    Parameters
    ----------
    sequence : int
        The last edit contained in the arrays.
    reviewed : dict, optional
        Pixels whose state is not 0, by chunk; none if not known.
    digests : dict, optional
        Digests of the files of `classes` and `state`, by chunk; chunks of zeros are left out. None: made by a version
        that did not write them.
    metadata : tuple of str
        Digests of the two `zarr.json`.
    """

    sequence: int = 0
    reviewed: dict[Chunk, int] | None = None
    digests: dict[Chunk, tuple[str, str]] | None = None
    metadata: tuple[str, str] = NEITHER


def read_snapshot(path: Path) -> Snapshot | None:
    """Read a `snapshot.json`; none if it is missing or damaged; raises `ProjectError` if a newer version made it."""
    try:
        values = read_json(path)
        check = values.pop("check", None)
        if check is not None and check != _check(values):
            return None
        if values["format"] > FORMAT:
            raise ProjectError(
                f"{path} was made by a newer HistoBridge. Upgrade with: pip install -U napari-histobridge"
            )
        reviewed = {(int(row), int(column)): int(count) for row, column, count in values["reviewed"]}
        digests = {_chunk(key): _pair(pair) for key, pair in values["digests"].items()} if "digests" in values else None
        return Snapshot(int(values["sequence"]), reviewed, digests, _pair(values.get("metadata", NEITHER)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_snapshot(path: Path, snapshot: Snapshot, *, durable: bool = True) -> None:
    """Write a `snapshot.json` atomically."""
    counts = [[*chunk, count] for chunk, count in sorted((snapshot.reviewed or {}).items()) if count]
    values: dict[str, Any] = {"format": FORMAT, "sequence": snapshot.sequence, "reviewed": counts}
    if snapshot.digests is not None:
        values["digests"] = {f"{row}/{column}": " ".join(pair) for (row, column), pair in snapshot.digests.items()}
        values["metadata"] = " ".join(snapshot.metadata)
    write_json(path, values | {"check": _check(values)}, durable=durable)


def digest_of(file: Path) -> str:
    """Digest of a file's bytes; a dash if there is no such file."""
    try:
        return digest(file.read_bytes())
    except FileNotFoundError:
        return ABSENT


def digest(data: bytes) -> str:
    """Digest of bytes, 16 hexadecimal digits."""
    return blake2b(data, digest_size=8).hexdigest()


def _check(values: dict[str, Any]) -> str:
    return digest(dumps(values, sort_keys=True).encode())


def _chunk(key: str) -> Chunk:
    row, column = map(int, key.split("/"))
    return row, column


def _pair(text: Any) -> tuple[str, str]:
    classes, state = text.split() if isinstance(text, str) else text
    return classes, state
