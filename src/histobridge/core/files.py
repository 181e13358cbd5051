"""Write files so that a crash leaves the old one or the new one, never half of one."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

TORN = re.compile(r"\..+-[0-9a-f]{12}")
"""Name of a file that is being written; see `write_bytes`."""

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
"""What `os.link` fails with where a disk has no hard links, as exFAT and many network shares."""

NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What `os.fsync` of a folder fails with where a disk does not know it, as some network shares."""

PASSING = frozenset({errno.ESTALE, errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT})
"""What reading may fail with for a moment."""

AGAIN_SECONDS = (0.02, 0.1)
"""After so long it is read again; short, since the window waits."""

NAME_BYTES = 120
"""Of a name that others are made from: most disks take 255 in all."""


def shortened(name: str) -> str:
    """Cut a name that is too long for files made from it; a hash tells it from others."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: NAME_BYTES - 9].decode(errors='ignore').rstrip('-._')}-{digest}"


def fsync(path: Path) -> None:
    """Make the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some disks cannot sync a folder, and need not.
        if error.errno not in NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def fsync_tree(path: Path) -> None:
    """Make a file, or all files and names below a folder, durable; names after what they name."""
    for inside in sorted(path.rglob("*"), reverse=True):
        fsync(inside)
    fsync(path)


def write_bytes(path: Path, data: bytes, *, durable: bool = True, private: bool = False) -> None:
    """Replace `path` by `data`: written beside, synced when `durable`, renamed over; `private` for its user alone."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    # Not mkstemp: its files are for their owner alone, and a project may be shared by a group.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        fsync(path.parent)


def keep_bytes(path: Path, beside: Path) -> None:
    """Keep what a file holds now under a second name, whatever replaces it: a hard link, else a copy."""
    try:
        os.link(path, beside)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        copy = beside.with_name(f".{beside.name}-{secrets.token_hex(6)}")
        shutil.copyfile(path, copy)
        fsync(copy)
        copy.replace(beside)


def remove_torn(folder: Path) -> None:
    """Remove what writers of files in a folder left beside them when they were killed; nobody may be writing there."""
    for path in folder.glob(".*-????????????"):
        if TORN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, durable: bool = True, private: bool = False) -> None:
    """Replace `path` by `value` as indented JSON, see `write_bytes`."""
    write_bytes(
        path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n", durable=durable, private=private
    )


def read_json(path: Path) -> Any:
    """Read one JSON file; tried again where a network folder stumbles, as over a file replaced meanwhile."""
    for wait in AGAIN_SECONDS:
        try:
            return json.loads(path.read_bytes())
        except OSError as error:
            if error.errno not in PASSING:
                raise
        time.sleep(wait)
    return json.loads(path.read_bytes())


def append_json_lines(path: Path, values: Iterable[Any], *, durable: bool = True) -> None:
    """Append each value as one line of JSON, synced when `durable`; the file is made if missing."""
    lines = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
    with path.open("a+b") as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            # A line torn by a crash must not swallow the next one.
            lines = lines if stream.read(1) == b"\n" else b"\n" + lines
        stream.write(lines)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())


def read_json_lines(path: Path, last_bytes: int | None = None) -> Iterator[Any]:
    """Read a file of JSON lines, or its last bytes; torn ones are left out, and without a file there are none."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0 if last_bytes is None else max(0, size - last_bytes))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return
    for line in text.split("\n"):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def rename_durably(source: Path, target: Path) -> None:
    """Move `source` to `target` on the same file system and make the new name durable."""
    source.replace(target)
    fsync(target.parent)
