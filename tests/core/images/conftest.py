"""An import as the command line does it, and pictures that are easy to recognise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from histobridge.core.config import AddImagesConfig
from histobridge.core.perform import perform
from histobridge.core.project import Project

ALL = (slice(None), slice(None))


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture
def add(project) -> Callable[..., dict[str, Any]]:
    """Run an import to its end, take its images in, and return what the job returned."""

    def run_import(*paths: Path, **options: Any) -> dict[str, Any]:
        run = project.create_run("add", AddImagesConfig(paths=paths, **options))
        result = perform(run)
        with project.editing():
            project.adopt(run)
        return result

    return run_import


@pytest.fixture
def ramp() -> np.ndarray:
    """(40, 50) uint8, every row and column different."""
    return (np.arange(40)[:, None] * 5 + np.arange(50)).astype(np.uint8)


@pytest.fixture
def png(tmp_path) -> Callable[..., Path]:
    """Save an array as PNG under a name, in folders that are made."""

    def save(name: str, pixels: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return save
