"""What is wrong with one file, and what to do about it."""

import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histobridge.core.errors import InputError

READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow, tifffile and zarr raise on damaged files."""

NETWORK_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
)
"""What the packages that read URLs raise, by module; none is an `OSError`, and none of them need be installed."""


class FileError(InputError):
    """One file that cannot be used.

    Parameters
    ----------
    file : Path or str
        As the user named it.
    problem : str
        What was found and what was expected.
    remedy : str
        What to do.
    """

    def __init__(self, file: Path | str, problem: str, remedy: str):
        super().__init__(f"{file}: {problem}; {remedy}")
        self.file, self.problem, self.remedy = str(file), problem, remedy

    def as_dict(self) -> dict[str, str]:
        """Return it as the result of a job names it."""
        return {"file": self.file, "problem": self.problem, "remedy": self.remedy}


@contextmanager
def reachable(path: Path | str) -> Iterator[None]:
    """Turn the refusal of a server, raised inside, into a `FileError`."""
    try:
        yield
    except _refusals() as error:
        raise FileError(
            path, f"cannot be reached ({error})", "check the address, and whether you may read what is there"
        ) from error


def _refusals() -> tuple[type[Exception], ...]:
    """Errors of `NETWORK_ERRORS`, of the packages that are loaded."""
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in NETWORK_ERRORS)
    return tuple(kind for kind in kinds if kind)


@contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Turn whatever a reader raises inside into a `FileError`."""
    try:
        with reachable(path):
            yield
    except READ_ERRORS as error:
        raise FileError(
            path,
            f"cannot be read; it is damaged, cut off or of another kind than its name says ({error})",
            "open it in another program and save it again, or copy it again from where it came",
        ) from error
