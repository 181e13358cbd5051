"""Put a finished export under its name in one step, and clear away what a crash left half-written."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from histobridge.core.errors import HistoBridgeError, InputError
from histobridge.core.files import fsync_tree, rename_durably
from histobridge.core.images.pyramid import ArrayLike, blocks

_UNFINISHED = re.compile(r"(?P<name>.+\.(?:ome\.zarr|png|tif|csv))\.(?P<kind>tmp|old)-(?P<pid>\d+)-[0-9a-f]{8}")


class ReadBackError(HistoBridgeError):
    """A file does not hold what was written to it."""


@contextmanager
def published(final: Path, *, replace: bool) -> Iterator[Path]:
    """Give a path beside `final` to write a file or folder to, then sync it and rename it to `final`.

    Parameters
    ----------
    final : Path
        The name to appear.
    replace : bool
        Whether something of that name may be replaced; it is removed last.

    Yields
    ------
    Path
        Does not exist yet. Whatever is there is removed if the body raises, and then `final` is as it was.

    Raises
    ------
    InputError
        If `final` exists and may not be replaced.
    """
    beside = _beside(final, "tmp")
    try:
        yield beside
        fsync_tree(beside)
        _swap_in(beside, final, replace)
    finally:
        remove(beside)


def _swap_in(beside: Path, final: Path, replace: bool) -> None:
    """Rename over; a folder in the way is renamed away first, since no rename replaces a full one."""
    if final.exists() and not replace:
        raise taken(final)
    if not final.is_dir():
        rename_durably(beside, final)
        return
    old = _beside(final, "old")
    rename_durably(final, old)
    rename_durably(beside, final)
    remove(old)


def taken(final: Path) -> InputError:
    """Return the error for a name that is in use."""
    return InputError(f"{final} exists already; choose another folder, or allow replacing (`replace`)")


def recover(folder: Path) -> list[Path]:
    """Clear away what dead exports left unfinished in `folder`, and bring back what they had just renamed away.

    Only names that `published` gives are touched, and none of a process that lives.

    Returns
    -------
    list of Path
        What was removed or brought back.
    """
    found = []
    for path in sorted(folder.iterdir()):
        match = _UNFINISHED.fullmatch(path.name)
        if match is None or psutil.pid_exists(int(match["pid"])):
            continue
        final = folder / match["name"]
        if match["kind"] == "old" and not final.exists():
            rename_durably(path, final)
        else:
            remove(path)
        found.append(path)
    return found


def need_identical(actual: ArrayLike, meant: ArrayLike, what: str) -> None:
    """Compare two (Y, X) arrays block by block; raise `ReadBackError` naming the first pixel that differs."""
    if tuple(actual.shape) != tuple(meant.shape) or np.dtype(actual.dtype) != np.dtype(meant.dtype):
        found, expected = (f"{tuple(array.shape)} {np.dtype(array.dtype)}" for array in (actual, meant))
        raise ReadBackError(f"{what}: read back as {found}, but {expected} was written; export again")
    for window in blocks((int(meant.shape[0]), int(meant.shape[1]))):
        different = np.asarray(actual[window]) != np.asarray(meant[window])
        if different.any():
            row, column = np.argwhere(different)[0] + [window[0].start, window[1].start]
            raise ReadBackError(
                f"{what}: pixel ({row}, {column}) reads back differently from what was written; "
                "nothing was put under its name. Check the disk and export again"
            )


def need_equal(actual: object, meant: object, what: str) -> None:
    """Raise `ReadBackError` if metadata read back differ."""
    if actual != meant:
        raise ReadBackError(f"{what}: read back as {actual!r}, but {meant!r} was written; export again")


def _beside(final: Path, kind: str) -> Path:
    return final.with_name(f"{final.name}.{kind}-{os.getpid()}-{secrets.token_hex(4)}")


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
