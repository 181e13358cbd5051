"""The final labels of one image: what was reviewed, and the proposal elsewhere."""

import hashlib
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner
from histobridge.core.fibres import derive_fibres
from histobridge.core.images.pyramid import BLOCK, CHUNK, ArrayLike, Window, blocks
from histobridge.core.manifest import IGNORE, ImageRecord, Manifest
from histobridge.core.ownership import standing_owners
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.states import IGNORED, MODEL

FIBRE_PIXELS = 6000 * 6000
"""Fibres are numbered on the whole image at once, which takes 1.6 GB at this size; larger images go without."""


@dataclass(frozen=True, slots=True)
class FinalLabels:
    """What is exported of one image; zarr arrays (Y, X) that nobody else changes.

    Parameters
    ----------
    classes : array-like uint8
        Class values, 0 background; ignored pixels are 255, and those that nobody has reviewed if that was asked for.
    state : array-like uint8
        0 model, 1 accepted, 2 corrected, 3 ignore.
    fibres : array-like uint32, optional
        None where the image is too large.
    confidence : array-like uint8, optional
        Of the proposal, 0 to 255; none without one.
    proposal_run : str
        Empty without a proposal.
    proposal_sha256 : str
        Of the proposed classes, row by row.
    reviewed_fraction : float
        Share of pixels whose state is not 0.
    """

    classes: ArrayLike
    state: ArrayLike
    fibres: ArrayLike | None
    confidence: ArrayLike | None
    proposal_run: str
    proposal_sha256: str
    reviewed_fraction: float


def proposal_run_of(project: Project, record: ImageRecord) -> str:
    """Return the active proposals' run if it has a proposal for this image, else an empty string."""
    active = project.active("proposals")
    return active.id if active is not None and has_proposal(project, active.id, record.id) else ""


def stage_final(
    project: Project, record: ImageRecord, folder: Path, *, reviewed_only: bool = False
) -> Generator[float, None, FinalLabels]:
    """Merge labels and proposal into arrays below `folder`, so that edits during an export cannot tear it.

    With `reviewed_only`, pixels that nobody has reviewed are 255.

    Yields
    ------
    float
        Share done, in [0, 1].
    """
    import zarr

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    proposal_run = proposal_run_of(project, record)
    names = ["classes", "state", *(["proposal", "confidence"] if proposal_run else [])]
    arrays: dict[str, Any] = {
        name: zarr.create_array(folder / name, shape=record.shape, chunks=(CHUNK, CHUNK), dtype="uint8")
        for name in names
    }
    labels = project.labels(record.id)
    reviewed = 0
    windows = list(blocks(record.shape))
    for done, window in enumerate(windows, 1):
        proposal = None
        classes, state = labels.read(window)
        if proposal_run:
            proposal, arrays["confidence"][window] = read_proposal(project, proposal_run, record.id, window)
            arrays["proposal"][window] = proposal
        final = merge(classes, state, proposal)
        arrays["classes"][window] = np.where(state == MODEL, np.uint8(IGNORE), final) if reviewed_only else final
        arrays["state"][window] = state
        reviewed += int(np.count_nonzero(state != MODEL))
        yield done / len(windows)
    return FinalLabels(
        classes=arrays["classes"],
        state=arrays["state"],
        fibres=_fibres(project, arrays["classes"], standing_owners(labels.journal), folder),
        confidence=arrays.get("confidence"),
        proposal_run=proposal_run,
        proposal_sha256=sha256_of_pixels(arrays["proposal"]) if proposal_run else "",
        reviewed_fraction=reviewed / (record.shape[0] * record.shape[1]),
    )


def merge(
    classes: NDArray[np.uint8], state: NDArray[np.uint8], proposal: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Take the stored class where the state says so, the proposal's elsewhere, and 255 where pixels are ignored."""
    final = classes if proposal is None else np.where(state == MODEL, proposal, classes)
    return np.where(state == IGNORED, np.uint8(IGNORE), final)


def _fibres(project: Project, classes: Any, owners: tuple[Owner, ...], folder: Path) -> Any:
    """Number the fibres into an array below `folder`; none where the image is too large for it."""
    import zarr

    if classes.shape[0] * classes.shape[1] > FIBRE_PIXELS:
        return None
    fibres = zarr.create_array(folder / "fibres", shape=classes.shape, chunks=(CHUNK, CHUNK), dtype="uint32")
    fibres[:] = derive_fibres(np.asarray(classes[:]), project.manifest, owners)
    return fibres


def sha256_of_pixels(image: ArrayLike) -> str:
    """Hash (Y, X) pixels in row order, native little-endian bytes; the same as of ``array.tobytes()`` in memory."""
    digest = hashlib.sha256()
    for top in range(0, image.shape[0], BLOCK):
        window: Window = (slice(top, min(top + BLOCK, image.shape[0])), slice(0, image.shape[1]))
        digest.update(np.ascontiguousarray(image[window]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ExportItem:
    """All that is written of one image."""

    record: ImageRecord
    image: ArrayLike
    manifest: Manifest
    labels: FinalLabels
    provenance: dict[str, Any]
