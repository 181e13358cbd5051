"""What benchmarks on a real pair share: data folders as projects, runs performed once, proposals scored."""

import argparse
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from folders import PAIRS, classes_of, read_masks, read_set, scored_classes
from histobridge.core.config import (
    AddImagesConfig,
    Domain,
    MatchConfig,
    ProposeConfig,
    SegmenterTraining,
    TrainSegmenterConfig,
)
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.manifest import ClassSpec, Manifest
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.scorecard import score_image
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translator_config import TrainTranslatorConfig
from tables import measures


def add_arguments(parser: argparse.ArgumentParser, *, one_pair: bool = True) -> None:
    """Ask for the pair, where its projects are kept, and how networks are trained."""
    parser.add_argument("--source", type=Path, required=one_pair)
    parser.add_argument("--target", type=Path, required=one_pair)
    parser.add_argument("--work", type=Path, default=Path("quality-work"), help="projects and runs are kept here")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--preset", default="cpu", choices=["tiny", "cpu", "gpu"])
    parser.add_argument("--steps", type=int, default=SegmenterTraining().steps)


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """Ask which of the standard pairs, where one pair may be given by its folders instead."""
    add_arguments(parser, one_pair=False)
    parser.add_argument("--data", type=Path, help="where the folders of the standard pairs are")
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=PAIRS, help="in quotes: 'source>target'")
    parser.add_argument("--report", action="store_true", help="compute nothing, print what the table has of all pairs")


def chosen_folders(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Source and target of each pair that was asked for."""
    if arguments.data:
        return [(arguments.data / source, arguments.data / target) for source, target in map(_ends, arguments.pairs)]
    if arguments.source and arguments.target:
        return [(arguments.source, arguments.target)]
    if not arguments.report:
        parser.error("give --data for the standard pairs, or --source and --target, or --report")
    return []


def _ends(pair: str) -> tuple[str, str]:
    source, target = pair.split(">")
    return source, target


def changed(config: TrainTranslatorConfig, changes: Iterable[str]) -> TrainTranslatorConfig:
    """A config with other values, each as `field=JSON`, those of settings within it as `bridge.contrast=1`."""
    values = config.model_dump()
    for change in changes:
        name, _, value = change.partition("=")
        *within, field = name.split(".")
        at = values
        for part in within:
            at = at.setdefault(part, {})
        at[field] = json.loads(value)
    return TrainTranslatorConfig.model_validate(values)


@dataclass(frozen=True)
class Part:
    """Images of a data folder that go into a project, with or without their masks."""

    domain: Domain
    folder: Path
    rows: list[dict]
    with_masks: bool


def make_project(path: Path, classes: tuple[ClassSpec, ...], *parts: Part) -> Project:
    """Make a project of data folders, or open it if it has been made."""
    if (path / "project.json").exists():
        return Project.open(path)
    project = Project.create(path, classes=classes)
    run = project.create_run("add", AddImagesConfig())
    for part in parts:
        for row in part.rows:
            image = np.array(Image.open(part.folder / "images" / row["file"]))
            record = image_record(
                Path(row["file"]).stem,
                part.domain,
                subject=row["subject"],
                pixel_size_um=float(row["px_um"]),
                pixel_size_from="index.csv",
            )
            stage_array(run, record, image, read_masks(part.folder, row["file"], classes) if part.with_masks else None)
    with project.editing("quality benchmark"):
        project.adopt(run)
    return project


class Notes:
    """What a stopped benchmark has done so far, in a JSON file."""

    def __init__(self, file: Path):
        self.file = file
        self._values = json.loads(file.read_text()) if file.exists() else {"runs": {}, "done": []}

    def keep(self, key: str, make) -> object:
        """Return a JSON value that was kept before, or make and keep it."""
        kept = self._values.setdefault("kept", {})
        if key not in kept:
            kept[key] = make()
            self._save()
        return kept[key]

    def done(self, *cell) -> bool:
        return list(cell) in self._values["done"]

    def finished(self, project: Project, key: str) -> Run | None:
        """A run that was performed to its end."""
        run_id, _ = self._values["runs"].get(key, ("", 0))
        run = project.run(run_id) if run_id else None
        return run if run is not None and run.state().status == "finished" else None

    def made(self, key: str) -> tuple[str, float]:
        """Id of a run that was performed, and its seconds."""
        run_id, seconds = self._values["runs"][key]
        return run_id, seconds

    def finish(self, *cell) -> None:
        self._values["done"].append(list(cell))
        self._save()

    def run(self, project: Project, key: str, verb: str, config, prepare=lambda run: 0.0) -> tuple[Run, float]:
        """Perform a run once; a cell that needs it again gets it, and its seconds, from the notes.

        `prepare` may put into a new run what others have made; it returns the seconds which that took.
        """
        runs = self._values["runs"]
        if key not in runs:
            run = project.create_run(verb, config)
            runs[key] = [run.id, prepare(run)]
        run = project.run(runs[key][0])
        if run.state().status != "finished":
            self._save()
            print(f"{key} ...", flush=True)
            begin = time.perf_counter()
            perform(run)
            runs[key][1] += time.perf_counter() - begin
            self._save()
        return run, runs[key][1]

    def _save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_suffix(".part")
        beside.write_text(json.dumps(self._values, indent=1))
        beside.replace(self.file)


class Pair:
    """A labelled source, a target whose masks only score, and the runs that propose labels for it."""

    changes: tuple[str, ...] = ()
    """What is other than in the presets of learned translators; see `changed`."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.name = f"{arguments.source.name}>{arguments.target.name}"
        self.work = arguments.work / self.name.replace(">", "--")
        self.preset = f"{arguments.preset}-{arguments.steps}"
        self.target: Path = arguments.target
        self.target_classes = scored_classes(self.name)
        self.project = make_project(
            self.work / "pair",
            classes_of(self.name),
            Part("source", arguments.source, read_set(arguments.source), with_masks=True),
            Part("target", arguments.target, read_set(arguments.target), with_masks=False),
        )
        self.notes = Notes(self.work / f"notes-{self.preset}.json")

    def truth(self, file: str) -> np.ndarray:
        """Values of the scored classes in an image of the target, (Y, X) uint8."""
        return read_masks(self.target, file, self.target_classes)

    def training(self, seed: int) -> SegmenterTraining:
        return SegmenterTraining(preset=self.arguments.preset, steps=self.arguments.steps, seed=seed)

    def matched(self, seed: int) -> tuple[Run, Run, float]:
        """Learn the source and match the domains; both runs and the seconds of both."""
        config = TrainSegmenterConfig(training=self.training(seed))
        learned, seconds = self.notes.run(self.project, f"learn-{seed}", "train-segmenter", config)
        matched, more = self.notes.run(self.project, f"match-{seed}", "match", MatchConfig(segmenter=learned.id))
        return learned, matched, seconds + more

    def named(self, arm: str) -> str:
        """An arm, or a learned translator, with what is other than in its preset."""
        return " ".join([arm, *self.changes]) if arm.split("-")[-1] in PRESETS else arm

    def propose(self, arm: str, seed: int) -> tuple[Run, float]:
        """Learn, match, translate where the arm needs it, propose; the proposing run and the seconds of all."""
        learned, matched, seconds = self.matched(seed)
        translator = {"source-only": "identity"}.get(arm, "instant")
        method = arm.split("-")[-1]
        if method in PRESETS:
            trained, more = self.trained(method, seed, matched)
            translator, seconds = trained.id, seconds + more
        config = ProposeConfig(
            route={"source-only": "adaptation"}.get(arm, arm.split("-")[0]),
            translator=translator,
            segmenter=learned.id,
            matching=matched.id,
            training=self.training(seed),
            insist=method in PRESETS,  # what the checks refuse is scored too: do they refuse the right ones?
        )
        both = config.route in ("fused", "auto")
        reuse = partial(self.reuse, translator=arm.split("-")[1], seed=seed) if both else lambda run: 0.0
        proposed, more = self.notes.run(self.project, f"{self.named(arm)}-{seed}", "propose", config, reuse)
        return proposed, seconds + more

    def trained(self, method: str, seed: int, matched: Run) -> tuple[Run, float]:
        """Train a translator; all its checkpoints are kept, since `rank.py` looks at them too."""
        common = {"matching": matched.id, "seed": seed, "keep_checkpoints": True}
        config = changed(PRESETS[method]["cpu"].model_copy(update=common), self.changes)
        return self.notes.run(self.project, f"{self.named(method)}-{seed}", "train-translator", config)

    def reuse(self, run: Run, translator: str, seed: int) -> float:
        """Give a run that needs both routes the models that each has made with the same settings; their seconds."""
        spent = 0.0
        for route in ("tutorship", "adaptation"):
            arm = f"{route}-{translator}"
            if self.notes.done(arm, seed):
                made, seconds = self.notes.made(f"{arm}-{seed}")
                (run.path / route).mkdir()
                for name in ("model.safetensors", "model.json", "view.json"):
                    shutil.copy(self.project.run(made).path / name, run.path / route)
                spent += seconds
        return spent

    def score_proposals(self, proposed: Run, seconds: float) -> list[dict]:
        """Score what a run proposes for every image of the target."""
        whole = (slice(None), slice(None))
        return self.score(
            {
                row["file"]: lambda name=Path(row["file"]).stem: read_proposal(self.project, proposed.id, name, whole)[
                    0
                ]
                for row in read_set(self.target)
            },
            seconds,
        )

    def score(self, predicted: dict, seconds: float) -> list[dict]:
        """Rows of a table for images of the target; `predicted` makes the class values of each file."""
        rows = []
        manifest = Manifest(name=self.name, classes=self.target_classes)
        for row in read_set(self.target):
            if row["file"] in predicted:
                truth = self.truth(row["file"])
                card = score_image(predicted[row["file"]](), truth, manifest, float(row["px_um"]))
                rows.append(
                    {name: round(card[key], 4) for name, key in measures(self.name).items() if key in card}
                    | {"image": row["file"], "subject": row["subject"], "seconds": round(seconds)}
                )
        return rows
