"""Learn the labels of one domain: the job `train-segmenter`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Domain, TrainSegmenterConfig
from histobridge.core.device import choose_device
from histobridge.core.errors import ProjectError
from histobridge.core.images.working import QUANTILES, WorkingImage, resample_labels, zoom_of
from histobridge.core.job import Job, counted
from histobridge.core.known_sizes import sizes_of
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.scale import labelled_diameter_um, read_labels
from histobridge.core.segment.card import to_channels
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.pretrain import pretrain
from histobridge.core.segment.sheaths import vary_sheaths
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.train import train
from histobridge.core.states import ACCEPTED, CORRECTED


def train_segmenter(project: Project, run: Run, config: TrainSegmenterConfig) -> Job[dict[str, Any]]:
    """Train a segmenter on the labelled images of one domain.

    Parameters
    ----------
    project : Project
    run : Run
        Gets ``model.safetensors``, ``model.json`` and checkpoints.
    config : TrainSegmenterConfig

    Yields
    ------
    Progress
        After every optimizer step.

    Returns
    -------
    dict
        ``working_um`` (µm per working pixel), ``images`` and ``subjects`` learned from.

    Raises
    ------
    ProjectError
        If there are no labelled images, or pixel sizes are missing.
    """
    image_ids = labelled_images(project, config.domain, config.subjects)
    classes = project.classes_of(config.domain)
    values = tuple(spec.value for spec in classes)
    working_um = labelled_diameter_um(project, image_ids) / config.object_diameter_px
    fields = [working_field(project, image_id, working_um, values) for image_id in image_ids]
    training = config.training
    net = build_network(training.preset, 1 + len(classes), training.seed).to(choose_device(training.device))
    varied = vary_sheaths(fields, nested_channels(project, values), training.sheath_variation)
    shift = training.background_shift
    sampler = CropSampler(varied, training.crop_px, training.augmentation, training.seed, background_shift=shift)
    parts = 1
    if training.pretrain_terms:
        parts = 2
        pool = TilePool([field.image for field in fields], training.crop_px, training.augmentation, training.seed + 2)
        yield from counted(pretrain(net, pool, training, run.path), "looking at the images", (0, parts))
    job = train(net, sampler, training, run.path, on_checkpoint=lambda step: run.log("checkpoint", step=step))
    yield from counted(job, "learning the labels", (parts - 1, parts))
    card = ModelCard(
        preset=training.preset,
        classes=tuple(spec.name for spec in classes),
        values=values,
        domain=config.domain,
        working_um=working_um,
        object_diameter_px=config.object_diameter_px,
        quantiles=pooled_look(fields),
        trained_on=tuple(image_ids),
        subjects=config.subjects,
        pixel_sizes_um=sizes_of(project.image(image_id) for image_id in image_ids),
        run=run.id,
    )
    Segmenter(net, card).save(run.path)
    subjects = sorted({project.image(image_id).subject for image_id in image_ids})
    return {"working_um": working_um, "images": image_ids, "subjects": subjects}


def labelled_images(project: Project, domain: Domain, subjects: tuple[str, ...] = ()) -> list[str]:
    """Ids of the images with labels, of some subjects or all; raises `ProjectError` if there are none."""
    chosen = [
        record.id
        for record in project.images(domain)
        if (not subjects or record.subject in subjects) and is_labelled(project, record)
    ]
    if not chosen:
        which = f" of subjects {', '.join(subjects)}" if subjects else ""
        raise ProjectError(
            f"there are no labelled {domain} images{which}; add images with masks on the Images page, or review some"
        )
    return chosen


def is_labelled(project: Project, record: ImageRecord) -> bool:
    """Whether an image came with masks or has something reviewed."""
    if record.has_masks:
        return True
    store = project.labels(record.id)
    try:
        return any(_teaches(store.read(window)[1]) for window in store.corrections())
    finally:
        store.close()


def _teaches(state: NDArray[np.uint8]) -> bool:
    return bool(((state == ACCEPTED) | (state == CORRECTED)).any())


def working_field(project: Project, image_id: str, working_um: float, values: tuple[int, ...]) -> Field:
    """Read one labelled image at the working scale as a training field of a segmenter that knows these values."""
    image = WorkingImage(project.pixels(image_id), zoom_of(project.image(image_id), working_um))
    labels = resample_labels(read_labels(project, image_id), image.zoom)
    return Field(image.whole(), to_channels(labels, values), None)


def nested_channels(project: Project, values: tuple[int, ...]) -> tuple[int, int] | None:
    """Channels of the enclosed and the enclosing class of a segmenter that knows these values; none without both."""
    pair = project.manifest.nested_pair()
    if pair is None or not {spec.value for spec in pair} <= set(values):
        return None
    return values.index(pair[0].value) + 1, values.index(pair[1].value) + 1


def pooled_look(fields: list[Field]) -> tuple[float, ...]:
    """Mean grey quantiles of the fields, 257 values in [-1, 1]."""
    looks = [np.quantile(field.image, np.linspace(0, 1, QUANTILES)) for field in fields]
    return tuple(float(value) for value in np.mean(looks, axis=0))
