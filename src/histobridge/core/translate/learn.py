"""Translators of a project: train one, the job `train-translator`, or load one by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.errors import ProjectError
from histobridge.core.job import Job, Progress
from histobridge.core.matching import Matching, load_matching
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.translate import crew
from histobridge.core.translate.base import Image, Translator, look_of
from histobridge.core.translate.crops import Field, Labelled
from histobridge.core.translate.fields import fields_of, seen_of
from histobridge.core.translate.instant import Identity, Instant
from histobridge.core.translate.ladder import Outside, changes_told, check_processes
from histobridge.core.translate.learner import TrainedTranslator, load_trained
from histobridge.core.translate.polarity import UNSETTLED, with_fitting_identity
from histobridge.core.translate.quality.choosing import Chooser
from histobridge.core.translate.quality.lines import result_of
from histobridge.core.translate.quality.measure import examine, measure
from histobridge.core.translate.quality.panel import panel_of_project
from histobridge.core.translate.quality.report import write_quality
from histobridge.core.translate.train import train_matched

__all__ = ["load_translator", "train_pair", "train_translator"]

SCALE_TOLERANCE = 0.02


def train_translator(project: Project, run: Run, config: TrainTranslatorConfig) -> Job[dict[str, Any]]:
    """Train a translator between the domains of a project.

    Parameters
    ----------
    project : Project
    run : Run
        Gets checkpoints, ``quality.json``, ``translator.safetensors`` and ``translator.json``.
    config : TrainTranslatorConfig

    Yields
    ------
    Progress
        Every step; see `train_pair`.

    Returns
    -------
    dict
        ``steps``, ``images``: how many of each domain it has seen, ``verdict``: what is to be thought of it, in words,
        and ``measured``, a row a measure, where the images are large enough to tell; ``changed``: fields of the config
        that the training changed, if it did, because memory ran out or the polarity is not certain.

    Raises
    ------
    ProjectError
        If the domains are not matched, or one of them has no images.
    """
    settled = run.settle(matching=load_matching(project, config.matching).run)
    matching = load_matching(project, settled["matching"])
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    check_processes(config)
    asked, config = config, with_fitting_identity(config, matching)
    if config != asked and crew.rank() == 0:
        _log_once(run, "note", UNSETTLED)
    yield Progress(0, config.steps, "reading the images")
    domains: tuple[Domain, ...] = ("source", "target")
    ids = {domain: tuple(seen_of(project, domain, matching, config)) for domain in domains}
    fields = {domain: fields_of(project, domain, matching, config) for domain in domains}
    panel = panel_of_project(project, matching, config.device)
    chooser = None
    if config.keep_best and panel is not None:
        chooser = Chooser(lambda seen: measure(seen, panel).score, run.path, config.keep_checkpoints)
    ended: list[TrainTranslatorConfig] = []
    outside = Outside(
        lambda step: run.log("checkpoint", step=step),
        lambda words: _log_once(run, "changed", words),
        ended.append,
        asked.identity_weight if config != asked and matching.polarity_from == "estimate" else 0.0,
        sum(event["kind"] == "killed" for event in run.events()),
    )
    translator = yield from train_matched(fields, instant, config, run.path, outside, chooser)
    if crew.rank() > 0:
        return {}
    seen = (*ids["source"], *ids["target"])
    working_um = (matching.source_working_um, matching.target_working_um)
    translator.card = translator.card.model_copy(update={"run": run.id, "trained_on": seen, "working_um": working_um})
    result: dict[str, Any] = {
        "steps": config.steps,
        "images": {domain: len(of_domain) for domain, of_domain in ids.items()},
    }
    # The card has the settings of the checkpoint that was chosen, which may be from before the last of them changed.
    if less := changes_told(asked, ended[-1]):
        result["changed"] = less
    if panel is not None:
        yield Progress(config.steps, config.steps, "looking at what it makes")
        quality, pictures = examine(translator, panel)
        if chooser is not None:
            quality = quality.model_copy(update={"step": chooser.step, "history": tuple(chooser.history)})
        write_quality(run.path, quality)
        result |= result_of(quality)
        yield Progress(config.steps, config.steps, "looked at what it makes", {}, pictures)
    translator.save(run.path)
    return result


def _log_once(run: Run, kind: str, message: str) -> None:
    """Log what has not been logged before: a change made again after a kill is none that could save the run."""
    if not any((event["kind"], event.get("message")) == (kind, message) for event in run.events()):
        run.log(kind, message=message)


def train_pair(
    source_fields: Sequence[Field],
    target_fields: Sequence[Image],
    instant: Instant,
    config: TrainTranslatorConfig,
    folder: Path | None = None,
    on_checkpoint: Callable[[int], object] = lambda step: None,
) -> Job[TrainedTranslator]:
    """Train a translator on whole images of both domains.

    A checkpoint in `folder` is continued from; on the CPU the result then equals that of an uninterrupted training
    exactly. Closing the job writes a checkpoint.

    Parameters
    ----------
    source_fields : sequence of array, (Y, X) float32, or Labelled
        At the working scale, in [-1, 1], each in its own look; with labels for methods that use them.
    target_fields : sequence of array, (Y, X) float32
        The same.
    instant : Instant
        Brings the source to the look of the target.
    config : TrainTranslatorConfig
    folder : Path, optional
        Where the checkpoint lies; none: no checkpoints.
    on_checkpoint : callable
        Called with the step after each checkpoint is on disk.

    Yields
    ------
    Progress
        Every step with the losses of the method, ``generator`` and ``discriminator`` among them; every 50 steps or
        more with pictures and numbers of a few fixed tiles, see `FixedTiles.look`.

    Returns
    -------
    TrainedTranslator
        With fixed norms, on the device it was trained on.

    Raises
    ------
    InputError
        If a domain is empty or has values that are not finite.
    ProjectError
        If the checkpoint is damaged or of other networks, or the training diverges.
    """
    matched = [_matched(field, instant) for field in source_fields]
    fields: dict[Domain, Sequence[Field]] = {"source": matched, "target": target_fields}
    return (yield from train_matched(fields, instant, config, folder, Outside(on_checkpoint)))


def _matched(field: Field, instant: Instant) -> Field:
    image, classes = field if isinstance(field, Labelled) else (field, None)
    matched = instant.translate(image, "source_to_target", look_of(image))
    return matched if classes is None else Labelled(matched, classes)


def load_translator(project: Project, name: str, matching: Matching, device: str = "auto") -> Translator:
    """Load a translator between domains matched by `matching`.

    Parameters
    ----------
    project : Project
    name : str
        ``identity``, ``instant``, or the id of a run that trained one.
    matching : Matching
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    Translator

    Raises
    ------
    ProjectError
        If there is no such run, it trained no translator or is not finished, its files are damaged, or it was trained
        with another polarity or working scale than `matching` has now.
    """
    if name == "identity":
        return Identity()
    if name == "instant":
        return Instant(matching.invert, matching.source_look, matching.target_look)
    run = project.run(name)
    if run.verb not in ("train-translator", "import-translator"):
        raise ProjectError(f"run {name} did not train a translator, it is a {run.verb} run; choose one that did")
    translator = load_trained(run.path, device)
    _check_matching(translator, matching)
    return translator


def _check_matching(translator: TrainedTranslator, matching: Matching) -> None:
    """Raise `ProjectError` if the domains are matched otherwise than when `translator` was trained."""
    card = translator.card
    remedy = "train a translator for this matching, or choose the matching it was trained with"
    if card.invert != matching.invert:
        then, now = ("inverted" if invert else "kept" for invert in (card.invert, matching.invert))
        raise ProjectError(f"translator {card.run} was trained with {then} polarity, now it is {now}; {remedy}")
    scales = (matching.source_working_um, matching.target_working_um)
    for domain, before, after in zip(("source", "target"), card.working_um or scales, scales, strict=True):
        if abs(after / before - 1) > SCALE_TOLERANCE:
            raise ProjectError(
                f"translator {card.run} was trained at {before:.4g} µm a pixel of the {domain}, now it is "
                f"{after:.4g}; {remedy}"
            )
