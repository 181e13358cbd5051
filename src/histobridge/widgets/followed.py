"""A run that the window follows, and what went wrong in one line."""

from dataclasses import dataclass
from typing import Any

from histobridge.core.errors import HistoBridgeError
from histobridge.core.runs import Run, RunState

NEVER = -1


@dataclass(slots=True)
class Followed:
    """A run and what was last read of it."""

    run: Run
    verb: str
    state: RunState
    stamp: int
    config: dict[str, Any]


def words(error: BaseException) -> str:
    """Say in one line what went wrong."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
    return str(error) if isinstance(error, HistoBridgeError) else f"{type(error).__name__}: {error}"
