"""Room on the disk, asked before something big is written, and what went wrong with it in words."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

from histobridge.core.errors import ProjectError

RESERVE = 64 * 2**20
"""Bytes left for the journal: strokes must find room when nothing else does."""

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "the folder can only be read",
    errno.EPERM: "the folder can only be read",
    errno.ENOENT: "the folder is gone",
    errno.ENOTDIR: "the folder is gone",
    errno.ENODEV: "the folder is gone",
    errno.ENOTCONN: "the network folder cannot be reached",
    errno.EHOSTDOWN: "the network folder cannot be reached",
    errno.ESTALE: "the folder was replaced by another one",
    errno.EIO: "the disk has failed",
    errno.ENOSYS: "the disk has no file locks",
    errno.ENOLCK: "the disk has no file locks",
}

TROUBLE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.ESTALE,
        errno.EIO,
    }
)
"""What is wrong with the disk then, rather than with what was asked of it."""


def room_for(path: Path, nbytes: int) -> None:
    """Check that the disk has room before something is written.

    Parameters
    ----------
    path : Path
        File or folder to be written; it need not exist.
    nbytes : int
        How much, in bytes; `RESERVE` more must be free.

    Raises
    ------
    ProjectError
        If there is not enough room.
    """
    path = Path(path).absolute()
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < nbytes + RESERVE:
        raise ProjectError(
            f"{path} needs {_size(nbytes + RESERVE)}, the disk has {_size(free)} free; make room, then try again"
        )


def pyramid_bytes(shape: tuple[int, int], dtype: Any) -> int:
    """Bytes of an image (Y, X) of this type with its smaller levels, which add a third; compressed it takes less."""
    import numpy as np

    return int(shape[0] * shape[1] * np.dtype(dtype).itemsize * 4 // 3)


def need_same_file(descriptor: int, path: Path) -> None:
    """Raise `OSError` if an open file was deleted or its disk taken away: what is written to it then is lost."""
    if not os.path.samestat(os.fstat(descriptor), path.stat()):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))


def why(error: OSError) -> str:
    """Say in words why a file cannot be written."""
    return _WORDS.get(error.errno or 0, error.strerror or str(error))


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f} GB" if nbytes >= 2**30 else f"{nbytes / 2**20:.0f} MB"
