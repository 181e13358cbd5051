"""Errors a user can act on: what was found, what was expected, what to do."""


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
