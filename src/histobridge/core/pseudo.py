"""Make pseudo-labels by tutorship, by adaptation or with a fine-tuned model: the job `propose`."""

from pathlib import Path
from typing import Any

from histobridge.core.config import ProposeConfig
from histobridge.core.errors import ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal, write_proposal
from histobridge.core.runs import Run
from histobridge.core.scale import pixel_sizes
from histobridge.core.segment.model import Segmenter
from histobridge.core.target_model import TargetModel, View
from histobridge.core.tutor import train_proxy

__all__ = ["propose_labels", "read_proposal"]

SIZE_TOLERANCE = 0.05


def propose_labels(project: Project, run: Run, config: ProposeConfig) -> Job[dict[str, Any]]:
    """Propose labels for target images.

    Parameters
    ----------
    project : Project
    run : Run
        Gets the model, its view, and ``proposals/<image>/{classes,confidence}``; images that are done stay done when
        the job is resumed.
    config : ProposeConfig

    Yields
    ------
    Progress

    Returns
    -------
    dict
        ``images`` proposed for, ``route``, ``translator``, ``matching``.

    Raises
    ------
    ProjectError
        If the source is not learned, the domains not matched, or there are no target images.
    """
    images = _wanted_images(project, config)
    inputs = _settled(project, run, config)
    tutor = config.route == "tutorship"
    share = 0.75 if tutor else 0.0
    if not (run.path / "view.json").exists():
        for progress in _make_model(project, run, config, inputs):
            done = progress.step / max(1, progress.total)
            yield Progress(round(1000 * share * done), 1000, progress.message, progress.metrics, progress.preview)
    model = TargetModel.load(project, run.path, config.training.device)
    for index, image_id in enumerate(images):
        if has_proposal(project, run.id, image_id):
            continue
        prediction = model.prediction(image_id, flips=config.flips)
        for done in write_proposal(run.path, image_id, prediction, project.image(image_id).shape):
            overall = share + (1 - share) * (index + done) / len(images)
            yield Progress(round(1000 * overall), 1000, f"proposing labels for {image_id}")
    return {
        "images": images,
        "route": config.route,
        "translator": config.translator,
        "matching": model.view.matching,
    }


def _wanted_images(project: Project, config: ProposeConfig) -> list[str]:
    chosen = list(config.images) or [record.id for record in project.images("target")]
    for image_id in chosen:
        if project.image(image_id).domain != "target":
            raise ProjectError(f"image {image_id} belongs to the source; labels are proposed for target images")
    if not chosen:
        raise ProjectError("there are no target images yet; add some on the Images page")
    pixel_sizes([project.image(image_id) for image_id in chosen])
    return chosen


def _settled(project: Project, run: Run, config: ProposeConfig) -> dict[str, str]:
    """Which runs this one builds on; the same when it is resumed, whatever was made in between."""
    if config.route == "model":
        promoted = project.need("target_segmenter", config.segmenter, "promote a fine-tuned model on the Learn page")
        return run.settle(segmenter=promoted.id)
    matching = load_matching(project, config.matching)
    segmenter = config.segmenter or matching.segmenter if config.route == "adaptation" else ""
    return run.settle(matching=matching.run, segmenter=segmenter)


def _make_model(project: Project, run: Run, config: ProposeConfig, inputs: dict[str, str]) -> Job[None]:
    """Train or fetch the segmenter of the route and save it with its view in the folder of the run."""
    device = config.training.device
    if config.route == "model":
        TargetModel.load(project, model_folder(project, inputs["segmenter"]), device).save(run.path)
        return
    matching = load_matching(project, inputs["matching"])
    if config.route == "tutorship":
        segmenter = yield from train_proxy(project, run, config, matching)
        view = View(matching=matching.run, tutor=config.translator)
        TargetModel(project, segmenter, view).save(run.path)
        return
    segmenter = Segmenter.load(project.run(inputs["segmenter"]).path, device)
    if abs(segmenter.card.object_diameter_px / matching.object_diameter_px - 1) > SIZE_TOLERANCE:
        raise ProjectError(
            f"segmenter {inputs['segmenter']} expects objects of {segmenter.card.object_diameter_px:g} px, matching "
            f"{matching.run} makes them {matching.object_diameter_px:g} px; match the domains again with this segmenter"
        )
    view = View(matching=matching.run, translator=config.translator)
    TargetModel(project, segmenter, view).save(run.path)


def model_folder(project: Project, run_id: str) -> Path:
    """Folder of the target model of a proposing or fine-tuning run; raises `ProjectError` if it has none."""
    folder = project.run(run_id).path
    if not (folder / "view.json").exists():
        raise ProjectError(f"run {run_id} made no model for the target; choose a run of propose or finetune")
    return folder
