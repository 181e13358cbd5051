"""What tells the routes apart without labels of the target, gathered on a few crops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from histobridge.core.base_config import Direction
from histobridge.core.choice import Evidence
from histobridge.core.errors import InputError
from histobridge.core.images.working import Window, WorkingImage, resample_labels
from histobridge.core.job import Job, Progress, counted
from histobridge.core.judge import eventful, labelled_window, spread
from histobridge.core.manifest import IGNORE
from histobridge.core.matching import Matching, working_image
from histobridge.core.metrics import dice_of_shown
from histobridge.core.plausibility import Findings, find, g_ratio_plausibility, size_overlap
from histobridge.core.project import Project
from histobridge.core.scale import read_labels
from histobridge.core.segment.card import to_channels
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.learn import labelled_images
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.train import train
from histobridge.core.target_model import TargetModel
from histobridge.core.training_config import SegmenterTraining
from histobridge.core.translate.base import Image, Look, Translator, look_of, translate_window
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learn import load_translator
from histobridge.core.tutor import target_card

Classes = NDArray[np.uint8]

IMAGES = {"source": 12, "target": 8}
"""At most so many are looked at."""
PIXELS = {"source": 12 * 256**2, "target": 8 * 384**2}
"""Working pixels of all of them together; objects are some 36 across."""
STUDENT = SegmenterTraining(preset="tiny", batch_size=4, crop_px=96, augmentation=0.5, device="cpu")
"""The network of reverse validation."""


@dataclass(frozen=True)
class Gathered:
    """What was found.

    Parameters
    ----------
    evidence : dict
        By route; without total.
    agreement : float
        Mean Dice between what two routes predict on the target crops, of the two that differ most.
    """

    evidence: dict[str, Evidence]
    agreement: float


@dataclass(frozen=True, eq=False)
class _Crop:
    """A window of an image at the working scale, with its true classes where it has any."""

    id: str
    image: WorkingImage
    window: Window
    classes: Classes


def gather(project: Project, models: Mapping[str, TargetModel], reverse_steps: int, seed: int = 0) -> Job[Gathered]:
    """Gather evidence on models that see the target by different routes, on the same crops for all.

    Parameters
    ----------
    project : Project
    models : mapping of str to TargetModel
        By route; all of one matching.
    reverse_steps : int
        Training steps of the network of reverse validation; 0 leaves it out.
    seed : int
        Of that network.

    Yields
    ------
    Progress

    Returns
    -------
    Gathered

    Raises
    ------
    InputError
        If there are no models, or they are of different matchings.
    ProjectError
        If the source has no labelled images.

    Notes
    -----
    Reverse validation is of Zhong, Fan, Yang, Verscheure and Ren 2010, doi:10.1007/978-3-642-15939-8_35, as in section
    5.1.2 of Ganin et al. 2016, arXiv:1505.07818: a model that learns the target from a route's own proposals is tested
    where labels are, on the source. Here a small network is trained on the proposals of the crops and tested on the
    source crops in the grey values of the target.
    """
    matchings = {model.matching.run: model.matching for model in models.values()}
    if len(matchings) != 1:
        raise InputError(f"routes to compare must share one matching; found {', '.join(matchings) or 'no route'}")
    (matching,) = matchings.values()
    yield Progress(0, len(models), "looking at the source labels")
    source = _source_crops(project, matching)
    target = _target_crops(project, matching)
    expected = find([crop.classes for crop in source], project.manifest)
    evidence, predicted = {}, {}
    for number, (route, model) in enumerate(models.items()):
        predicted[route] = [_predict(model, crop) for crop in target]
        reverse = None
        if reverse_steps:
            training = STUDENT.model_copy(update={"steps": reverse_steps, "seed": seed})
            job = _reverse(project, list(zip(target, predicted[route], strict=True)), source, matching, training)
            reverse = yield from counted(job, f"judging {route} in reverse", (number, len(models)))
        evidence[route] = Evidence(
            consistency=_consistency(model, source), reverse=reverse, **_looks(project, predicted[route], expected)
        )
    values = _values(project)
    agreements = [_agreement(predicted[one], predicted[other], values) for one, other in combinations(predicted, 2)]
    return Gathered(evidence, min(agreements, default=1.0))


def _agreement(one: Sequence[Classes], other: Sequence[Classes], values: Sequence[int]) -> float:
    """Mean Dice of two predictions; 0 where both are empty, for two routes that find nothing confirm nothing."""
    return dice_of_shown(one, other, values) or 0.0


def _values(project: Project) -> tuple[int, ...]:
    """Values of the classes that both domains have, or else of those of the source."""
    both = tuple(spec.value for spec in project.classes if len(spec.domains) > 1)
    return both or tuple(spec.value for spec in project.classes_of("source"))


def _source_crops(project: Project, matching: Matching) -> list[_Crop]:
    labelled = labelled_images(project, "source", matching.subjects)
    records = spread([project.image(name) for name in labelled], IMAGES["source"])
    side = round((PIXELS["source"] / len(records)) ** 0.5)
    crops = []
    for record in records:
        image = working_image(project, record.id, matching)
        classes = resample_labels(read_labels(project, record.id), image.zoom)
        window = labelled_window(image, classes != IGNORE, side)
        crops.append(_Crop(record.id, image, window, classes[window]))
    return crops


def _target_crops(project: Project, matching: Matching) -> list[_Crop]:
    matched = [record for record in project.images("target") if record.id in matching.images]
    records = spread(matched, IMAGES["target"])
    side = round((PIXELS["target"] / len(records)) ** 0.5)
    images = {record.id: working_image(project, record.id, matching) for record in records}
    return [_Crop(name, image, eventful(image, side), np.empty(0, np.uint8)) for name, image in images.items()]


def _predict(model: TargetModel, crop: _Crop) -> Classes:
    """Class values of a target crop, as they would be proposed but at the working scale."""
    prediction = model.prediction(crop.id, flips=False)
    classes: Classes = prediction.values[prediction.working(crop.window).argmax(axis=0)]
    return classes


def _looks(project: Project, predicted: Sequence[Classes], expected: Findings) -> dict[str, float | None]:
    found = find(predicted, project.manifest)
    nested = expected.enclosure is not None
    return {
        "enclosure": found.enclosure,
        "size": size_overlap(found.diameters, expected.diameters),
        "g_ratio": g_ratio_plausibility(found.g_ratios, expected.g_ratios) if nested else None,
    }


def _consistency(model: TargetModel, source: Sequence[_Crop]) -> float:
    """Mean Dice on source crops that are given the look of the target and then treated like target images."""
    name = model.view.translator or model.view.tutor or "instant"
    there = load_translator(model.project, name, model.matching, model.segmenter.device)
    images = []
    for crop in source:
        seen = _in_target_look(there, crop)
        if model.translator is not None:
            seen = _translated(model.translator, seen, "target_to_source", look_of(seen))
        images.append(seen)
    return _score(model.project, model.segmenter, images, source)


def _reverse(
    project: Project,
    proposed: Sequence[tuple[_Crop, Classes]],
    source: Sequence[_Crop],
    matching: Matching,
    training: SegmenterTraining,
) -> Job[float]:
    """Train a small network on proposals alone; return its mean Dice on source crops in the look of the target."""
    values = tuple(spec.value for spec in project.classes)
    fields = [Field(crop.image.read(crop.window), to_channels(labels, values)) for crop, labels in proposed]
    net = build_network(training.preset, 1 + len(values), training.seed)
    sampler = CropSampler(fields, training.crop_px, training.augmentation, training.seed)
    yield from train(net, sampler, training)
    card = target_card(project, matching, training, [crop.id for crop, _ in proposed])
    # Grey values alone: a translator that drew what is not there must not be the judge of it.
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    student = Segmenter(net, card)
    return _score(project, student, [_in_target_look(instant, crop) for crop in source], source)


def _in_target_look(translator: Translator, crop: _Crop) -> Image:
    """Read a source crop in the look of the target."""
    image = crop.image
    return translate_window(translator, image.read, image.shape, crop.window, "source_to_target", image.look)


def _translated(translator: Translator, image: Image, direction: Direction, look: Look) -> Image:
    """Translate a crop that is all there is of its image."""
    rows, columns = image.shape
    whole = slice(0, rows), slice(0, columns)
    return translate_window(translator, lambda window: image[window], (rows, columns), whole, direction, look)


def _score(project: Project, segmenter: Segmenter, images: Sequence[Image], crops: Sequence[_Crop]) -> float:
    """Mean Dice of what a segmenter finds in source crops with their true classes; 0 where these show none."""
    found = []
    for image in images:
        channels = segmenter.probabilities(torch.from_numpy(image)[None, None])[0].argmax(dim=0).cpu().numpy()
        found.append(segmenter.card.to_values(channels))
    return dice_of_shown(found, [crop.classes for crop in crops], _values(project), IGNORE) or 0.0
