"""Errors a user can act on: what was found, what was expected, what to do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class HistoBridgeError(Exception):
    """Base of all errors whose message is written for the user."""


class InputError(HistoBridgeError):
    """A file or field the user gave cannot be used."""


class ProjectError(HistoBridgeError):
    """The project folder is missing something, damaged or of a newer schema."""


class LockedError(ProjectError):
    """Somebody else holds the edit lock of the project."""


class CrashedError(HistoBridgeError):
    """A job died twice at the same step."""


def wrong_fields(error: "ValidationError") -> str:
    """Name every wrong field, what was expected of it and what was found."""
    told = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        message = "no such field" if problem["type"] == "extra_forbidden" else message
        place = ".".join(map(str, problem["loc"]))
        # A rule on several fields names them itself, and its input is everything.
        told.append(f"{place}: {message} (got {problem['input']!r})" if place else message)
    return "; ".join(told)
