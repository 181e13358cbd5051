"""Make pseudo-labels by tutorship, by adaptation, by both or with a fine-tuned model: the job `propose`."""

from functools import partial
from pathlib import Path
from typing import Any

from histobridge.core.choice import decide, read_choice, write_choice
from histobridge.core.config import Direction, ProposeConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.evidence import gather
from histobridge.core.fused import FusedPrediction
from histobridge.core.job import Job, Progress, scaled
from histobridge.core.matching import Matching, load_matching
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal, write_proposal
from histobridge.core.runs import Run
from histobridge.core.scale import pixel_sizes
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.test_time import fit_to_target
from histobridge.core.target_model import NativePrediction, TargetModel, View
from histobridge.core.translate.base import Translator, WorksInTiles
from histobridge.core.translate.learn import load_translator
from histobridge.core.translate.quality.gate import check_translator
from histobridge.core.tutor import train_proxy

__all__ = ["propose_labels", "read_proposal"]

SIZE_TOLERANCE = 0.05
ROUTE_OF: dict[Direction, str] = {"source_to_target": "tutorship", "target_to_source": "adaptation"}
"""What can be done with a translator of one direction."""


def propose_labels(project: Project, run: Run, config: ProposeConfig) -> Job[dict[str, Any]]:
    """Propose labels for target images.

    Parameters
    ----------
    project : Project
    run : Run
        Gets the model, its view, and ``proposals/<image>/{classes,confidence}``; images that are done stay done when
        the job is resumed. Where both routes are needed, also ``tutorship/`` and ``adaptation/`` with the model of
        each, and ``choice.json`` where the route was chosen here.
    config : ProposeConfig

    Yields
    ------
    Progress

    Returns
    -------
    dict
        ``images`` proposed for, ``route`` (the chosen one), ``translator``, ``matching``, and why it was chosen as
        ``reason``.

    Raises
    ------
    ProjectError
        If the source is not learned, the domains not matched, there are no target images, or the translator failed its
        checks and nobody insists on it.
    InputError
        If the translator lacks a direction that the route needs.
    """
    images = _wanted_images(project, config)
    inputs = _settled(project, run, config)
    share = 0.0 if config.route in ("adaptation", "model") else 0.75
    if not (run.path / "view.json").exists():
        yield from scaled(_make_models(project, run, config, inputs), 0, share)
    choice = read_choice(run)
    route = choice.chosen if choice else config.route
    model = TargetModel.load(project, run.path, config.training.device)
    second = TargetModel.load(project, run.path / "adaptation", config.training.device) if route == "fused" else None
    slow = any(one is not None and isinstance(one.translator, WorksInTiles) for one in (model, second))
    for index, image_id in enumerate(images):
        if has_proposal(project, run.id, image_id):
            continue
        first = _prediction(model, image_id, config)
        fused = FusedPrediction(first, _prediction(second, image_id, config)) if second else None
        for done in write_proposal(run.path, image_id, fused or first, project.image(image_id).shape, slow):
            overall = share + (1 - share) * (index + done) / len(images)
            yield Progress(round(1000 * overall), 1000, f"proposing labels for {image_id}")
    return {
        "images": images,
        "route": route,
        "translator": config.translator,
        "matching": model.view.matching,
        **({"reason": choice.reason} if choice else {}),
    }


def _prediction(model: TargetModel, image_id: str, config: ProposeConfig) -> NativePrediction:
    views = {"flips": config.flips, "turns": config.test_time.turns}
    return model.prediction(image_id, **views, smallest_object=config.smallest_object)


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
    terms = (*config.training.pretrain_terms, *config.training.terms)
    looks = [term.translator for term in terms if term.kind == "semantic-consistency" and term.translator != "strong"]
    for name in (config.translator, *looks):
        check_translator(project, name, insist=config.insist)
    matching = load_matching(project, config.matching)
    segmenter = "" if config.route == "tutorship" else config.segmenter or matching.segmenter
    return run.settle(matching=matching.run, segmenter=segmenter)


def _make_models(project: Project, run: Run, config: ProposeConfig, inputs: dict[str, str]) -> Job[None]:
    """Make the models of the route; the one that fine-tuning restarts from lies in the folder of the run, saved last.

    Where both routes are needed, each has a folder of its own below it.
    """
    device = config.training.device
    if config.route == "model":
        model = TargetModel.load(project, model_folder(project, inputs["segmenter"]), device)
        (yield from _fitted(model, config)).save(run.path)
        return
    matching = load_matching(project, inputs["matching"])
    if config.route == "tutorship":
        (yield from _tutored(project, run, config, matching)).save(run.path)
        return
    if config.route == "adaptation":
        (yield from _adapted(project, inputs["segmenter"], config, matching)).save(run.path)
        return
    _check_both_ways(load_translator(project, config.translator, matching, device), config)
    # First what needs no training: it tells at once if the segmenter does not fit the matching.
    if not (run.path / "adaptation" / "view.json").exists():
        adapted = yield from scaled(_adapted(project, inputs["segmenter"], config, matching), 0, 0)
        _save_beside(adapted, run.path / "adaptation")
    if not (run.path / "tutorship" / "view.json").exists():
        _save_beside((yield from scaled(_tutored(project, run, config, matching), 0, 0.8)), run.path / "tutorship")
    models = {route: TargetModel.load(project, run.path / route, device) for route in ("tutorship", "adaptation")}
    if config.route == "auto" and read_choice(run) is None:
        gathered = yield from scaled(gather(project, models, config.reverse_steps), 0.8, 1)
        write_choice(run, decide(gathered.evidence, gathered.agreement))
    choice = read_choice(run)
    models[choice.chosen if choice and choice.chosen in models else "tutorship"].save(run.path)


def _check_both_ways(translator: Translator, config: ProposeConfig) -> None:
    """Raise `InputError` if a translator lacks a direction: each of the two routes uses one."""
    has = [direction for direction in ROUTE_OF if direction in translator.directions]
    if len(has) < len(ROUTE_OF):
        raise InputError(
            f"route: {config.route} found, which needs translations in both directions, but translator "
            f"{config.translator} has {has[0]} alone; choose route {ROUTE_OF[has[0]]}, or another translator"
        )


def _tutored(project: Project, run: Run, config: ProposeConfig, matching: Matching) -> Job[TargetModel]:
    segmenter = yield from scaled(train_proxy(project, run, config, matching), 0, 0.95)
    model = TargetModel(project, segmenter, View(matching=matching.run, tutor=config.translator))
    return (yield from scaled(_fitted(model, config), 0.95, 1))


def _adapted(project: Project, segmenter_id: str, config: ProposeConfig, matching: Matching) -> Job[TargetModel]:
    segmenter = Segmenter.load(project.run(segmenter_id).path, config.training.device)
    if segmenter.card.domain != "source":
        raise ProjectError(
            f"segmenter {segmenter_id} has learned the labels of the target, and adaptation shows it images in the "
            "look of the source; choose one that has learned the source, or match the domains again"
        )
    if abs(segmenter.card.object_diameter_px / matching.object_diameter_px - 1) > SIZE_TOLERANCE:
        raise ProjectError(
            f"segmenter {segmenter_id} expects objects of {segmenter.card.object_diameter_px:g} px, matching "
            f"{matching.run} makes them {matching.object_diameter_px:g} px; match the domains again with this segmenter"
        )
    model = TargetModel(project, segmenter, View(matching=matching.run, translator=config.translator))
    return (yield from _fitted(model, config))


def _fitted(model: TargetModel, config: ProposeConfig) -> Job[TargetModel]:
    """Fit a model to the images it shall propose for, seen as it wants to see them."""
    readers = []
    for image_id in _wanted_images(model.project, config):
        image = model.working_image(image_id)
        readers.append((partial(model.read, image), image.shape))
    yield from fit_to_target(model.segmenter.net, readers, config.test_time, config.training.seed)
    return model


def _save_beside(model: TargetModel, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    model.save(folder)


def model_folder(project: Project, run_id: str) -> Path:
    """Folder of the target model of a proposing or fine-tuning run; raises `ProjectError` if it has none."""
    folder = project.run(run_id).path
    if not (folder / "view.json").exists():
        raise ProjectError(f"run {run_id} made no model for the target; choose a run of propose or finetune")
    return folder
