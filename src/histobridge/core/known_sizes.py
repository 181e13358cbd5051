"""Pixel sizes that something was learned or matched with: whoever edits one later would rescale it without a word."""

import math
from collections.abc import Iterable, Mapping

from histobridge.core.errors import ProjectError
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project


def sizes_of(records: Iterable[ImageRecord]) -> dict[str, float]:
    """Pixel size in µm of each image whose zoom follows from it."""
    return {
        record.id: record.pixel_size_um
        for record in records
        if record.pixel_size_um is not None and record.zoom_override is None
    }


def changed_size(project: Project, known: Mapping[str, float]) -> str:
    """Say which image has another pixel size by now, with both; empty if none has."""
    now = sizes_of(project.images())
    for image_id, size in known.items():
        if image_id in now and not math.isclose(size, now[image_id], rel_tol=1e-6):
            return f"image {image_id} had {size:g} µm a pixel then and has {now[image_id]:g} µm now"
    return ""


def refuse_changed(project: Project, known: Mapping[str, float], what: str, remedy: str) -> None:
    """Raise `ProjectError` if an image has another pixel size than one of `known`, by image, in µm.

    Parameters
    ----------
    project : Project
    known : mapping of str to float
        Empty: nothing is known, as of runs of older versions.
    what : str
        Was made with these: ``matching <run>``.
    remedy : str
        What the user can do: ``match again``.
    """
    changed = changed_size(project, known)
    if changed:
        raise ProjectError(f"{what} no longer fits: {changed}; {remedy}, or set it back on the Images page")
