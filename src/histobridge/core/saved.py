"""Read back what a job has saved as JSON."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from histobridge.core.errors import ProjectError, wrong_fields
from histobridge.core.files import read_json

Saved = TypeVar("Saved", bound=BaseModel)


def read_saved(path: Path, kind: type[Saved], remedy: str) -> Saved:
    """Read a file that a job has saved.

    Parameters
    ----------
    path : Path
    kind : type
        What is in it.
    remedy : str
        What the user can do if it cannot be read: ``rank the tiles again``.

    Returns
    -------
    Saved

    Raises
    ------
    ProjectError
        If there is no such file, or it is damaged.
    """
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        raise ProjectError(f"{path} is damaged ({wrong_fields(error)}); {remedy}") from error
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} cannot be read ({error}); {remedy}") from error
