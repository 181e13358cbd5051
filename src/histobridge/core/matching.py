"""Bring two domains to one scale, one polarity, one distribution of grey values: the job `match`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import PositiveFloat, ValidationError

from histobridge.core.config import Config, MatchConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.images.working import WorkingImage, zoom_of
from histobridge.core.job import Job, Progress
from histobridge.core.judge import CERTAIN, REACH, SETTLED, SETTLING_STEPS, Judge, spread
from histobridge.core.known_sizes import refuse_changed, sizes_of
from histobridge.core.project import Project
from histobridge.core.runs import Run

if TYPE_CHECKING:
    from histobridge.core.segment.card import ModelCard

SCHEMA_VERSION = 1


class Matching(Config):
    """How the target is brought to the source; saved as ``runs/<id>/matching.json``."""

    schema_version: int = SCHEMA_VERSION
    """Format of this file."""

    run: str
    """The run that made it."""

    segmenter: str
    """The run whose source segmenter judged it."""

    source_working_um: PositiveFloat
    """µm per working pixel in the source."""

    target_working_um: PositiveFloat
    """µm per working pixel in the target."""

    object_diameter_px: PositiveFloat
    """Typical diameter of the reference objects at the working scale."""

    scale_from: Literal["estimate", "size", "line", "number", "nothing"]
    """Estimated, that of the source since objects are taken to be as large in µm, from a line the user drew, given, or
    left near that of the source since no object was recognised."""

    scale_steps: tuple[PositiveFloat, ...] = ()
    """The estimates of `target_working_um` on the way to the last."""

    invert: bool
    """Whether dark in the source is bright in the target."""

    polarity_from: Literal["estimate", "user"]
    """Who decided the polarity."""

    polarity_score: dict[str, float]
    """Mean score of the target images as `keep` and as `invert`."""

    score: Literal["enclosure", "entropy"]
    """What the score measures."""

    polarity_by_image: dict[str, bool]
    """What each image would have chosen alone: whether to invert."""

    certainty: float
    """Of the polarity, in [0, 1]: mean over the images of how clearly each prefers it; 0.5 is undecided."""

    certain: bool
    """Whether the certainty suffices to go on without asking."""

    source_look: tuple[float, ...]
    """Grey quantiles of the source at the working scale, 257 values in [-1, 1]."""

    target_look: tuple[float, ...]
    """Grey quantiles of the target at the working scale, 257 values in [-1, 1]."""

    images: tuple[str, ...]
    """Target images that were looked at."""

    subjects: tuple[str, ...] = ()
    """Subjects of the source whose labels the segmenter was held to; empty: all."""

    pixel_sizes_um: dict[str, PositiveFloat] = {}
    """Pixel sizes of these, and of those that the segmenter has learned; empty in files of older versions."""


def match_domains(project: Project, run: Run, config: MatchConfig) -> Job[dict[str, Any]]:
    """Find scale, polarity and grey quantiles that bring the target to the source.

    Parameters
    ----------
    project : Project
    run : Run
        Gets ``matching.json`` and previews.
    config : MatchConfig

    Yields
    ------
    Progress

    Returns
    -------
    dict
        The matching without the quantiles.

    Raises
    ------
    ProjectError
        If the source is not learned yet, there are no target images, or pixel sizes are missing.
    InputError
        If only the object of the source was measured, or what was measured would make images tiny or huge.
    """
    from histobridge.core.device import quick_device
    from histobridge.core.match_views import both_polarities, previews
    from histobridge.core.segment.model import Segmenter

    source_run = project.need("segmenter", config.segmenter, "learn the source labels first")
    device, words = quick_device()
    segmenter = Segmenter.load(source_run.path, device)
    learned = segmenter.card.pixel_sizes_um
    refuse_changed(project, learned, f"segmenter {source_run.id}", "learn the source labels again")
    records = spread(project.images("target"), config.images_used)
    judge = Judge(project, segmenter, records, config.score)
    estimate = yield from _estimate_scale(judge, config, segmenter.card)
    yield Progress(9, 10, "judging the polarity")
    scores = judge.scores(estimate.working_um)
    invert, certainty = judge.decide(estimate.working_um)
    if config.polarity != "auto":
        invert, certainty = config.polarity == "invert", 1.0
    images = judge.images(estimate.working_um)
    matching = Matching(
        run=run.id,
        segmenter=source_run.id,
        source_working_um=segmenter.card.working_um,
        target_working_um=estimate.working_um,
        object_diameter_px=segmenter.card.object_diameter_px,
        scale_from=estimate.origin,
        scale_steps=estimate.steps,
        invert=invert,
        polarity_from="estimate" if config.polarity == "auto" else "user",
        polarity_score={
            name: float(np.mean([score[name] for score in scores.values()])) for name in ("keep", "invert")
        },
        score=judge.score,
        polarity_by_image={name: bool(score["invert"] > score["keep"]) for name, score in scores.items()},
        certainty=certainty,
        certain=certainty >= CERTAIN,
        source_look=segmenter.card.quantiles,
        target_look=tuple(float(value) for value in np.mean([image.look for image in images.values()], axis=0)),
        images=tuple(images),
        subjects=segmenter.card.subjects,
        pixel_sizes_um=learned | sizes_of(project.image(name) for name in images),
    )
    write_json(run.path / "matching.json", matching.model_dump(mode="json"))
    pictures = previews(project, matching) | both_polarities(project, judge, estimate.working_um)
    yield Progress(10, 10, f"matched {words}".rstrip(), preview=pictures)
    return matching.model_dump(mode="json", exclude={"source_look", "target_look"})


@dataclass(frozen=True, slots=True)
class _Scale:
    """µm per working pixel of the target, and how it was found."""

    working_um: float
    origin: Literal["estimate", "size", "line", "number", "nothing"]
    steps: tuple[float, ...] = ()


def _estimate_scale(judge: Judge, config: MatchConfig, card: "ModelCard") -> Job[_Scale]:
    """Take the scale from the user, or sweep it coarsely and let object size settle it."""
    if config.scale_factor is not None:
        given = f"scale_factor: {config.scale_factor:g} found"
        return _Scale(judge.possible(card.working_um * config.scale_factor, given), "number")
    if config.target_diameter_um is not None:
        given = f"target_diameter_um: {config.target_diameter_um:g} found"
        like = config.source_diameter_um or card.object_diameter_px * card.working_um
        return _Scale(judge.possible(config.target_diameter_um / like * card.working_um, given), "line")
    if config.source_diameter_um is not None:
        raise InputError("source_diameter_um needs target_diameter_um, the diameter of a like object of the target")
    steps = []
    sweep = judge.sweep()
    if not sweep:
        return _Scale(judge.set_scale() or card.working_um, "number")
    if judge.score == "entropy":
        assumed = "objects were taken to be as large in µm as in the source"
        judge.possible(sweep[0], assumed, "draw a line across like objects of both domains, or check")
    best, working_um = 0.0, min(sweep, key=lambda um: abs(np.log(um / card.working_um)))
    for number, candidate in enumerate(sweep):
        fit = judge.fit(candidate, config.polarity)
        if fit > best:
            best, working_um = fit, candidate
        yield Progress(number + 1, len(sweep) + SETTLING_STEPS + 2, "looking for the scale")
    steps.append(working_um)
    if not best:
        return _Scale(working_um, "nothing")
    if judge.score == "entropy":
        return _Scale(working_um, "size", tuple(steps))
    for number in range(SETTLING_STEPS):
        # Objects that come out too large by a factor need pixels larger by that factor.
        diameter = judge.diameter(steps[-1], config.polarity)
        if not np.isfinite(diameter):
            break
        fitting = steps[-1] * diameter / card.object_diameter_px
        steps.append(float(np.clip(fitting, working_um / REACH, working_um * REACH)))
        yield Progress(len(sweep) + number + 1, len(sweep) + SETTLING_STEPS + 2, "settling the scale")
        if abs(np.log(steps[-1] / steps[-2])) < SETTLED:
            break
    while len(steps) > 1 and not np.isfinite(judge.diameter(steps[-1], config.polarity)):
        steps.pop()  # Nothing is seen there: back to where something was.
    return _Scale(steps[-1], "estimate", tuple(steps))


def load_matching(project: Project, run_id: str = "") -> Matching:
    """Load the matching of one run, or the active one.

    Raises
    ------
    ProjectError
        If there is none, its file is damaged, or it is the one in use and an image that was looked at has another pixel
        size by now. Models of an earlier one stay usable: who has matched again knows.
    """
    run = project.need("matching", run_id, "match the domains first (Match page, or `histobridge match`)")
    file = run.path / "matching.json"
    try:
        values = read_json(file)
        found = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(found, int) and found > SCHEMA_VERSION:
            raise ProjectError(
                f"{file} has schema version {found}, made by a newer HistoBridge; this one reads up to "
                f"{SCHEMA_VERSION}. Upgrade with: pip install -U napari-histobridge"
            )
        matching = Matching.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ProjectError(f"{file} is damaged at {where}: {first['msg']}; match the domains again") from error
    except (OSError, ValueError) as error:
        raise ProjectError(f"{file} cannot be read ({error}); match the domains again") from error
    active = project.active("matching")
    if active is not None and active.id == run.id:
        refuse_changed(project, matching.pixel_sizes_um, f"matching {run.id}", "match again")
    return matching


def working_image(project: Project, image_id: str, matching: Matching) -> WorkingImage:
    """Open an image of either domain at the working scale of a matching."""
    record = project.image(image_id)
    working_um = matching.source_working_um if record.domain == "source" else matching.target_working_um
    return WorkingImage(project.pixels(image_id), zoom_of(record, working_um))
