"""Which jobs there are: verb, config, function, and the worker that runs them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from histobridge.core import config
from histobridge.core.errors import InputError, wrong_fields
from histobridge.core.job import Job
from histobridge.core.translate.import_config import ImportTranslatorConfig

if TYPE_CHECKING:
    from histobridge.core.project import Project
    from histobridge.core.runs import Run

Worker = Literal["train", "quick"]


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of job; the function is named, not imported, so that asking costs nothing."""

    config: type[config.Config]
    function: str
    worker: Worker
    title: str


JOBS: dict[str, JobKind] = {
    "add": JobKind(config.AddImagesConfig, "histobridge.core.images.add:add_images", "quick", "Adding images"),
    "train-segmenter": JobKind(
        config.TrainSegmenterConfig, "histobridge.core.segment.learn:train_segmenter", "train", "Learning your labels"
    ),
    "match": JobKind(config.MatchConfig, "histobridge.core.matching:match_domains", "quick", "Matching the domains"),
    "train-translator": JobKind(
        config.TrainTranslatorConfig,
        "histobridge.core.translate.learn:train_translator",
        "train",
        "Training translator",
    ),
    "import-translator": JobKind(
        ImportTranslatorConfig,
        "histobridge.core.translate.importing:import_translator",
        "train",
        "Importing translator",
    ),
    "translate-image": JobKind(
        config.TranslateImageConfig,
        "histobridge.core.translate.keep:translate_image",
        "quick",
        "Translating an image",
    ),
    "propose": JobKind(config.ProposeConfig, "histobridge.core.pseudo:propose_labels", "train", "Proposing labels"),
    "finetune": JobKind(config.FineTuneConfig, "histobridge.core.segment.finetune:finetune", "train", "Fine-tuning"),
    "rank": JobKind(config.RankConfig, "histobridge.core.rank:rank_tiles", "quick", "Ranking tiles"),
    "export": JobKind(config.ExportConfig, "histobridge.core.export:export_labels", "quick", "Exporting"),
    "selftest": JobKind(config.SelfTestConfig, "histobridge.core.selftest:selftest", "quick", "Testing the engine"),
}


def parse_config(verb: str, values: dict[str, Any]) -> config.Config:
    """Validate the config of a job; raise `InputError` naming the field."""
    try:
        made = JOBS[verb].config.model_validate(values)
    except KeyError:
        raise InputError(f"unknown job {verb!r}; expected one of {', '.join(JOBS)}") from None
    except ValidationError as error:
        raise InputError(f"{verb}: {wrong_fields(error)}") from error
    if endless := next(_endless(made.model_dump()), ""):
        raise InputError(f"{verb}: {endless} is not a finite number; give one")
    return made


def _endless(value: Any, place: str = "") -> Iterator[str]:
    """Yield where numbers are infinite or none: bounds let the first pass."""
    if isinstance(value, float) and not isfinite(value):
        yield place
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _endless(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _endless(each, place)


def start(project: "Project", run: "Run") -> Job[dict[str, Any]]:
    """Import the job of `run` and return its generator, not yet begun."""
    module, name = JOBS[run.verb].function.split(":")
    function: Callable[..., Job[dict[str, Any]]] = getattr(import_module(module), name)
    return function(project, run, parse_config(run.verb, run.config))
