"""Make pseudo-labels by tutorship, by adaptation or with a fine-tuned model: the job `propose`."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import ProposeConfig
from histobridge.core.errors import ProjectError
from histobridge.core.images.working import QUANTILES, WorkingImage, zoom_of
from histobridge.core.job import Job, Progress, counted
from histobridge.core.matching import Matching, load_matching
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal, write_proposal
from histobridge.core.runs import Run
from histobridge.core.scale import pixel_sizes
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.learn import labelled_images, working_field
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.segment.networks import build_network, choose_device
from histobridge.core.segment.train import train
from histobridge.core.target_model import TargetModel, View
from histobridge.core.translate.base import translate_window
from histobridge.core.translate.learn import load_translator

__all__ = ["propose_labels", "read_proposal"]

LOOK_TILES = 64
LOOK_TILE_PX = 160
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
        segmenter = yield from _train_proxy(project, run, config, matching)
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


def _train_proxy(project: Project, run: Run, config: ProposeConfig, matching: Matching) -> Job[Segmenter]:
    """Train the proxy segmenter of tutorship on source images in the look of the target.

    It has a channel for every class of the project, so that fine-tuning can teach it those the source lacks.
    """
    training = config.training
    classes = project.classes
    yield Progress(0, training.steps, "translating the source images")
    values = tuple(spec.value for spec in classes)
    fields = tutor_fields(project, matching, config.translator, values)
    net = build_network(training.preset, 1 + len(classes), training.seed).to(choose_device(training.device))
    sampler = CropSampler(
        fields, training.crop_px, training.augmentation, training.seed, look=TargetLooks(project, matching)
    )
    yield from counted(
        train(net, sampler, training, run.path, on_checkpoint=lambda step: run.log("checkpoint", step=step)),
        "tutoring a segmenter",
    )
    card = ModelCard(
        preset=training.preset,
        classes=tuple(spec.name for spec in classes),
        values=values,
        domain="target",
        working_um=matching.target_working_um,
        object_diameter_px=matching.object_diameter_px,
        quantiles=matching.target_look,
        trained_on=tuple(labelled_images(project, "source")),
        run=run.id,
    )
    return Segmenter(net, card)


def tutor_fields(project: Project, matching: Matching, translator_name: str, values: tuple[int, ...]) -> list[Field]:
    """Labelled source images at the working scale in the look of the target.

    With a trained translator each image comes twice, translated and statistics-matched, so that half of the crops show
    its texture and half cannot carry its mistakes.

    Parameters
    ----------
    project : Project
    matching : Matching
    translator_name : str
        `identity`, `instant` or a run.
    values : tuple of int
        Label values of the segmenter's channels after the background.

    Returns
    -------
    list of Field
    """
    names = [translator_name] if translator_name in ("identity", "instant") else ["instant", translator_name]
    translators = [load_translator(project, name, matching) for name in names]
    fields = []
    for image_id in labelled_images(project, "source"):
        field = working_field(project, image_id, matching.source_working_um, values)
        zoom = zoom_of(project.image(image_id), matching.source_working_um)
        image = WorkingImage(project.pixels(image_id), zoom)
        window = (slice(0, image.shape[0]), slice(0, image.shape[1]))
        for translator in translators:
            translated = translate_window(translator, image.read, image.shape, window, "source_to_target", image.look)
            fields.append(Field(translated, field.labels, None))
    return fields


class TargetLooks:
    """Give a crop in the pooled look of the target the look of one random tile of it.

    The grey values of single tiles vary far more than their mean; a proxy that has seen this variation meets no image
    that is new to it.

    Parameters
    ----------
    project : Project
    matching : Matching
    """

    def __init__(self, project: Project, matching: Matching):
        self._pooled = np.maximum.accumulate(np.asarray(matching.target_look, np.float32))
        self._pooled = self._pooled + np.linspace(0, 1e-4, QUANTILES, dtype=np.float32)
        rng = np.random.default_rng(0)
        images = [
            WorkingImage(project.pixels(record.id), zoom_of(record, matching.target_working_um))
            for record in project.images("target")
            if record.id in matching.images
        ]
        self._looks = [_tile_look(images[index % len(images)], rng) for index in range(LOOK_TILES)]

    def __call__(self, crop: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Map the grey values of a crop, (Y, X) float32 in [-1, 1]."""
        look = self._looks[rng.integers(len(self._looks))]
        return np.interp(crop, self._pooled, look).astype(np.float32)


def _tile_look(image: WorkingImage, rng: np.random.Generator) -> NDArray[np.float32]:
    sides = [min(LOOK_TILE_PX, size) for size in image.shape]
    corners = [int(rng.integers(0, size - side + 1)) for size, side in zip(image.shape, sides, strict=True)]
    row, column = (slice(corner, corner + side) for corner, side in zip(corners, sides, strict=True))
    return np.quantile(image.read((row, column)), np.linspace(0, 1, QUANTILES)).astype(np.float32)


def model_folder(project: Project, run_id: str) -> Path:
    """Folder of the target model of a proposing or fine-tuning run; raises `ProjectError` if it has none."""
    folder = project.run(run_id).path
    if not (folder / "view.json").exists():
        raise ProjectError(f"run {run_id} made no model for the target; choose a run of propose or finetune")
    return folder
