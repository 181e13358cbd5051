"""What is wrong with one file, and what to do about it."""

import struct
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
def readable(path: Path | str) -> Iterator[None]:
    """Turn whatever a reader raises inside into a `FileError`."""
    try:
        yield
    except READ_ERRORS as error:
        raise FileError(
            path,
            f"cannot be read; it is damaged, cut off or of another kind than its name says ({error})",
            "open it in another program and save it again, or copy it again from where it came",
        ) from error
