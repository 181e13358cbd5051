"""What benchmarks on a real pair share: data folders as projects, runs performed once, tables that grow row by row."""

import argparse
import csv
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from histobridge.core.config import (
    AddImagesConfig,
    MatchConfig,
    ProposeConfig,
    SegmenterTraining,
    TrainSegmenterConfig,
    TrainTranslatorConfig,
)
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.scorecard import score_image

MEASURES = {
    "axon": "dice/axon",
    "myelin": "dice/myelin",
    "instance_f1": "instance_f1",
    "g_ratio_bias": "aggregate_g_ratio_bias",
}
"""Column of a table -> name in the scorecard."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Ask for the pair, where its projects are kept, and how networks are trained."""
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("quality-work"), help="projects and runs are kept here")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--preset", default="cpu", choices=["tiny", "cpu", "gpu"])
    parser.add_argument("--steps", type=int, default=SegmenterTraining().steps)


def read_set(folder: Path) -> list[dict]:
    with (folder / "index.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def read_masks(folder: Path, file: str) -> np.ndarray:
    """Class values of one image, (Y, X) uint8."""
    return np.array(Image.open(folder / "masks" / file))


def make_project(path: Path, domains: dict[str, tuple[Path, bool]]) -> Project:
    """Make a project of data folders; `domains` says of each domain its folder and whether masks go in."""
    if (path / "project.json").exists():
        return Project.open(path)
    project = Project.create(path)
    run = project.create_run("add", AddImagesConfig())
    for domain, (folder, with_masks) in domains.items():
        for row in read_set(folder):
            image = np.array(Image.open(folder / "images" / row["file"]))
            record = image_record(
                Path(row["file"]).stem,
                domain,
                subject=row["subject"],
                pixel_size_um=float(row["px_um"]),
                pixel_size_from="index.csv",
            )
            stage_array(run, record, image, read_masks(folder, row["file"]) if with_masks else None)
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

    def finish(self, *cell) -> None:
        self._values["done"].append(list(cell))
        self._save()

    def run(self, project: Project, key: str, verb: str, config) -> tuple[Run, float]:
        """Perform a run once; a cell that needs it again gets it, and its seconds, from the notes."""
        runs = self._values["runs"]
        if key not in runs:
            runs[key] = [project.create_run(verb, config).id, 0.0]
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

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.name = f"{arguments.source.name}>{arguments.target.name}"
        self.work = arguments.work / self.name.replace(">", "--")
        self.preset = f"{arguments.preset}-{arguments.steps}"
        self.target: Path = arguments.target
        self.project = make_project(
            self.work / "pair", {"source": (arguments.source, True), "target": (arguments.target, False)}
        )
        self.notes = Notes(self.work / f"notes-{self.preset}.json")

    def training(self, seed: int) -> SegmenterTraining:
        return SegmenterTraining(preset=self.arguments.preset, steps=self.arguments.steps, seed=seed)

    def matched(self, seed: int) -> tuple[Run, Run, float]:
        """Learn the source and match the domains; both runs and the seconds of both."""
        config = TrainSegmenterConfig(training=self.training(seed))
        learned, seconds = self.notes.run(self.project, f"learn-{seed}", "train-segmenter", config)
        matched, more = self.notes.run(self.project, f"match-{seed}", "match", MatchConfig(segmenter=learned.id))
        return learned, matched, seconds + more

    def propose(self, arm: str, seed: int) -> tuple[Run, float]:
        """Learn, match, translate where the arm needs it, propose; the proposing run and the seconds of all."""
        learned, matched, seconds = self.matched(seed)
        translator = {"source-only": "identity"}.get(arm, "instant")
        if arm.endswith("cyclegan"):
            config = TrainTranslatorConfig(matching=matched.id, seed=seed)
            trained, more = self.notes.run(self.project, f"cyclegan-{seed}", "train-translator", config)
            translator, seconds = trained.id, seconds + more
        config = ProposeConfig(
            route={"source-only": "adaptation"}.get(arm, arm.split("-")[0]),
            translator=translator,
            segmenter=learned.id,
            matching=matched.id,
            training=self.training(seed),
        )
        proposed, more = self.notes.run(self.project, f"{arm}-{seed}", "propose", config)
        return proposed, seconds + more

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
        for row in read_set(self.target):
            if row["file"] in predicted:
                truth = read_masks(self.target, row["file"])
                card = score_image(predicted[row["file"]](), truth, self.project.manifest, float(row["px_um"]))
                rows.append(
                    {name: round(card[key], 4) for name, key in MEASURES.items() if key in card}
                    | {"image": row["file"], "subject": row["subject"], "seconds": round(seconds)}
                )
        return rows


def stamp() -> dict:
    """What every row of a table begins with."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit.stdout.strip(), "machine": machine()}


def machine() -> str:
    return f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}"


def append(table: Path, columns: list[str], rows: list[dict]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    fresh = not table.exists()
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def read_table(table: Path, **wanted: str) -> list[dict]:
    """Rows of a table that have these values; none if there is no table yet."""
    if not table.exists():
        return []
    with table.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if all(row[name] == value for name, value in wanted.items())]


def distinct(rows: list[dict], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def means(rows: list[dict]) -> np.ndarray:
    """Mean of each measure; not a number where a row lacks it."""
    return np.mean([[float(row[name] or "nan") for name in MEASURES] for row in rows], axis=0)


def over_animals(rows: list[dict]) -> np.ndarray:
    """Mean of each measure over the images of an animal, then over animals."""
    return np.mean(
        [means([row for row in rows if row["subject"] == name]) for name in distinct(rows, "subject")], axis=0
    )
