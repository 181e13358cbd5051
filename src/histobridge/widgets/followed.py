"""A run that the window follows, and what went wrong in one line."""

import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histobridge.core.errors import HistoBridgeError
from histobridge.core.runs import Run, RunState

Stamp = tuple[int, int, int]
NEVER: Stamp = (-1, 0, 0)
AGAIN: Stamp = (-2, 0, 0)
"""Stamps of a run that was not read yet, and of one that is to be looked at again."""


@dataclass(slots=True)
class Followed:
    """A run and what was last read of it."""

    run: Run
    verb: str
    state: RunState
    stamp: Stamp
    config: dict[str, Any]
    watched: bool = False
    """Whether it moved on since the project was opened."""


def stamp_of(path: Path) -> Stamp:
    """Tell one content of a file from another: when it was changed, in nanoseconds since 1970, which it is, its bytes.

    The time alone would not do: some disks only count seconds. Zeros if it is not there.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_ino, found.st_size


def new_runs(folder: Path, known: Container[str]) -> list[Run]:
    """Runs of a folder that are not among the known ids, in the order they were made."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name not in known)
    return [Run(folder / name) for name in names if (folder / name / "run.json").exists()]


def words(error: BaseException) -> str:
    """Say in one line what went wrong."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
    return str(error) if isinstance(error, HistoBridgeError) else f"{type(error).__name__}: {error}"
