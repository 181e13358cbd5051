"""The synthetic sample as a project: labelled source images, unlabelled target images, the truth aside."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import AddImagesConfig, Domain
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.project import Project
from histobridge.core.runs import Run, RunState
from histobridge.core.synthetic import SyntheticField, two_modalities

DOMAINS: tuple[Domain, Domain] = ("source", "target")


def make_sample_project(path: Path, fields: int = 4, size: int = 256, seed: int = 0) -> Project:
    """Make a project of synthetic images, staged and adopted like imported ones.

    Parameters
    ----------
    path : Path
        A folder that does not exist or is empty.
    fields : int
        Images of each domain.
    size : int
        Side of an image in pixels.
    seed : int
        The same seed gives the same images.

    Returns
    -------
    Project
        Not locked. What the target images show is in ``truth/<image id>.png`` (see `read_truth`); no job reads it.
    """
    made = two_modalities(fields, size, seed)
    project = Project.create(path, name="Synthetic nerve")
    (project.path / "truth").mkdir()
    with project.editing("sample"):
        for domain in DOMAINS:
            run = project.create_run("add", AddImagesConfig(domain=domain))
            ids = [_stage(project, run, field, index) for index, field in enumerate(made) if field.domain == domain]
            project.adopt(run)
            run.write_state(RunState(status="finished", message="done", result={"added": ids, "problems": []}))
            run.log("finished")
    return project


def read_truth(project: Project, image_id: str) -> NDArray[np.uint8]:
    """Read the hidden classes of a target image of the sample, (Y, X) uint8; for scores only."""
    from PIL import Image

    with Image.open(project.path / "truth" / f"{image_id}.png") as image:
        return np.asarray(image)


def _stage(project: Project, run: Run, field: SyntheticField, index: int) -> str:
    """Write one field into the run as an import does and return its id."""
    from PIL import Image

    record = image_record(
        f"{field.subject}-{'tem' if field.domain == 'source' else 'sem'}{index:02d}",
        field.domain,
        subject=field.subject,
        pixel_size_um=field.pixel_size_um,
        pixel_size_from="synthetic",
        origin="synthetic sample",
    )
    stage_array(run, record, field.image, classes=field.classes if field.domain == "source" else None)
    if field.domain == "target":
        Image.fromarray(field.classes).save(project.path / "truth" / f"{record.id}.png")
    return record.id
