"""Train the proxy segmenter of tutorship: labelled source images in the look of the target."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from histobridge.core.config import ProposeConfig, SegmenterTraining
from histobridge.core.device import choose_device
from histobridge.core.errors import InputError
from histobridge.core.images.working import QUANTILES, WorkingImage, zoom_of
from histobridge.core.job import Job, Progress, counted, scaled
from histobridge.core.matching import Matching
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.segment.crops import CropSampler, Field, Look
from histobridge.core.segment.learn import labelled_images, nested_channels, working_field
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.pretrain import pretrain
from histobridge.core.segment.sheaths import vary_sheaths
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.train import train
from histobridge.core.translate.base import as_look, translate_blocks
from histobridge.core.translate.learn import load_translator
from histobridge.core.translate.quality.gate import UNTRAINED

LOOK_TILES = 64
LOOK_TILE_PX = 160
POOL_TILES = 64
POOL_TILE_PX = 256
TRANSLATING = 0.2
"""About the share of a tutorship that a trained translator takes."""


def train_proxy(project: Project, run: Run, config: ProposeConfig, matching: Matching) -> Job[Segmenter]:
    """Train the proxy segmenter of tutorship on source images in the look of the target.

    It has a channel for every class of the project, so that fine-tuning can teach it those the source lacks.
    """
    training = config.training
    classes = project.classes
    values = tuple(spec.value for spec in classes)
    begun = 0.0 if config.translator in UNTRAINED else TRANSLATING
    fields = yield from scaled(tutor_fields(project, matching, config.translator, values, training.device), 0, begun)
    fields = vary_sheaths(fields, nested_channels(project, values), training.sheath_variation)
    net = build_network(training.preset, 1 + len(classes), training.seed).to(choose_device(training.device))
    looks, shift = TargetLooks(project, matching), training.background_shift
    sampler = CropSampler(fields, training.crop_px, training.augmentation, training.seed, looks, shift)
    pool = target_pool(project, matching, training) if training.terms or training.pretrain_terms else None
    yield from scaled(_taught(net, sampler, pool, training, run), begun, 1)
    images = labelled_images(project, "source", matching.subjects)
    return Segmenter(net, target_card(project, matching, training, images, run.id))


def _taught(
    net: nn.Module, sampler: CropSampler, pool: TilePool | None, training: SegmenterTraining, run: Run
) -> Job[None]:
    """Train in place; on tiles of the target first where that is asked for."""
    parts = 1
    if pool is not None and training.pretrain_terms:
        parts = 2
        yield from counted(pretrain(net, pool, training, run.path), "looking at the target", (0, parts))
    job = train(net, sampler, training, run.path, lambda step: run.log("checkpoint", step=step), pool)
    yield from counted(job, "tutoring a segmenter", (parts - 1, parts))


def target_card(
    project: Project, matching: Matching, training: SegmenterTraining, images: Sequence[str], run_id: str = ""
) -> ModelCard:
    """Card of a segmenter that has learned all classes of the project in the look of the target."""
    return ModelCard(
        preset=training.preset,
        classes=tuple(spec.name for spec in project.classes),
        values=tuple(spec.value for spec in project.classes),
        domain="target",
        working_um=matching.target_working_um,
        object_diameter_px=matching.object_diameter_px,
        quantiles=matching.target_look,
        trained_on=tuple(images),
        subjects=matching.subjects,
        run=run_id,
    )


def tutor_fields(
    project: Project, matching: Matching, translator_name: str, values: tuple[int, ...], device: str = "auto"
) -> Job[list[Field]]:
    """Give labelled source images, at the working scale, the look of the target; of the subjects of the matching alone.

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
    device : {"auto", "cpu", "cuda"}
        Where the translator works.

    Yields
    ------
    Progress

    Returns
    -------
    list of Field
    """
    names = [translator_name] if translator_name in UNTRAINED else ["instant", translator_name]
    translators = [load_translator(project, name, matching, device) for name in names]
    fields: list[Field] = []
    images = labelled_images(project, "source", matching.subjects)
    parts = len(images) * len(translators)
    for image_id in images:
        field = working_field(project, image_id, matching.source_working_um, values)
        zoom = zoom_of(project.image(image_id), matching.source_working_um)
        image = WorkingImage(project.pixels(image_id), zoom)
        window = (slice(0, image.shape[0]), slice(0, image.shape[1]))
        for translator in translators:
            job = translate_blocks(translator, image.read, image.shape, window, "source_to_target", image.look)
            yield Progress(1000 * len(fields), 1000 * parts, f"translating {image_id}")
            translated = yield from counted(job, f"translating {image_id}", (len(fields), parts))
            fields.append(Field(translated, field.labels, None))
    return fields


def target_pool(project: Project, matching: Matching, training: SegmenterTraining) -> TilePool:
    """Tiles of the target at the working scale, as they are, for terms that learn without labels."""
    rng = np.random.default_rng(training.seed)
    images = _matched_images(project, matching)
    tiles = [_random_tile(images[number % len(images)], POOL_TILE_PX, rng) for number in range(POOL_TILES)]
    look = _source_look(project, matching, training)
    return TilePool(tiles, training.crop_px, training.augmentation, training.seed + 2, look)


def _source_look(project: Project, matching: Matching, training: SegmenterTraining) -> Look | None:
    """How a tutor's crop, which has the look of the target, gets that of the source; none where no term asks."""
    asked = [term for term in training.terms if term.kind == "semantic-consistency" and term.translator != "strong"]
    if not asked:
        return None
    named = {term.translator for term in asked}
    if len(named) > 1:
        raise InputError(
            f"terms: semantic-consistency names the translators {', '.join(sorted(named))}, one expected for all; "
            "choose one of them"
        )
    translator = load_translator(project, asked[0].translator, matching, training.device)

    def look(crop: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        del rng
        return translator.translate(crop, "target_to_source", as_look(matching.target_look))

    return look


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
        images = _matched_images(project, matching)
        self._looks = [_tile_look(images[index % len(images)], rng) for index in range(LOOK_TILES)]

    def __call__(self, crop: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Map the grey values of a crop, (Y, X) float32 in [-1, 1]."""
        look = self._looks[rng.integers(len(self._looks))]
        return np.interp(crop, self._pooled, look).astype(np.float32)


def _matched_images(project: Project, matching: Matching) -> list[WorkingImage]:
    return [
        WorkingImage(project.pixels(record.id), zoom_of(record, matching.target_working_um))
        for record in project.images("target")
        if record.id in matching.images
    ]


def _tile_look(image: WorkingImage, rng: np.random.Generator) -> NDArray[np.float32]:
    return np.quantile(_random_tile(image, LOOK_TILE_PX, rng), np.linspace(0, 1, QUANTILES)).astype(np.float32)


def _random_tile(image: WorkingImage, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    sides = [min(side, size) for size in image.shape]
    corners = [int(rng.integers(0, size - side + 1)) for size, side in zip(image.shape, sides, strict=True)]
    row, column = (slice(corner, corner + side) for corner, side in zip(corners, sides, strict=True))
    return image.read((row, column))
