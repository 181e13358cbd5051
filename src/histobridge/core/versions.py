"""The form of the small JSON files of a project: what each carries, and what is said of a newer one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json

FORM = 1
"""Of `edit.lock`, `run.json`, `state.json` and `inputs.json`; raised when an older version would misread them."""

FIELD = "schema_version"


def form_of(values: Any) -> int:
    """Say which form the content of a file has; one that does not say has the first."""
    found = values.get(FIELD) if isinstance(values, dict) else None
    return found if isinstance(found, int) else 1


def newer(path: Path, found: int, known: int = FORM) -> str:
    """Say that a newer version made a file, and what to do."""
    return (
        f"{path} has schema version {found}, made by a newer HistoBridge; this one reads up to {known}. "
        "Upgrade with: pip install -U napari-histobridge"
    )


def read_form(path: Path) -> dict[str, Any]:
    """Read a file that carries its form, and leave that away.

    Raises
    ------
    ProjectError
        If a newer version made it.
    ValueError, TypeError
        If it is damaged.
    OSError
        If it cannot be read.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise TypeError(f"{path} holds a {type(values).__name__}, expected an object")
    if (found := form_of(values)) > FORM:
        raise ProjectError(newer(path, found))
    return {name: value for name, value in values.items() if name != FIELD}


def write_form(path: Path, values: Mapping[str, Any], *, durable: bool = True) -> None:
    """Replace a file by values with their form."""
    write_json(path, {FIELD: FORM, **values}, durable=durable)
