"""A run that the window follows, and what went wrong in one line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histobridge.core.errors import HistoBridgeError
from histobridge.core.runs import Run, RunState

NEVER = -1
AGAIN = -2
"""Stamps of a run that was not read yet, and of one that is to be looked at again."""


@dataclass(slots=True)
class Followed:
    """A run and what was last read of it."""

    run: Run
    verb: str
    state: RunState
    stamp: int
    config: dict[str, Any]
    watched: bool = False
    """Whether it moved on since the project was opened."""


def stamp_of(path: Path) -> int:
    """When a file was last changed, in nanoseconds since 1970; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def words(error: BaseException) -> str:
    """Say in one line what went wrong."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
    return str(error) if isinstance(error, HistoBridgeError) else f"{type(error).__name__}: {error}"
