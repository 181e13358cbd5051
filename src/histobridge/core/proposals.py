"""The proposals of one run: classes and confidence of each target image, on disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.files import fsync_tree, read_json, rename_durably, write_json
from histobridge.core.images.pyramid import blocks
from histobridge.core.project import Project

Window = tuple[slice, slice]
CHUNK = 512
BLOCK = 1024
"""Native pixels of one block; a multiple of the chunk, so that blocks never share a chunk."""


class Prediction(Protocol):
    """Whatever predicts windows of one image."""

    def labels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Classes and confidence (0 to 255 is 0 to 1) of a native window, both (Y, X) uint8."""


def proposal_folder(run: Path, image_id: str) -> Path:
    """Folder of the proposal of one image."""
    return run / "proposals" / image_id


def has_proposal(project: Project, run_id: str, image_id: str) -> bool:
    """Whether a run has a finished proposal for an image."""
    return bool(run_id) and (proposal_folder(project.path / "runs" / run_id, image_id) / "proposal.json").exists()


def read_proposal(
    project: Project, run_id: str, image_id: str, window: Window
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a window of a proposal.

    Parameters
    ----------
    project : Project
    run_id, image_id : str
    window : tuple of slice
        Native pixels.

    Returns
    -------
    classes, confidence : (Y, X) uint8
        Class values; confidence 0 to 255 is 0 to 1.

    Raises
    ------
    ProjectError
        If the run has no proposal for the image.
    """
    import zarr

    if not has_proposal(project, run_id, image_id):
        raise ProjectError(f"run {run_id!r} has no proposal for image {image_id!r}; propose labels for it first")
    folder = proposal_folder(project.path / "runs" / run_id, image_id)
    arrays = [zarr.open_array(folder / name, mode="r")[window] for name in ("classes", "confidence")]
    return np.asarray(arrays[0]), np.asarray(arrays[1])


def open_proposal(project: Project, run_id: str, image_id: str) -> Any:
    """Open the classes of a proposal, (Y, X) uint8, to be sliced many times; raises `ProjectError` as above."""
    import zarr

    if not has_proposal(project, run_id, image_id):
        raise ProjectError(f"run {run_id!r} has no proposal for image {image_id!r}; propose labels for it first")
    return zarr.open_array(proposal_folder(project.path / "runs" / run_id, image_id) / "classes", mode="r")


def proposal_summary(project: Project, run_id: str, image_id: str) -> dict[str, Any]:
    """What was noted when a proposal was made: class fractions, mean confidence."""
    folder = proposal_folder(project.path / "runs" / run_id, image_id)
    summary: dict[str, Any] = read_json(folder / "proposal.json")
    return summary


def write_proposal(
    run: Path, image_id: str, prediction: Prediction, shape: tuple[int, int], slow: bool = False
) -> Iterator[float]:
    """Predict and write one proposal block by block, under a temporary name until it is whole.

    Parameters
    ----------
    run : Path
        Folder of the run.
    image_id : str
    prediction : Prediction
    shape : tuple of int
        Native (Y, X).
    slow : bool
        A prediction that takes long: predict less at once, so as to tell more often how much is done.

    Yields
    ------
    float
        Share done, in [0, 1].
    """
    import zarr

    final = proposal_folder(run, image_id)
    beside = final.with_name(f".{image_id}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    arrays = {
        name: zarr.create_array(beside / name, shape=shape, chunks=(CHUNK, CHUNK), dtype="uint8")
        for name in ("classes", "confidence")
    }
    counts = np.zeros(256, np.int64)
    confidence_sum = 0
    parts = list(blocks(shape, CHUNK if slow else BLOCK))
    for done, window in enumerate(parts, start=1):
        classes, confidence = prediction.labels(window)
        arrays["classes"][window] = classes
        arrays["confidence"][window] = confidence
        counts += np.bincount(classes.ravel(), minlength=256)
        confidence_sum += int(confidence.sum())
        yield done / len(parts)
    pixels = shape[0] * shape[1]
    summary = {
        "fractions": {str(value): counts[value] / pixels for value in np.flatnonzero(counts)},
        "confidence": confidence_sum / 255 / pixels,
    }
    write_json(beside / "proposal.json", summary)
    fsync_tree(beside)
    rename_durably(beside, final)
