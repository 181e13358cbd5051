"""Dice of every route on a real pair of modalities; target masks score and do nothing else.

    python benchmarks/quality.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

A data folder holds `images/`, `masks/` (uint8 label maps of the same names) and `index.csv` (file, px_um, subject).
Each cell (arm, seed) is kept in the work folder; a run that was stopped goes on where it was. `--cells` names the arms
to compute, `--seeds` the seeds. New results are appended to `benchmarks/results/quality.csv`.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import time
from collections import defaultdict
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
from histobridge.core.metrics import dice
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run

TABLE = Path(__file__).parent / "results" / "quality.csv"
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "seed", "image", "subject"),
    *("axon", "myelin", "seconds", "target_working_um"),
]
ARMS = (
    "source-only",
    "adaptation-instant",
    "tutorship-instant",
    "adaptation-cyclegan",
    "tutorship-cyclegan",
    "supervised",
)
CLASSES = {"axon": 1, "myelin": 2}


def main() -> None:
    arguments = parse()
    bench = Bench(arguments)
    for seed in arguments.seeds:
        for arm in arguments.cells:
            if not bench.done(arm, seed):
                bench.compute(arm, seed)
    report(arguments.table, bench.pair, arguments.preset)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("quality-work"), help="projects and runs are kept here")
    parser.add_argument("--cells", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--preset", default="cpu", choices=["tiny", "cpu", "gpu"])
    parser.add_argument("--steps", type=int, default=SegmenterTraining().steps)
    parser.add_argument("--table", type=Path, default=TABLE)
    return parser.parse_args()


def read_set(folder: Path) -> list[dict]:
    with (folder / "index.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_project(path: Path, domains: dict[str, tuple[Path, bool]]) -> Project:
    """Make a project of data folders; `domains` says of each domain its folder and whether masks go in."""
    if (path / "project.json").exists():
        return Project.open(path)
    project = Project.create(path)
    run = project.create_run("add", AddImagesConfig())
    for domain, (folder, with_masks) in domains.items():
        for row in read_set(folder):
            image = np.array(Image.open(folder / "images" / row["file"]))
            masks = np.array(Image.open(folder / "masks" / row["file"])) if with_masks else None
            record = image_record(
                Path(row["file"]).stem,
                domain,
                subject=row["subject"],
                pixel_size_um=float(row["px_um"]),
                pixel_size_from="index.csv",
            )
            stage_array(run, record, image, masks)
    with project.editing("quality benchmark"):
        project.adopt(run)
    return project


class Bench:
    """The cells of one pair: what is done, and how the rest is computed."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.pair = f"{arguments.source.name}>{arguments.target.name}"
        work = arguments.work / self.pair.replace(">", "--")
        self.project = make_project(
            work / "pair", {"source": (arguments.source, True), "target": (arguments.target, False)}
        )
        self.bound = make_project(work / "bound", {"source": (arguments.target, True)})
        self.notes_file = work / f"notes-{arguments.preset}-{arguments.steps}.json"
        self.notes = json.loads(self.notes_file.read_text()) if self.notes_file.exists() else {"runs": {}, "done": []}

    def done(self, arm: str, seed: int) -> bool:
        return [arm, seed] in self.notes["done"]

    def training(self, seed: int) -> SegmenterTraining:
        return SegmenterTraining(preset=self.arguments.preset, steps=self.arguments.steps, seed=seed)

    def run(self, project: Project, key: str, verb: str, config) -> tuple[Run, float]:
        """Perform a run once; a cell that needs it again gets it, and its seconds, from the notes."""
        if key not in self.notes["runs"]:
            self.notes["runs"][key] = [project.create_run(verb, config).id, 0.0]
        run = project.run(self.notes["runs"][key][0])
        if run.state().status != "finished":
            self._save()
            print(f"{key} ...", flush=True)
            begin = time.perf_counter()
            perform(run)
            self.notes["runs"][key][1] += time.perf_counter() - begin
            self._save()
        return run, self.notes["runs"][key][1]

    def compute(self, arm: str, seed: int) -> None:
        rows = self.supervised(seed) if arm == "supervised" else self.route(arm, seed)
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        common = {
            "date": datetime.now(UTC).date().isoformat(),
            "commit": commit.stdout.strip(),
            "machine": machine(),
            "preset": f"{self.arguments.preset}-{self.arguments.steps}",
            "pair": self.pair,
            "arm": arm,
            "seed": seed,
        }
        append(self.arguments.table, [common | row for row in rows])
        self.notes["done"].append([arm, seed])
        self._save()

    def route(self, arm: str, seed: int) -> list[dict]:
        """Learn, match, translate where needed, propose; score the proposals."""
        training = self.training(seed)
        learned, seconds = self.run(
            self.project, f"learn-{seed}", "train-segmenter", TrainSegmenterConfig(training=training)
        )
        matched, more = self.run(self.project, f"match-{seed}", "match", MatchConfig(segmenter=learned.id))
        seconds += more
        matching = matched.state().result
        print(f"  scale {matching['scale_steps']} µm per working pixel, invert {matching['invert']}", flush=True)
        translator = {"source-only": "identity"}.get(arm, "instant")
        if arm.endswith("cyclegan"):
            config = TrainTranslatorConfig(matching=matched.id, seed=seed)
            trained, more = self.run(self.project, f"cyclegan-{seed}", "train-translator", config)
            translator, seconds = trained.id, seconds + more
        config = ProposeConfig(
            route="tutorship" if arm.startswith("tutorship") else "adaptation",
            translator=translator,
            segmenter=learned.id,
            matching=matched.id,
            training=training,
        )
        proposed, more = self.run(self.project, f"{arm}-{seed}", "propose", config)
        predicted = {
            row["file"]: lambda name=Path(row["file"]).stem: read_proposal(
                self.project, proposed.id, name, (slice(None), slice(None))
            )[0]
            for row in read_set(self.arguments.target)
        }
        return self.score(predicted, seconds + more, matching["target_working_um"])

    def supervised(self, seed: int) -> list[dict]:
        """Train on the labels of all other animals of the target, predict each animal."""
        from histobridge.core.images.working import WorkingImage, zoom_of
        from histobridge.core.segment.model import Segmenter
        from histobridge.core.segment.predict import TiledPrediction
        from histobridge.core.target_model import NativePrediction

        rows = []
        subjects = sorted({record.subject for record in self.bound.images()})
        for subject in subjects:
            others = tuple(name for name in subjects if name != subject)
            config = TrainSegmenterConfig(subjects=others, training=self.training(seed))
            run, seconds = self.run(self.bound, f"supervised-{subject}-{seed}", "train-segmenter", config)
            segmenter = Segmenter.load(run.path)
            predicted = {}
            for record in self.bound.images():
                if record.subject == subject:
                    image = WorkingImage(self.bound.pixels(record.id), zoom_of(record, segmenter.card.working_um))
                    tiled = TiledPrediction(
                        lambda tensor, net=segmenter: net.probabilities(tensor, flips=True), image.read, image.shape
                    )
                    native = NativePrediction(tiled, image, segmenter.card.values, (True,) * len(segmenter.card.values))
                    whole = (slice(0, record.shape[0]), slice(0, record.shape[1]))
                    predicted[f"{record.id}.png"] = lambda native=native, whole=whole: native.labels(whole)[0]
            rows += self.score(predicted, seconds, segmenter.card.working_um)
        return rows

    def score(self, predicted: dict, seconds: float, working_um: float) -> list[dict]:
        rows = []
        for row in read_set(self.arguments.target):
            if row["file"] in predicted:
                truth = np.array(Image.open(self.arguments.target / "masks" / row["file"]))
                classes = predicted[row["file"]]()
                scores = {name: round(dice(classes, truth, value), 4) for name, value in CLASSES.items()}
                rows.append(
                    scores
                    | {"image": row["file"], "subject": row["subject"], "seconds": round(seconds)}
                    | {"target_working_um": round(working_um, 5)}
                )
        return rows

    def _save(self) -> None:
        self.notes_file.write_text(json.dumps(self.notes, indent=1))


def machine() -> str:
    return f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}"


def append(table: Path, rows: list[dict]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    fresh = not table.exists()
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def report(table: Path, pair: str, preset: str) -> None:
    """Print per arm: mean over animals of the mean over their images, as mean over seeds and spread."""
    with table.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["pair"] == pair and row["preset"].startswith(preset)]
    print(f"\n{pair}, preset {preset}; mean of animals, then of seeds (lowest to highest seed)")
    print(f"{'arm':22}{'axon':>7}{'myelin':>8}{'mean':>7}  {'seeds':>15}{'rat3':>7}{'seconds':>9}")
    for arm in ARMS:
        seeds = defaultdict(lambda: defaultdict(list))
        chosen = [row for row in rows if row["arm"] == arm]
        for row in chosen:
            seeds[row["seed"]][row["subject"]].append((float(row["axon"]), float(row["myelin"])))
        if not seeds:
            print(f"{arm:22}{'missing':>7}")
            continue
        by_seed = np.array(
            [np.mean([np.mean(images, axis=0) for images in animals.values()], axis=0) for animals in seeds.values()]
        )
        rat3 = [np.mean(animals["rat3"]) for animals in seeds.values() if animals["rat3"]]
        means = by_seed.mean(axis=1)
        seconds = np.mean([float(row["seconds"]) for row in chosen])
        seeds_text = f"{means.min():.3f}-{means.max():.3f}"
        hard = np.mean(rat3) if rat3 else float("nan")
        print(
            f"{arm:22}{by_seed[:, 0].mean():7.3f}{by_seed[:, 1].mean():8.3f}{means.mean():7.3f}"
            f"  {seeds_text:>15}{hard:7.3f}{seconds:9.0f}"
        )
    for image in sorted({row["image"] for row in rows}):
        cells = {
            arm: [
                (float(row["axon"]) + float(row["myelin"])) / 2
                for row in rows
                if row["image"] == image and row["arm"] == arm
            ]
            for arm in ARMS
        }
        print(f"  {image:26}" + "  ".join(f"{arm} {np.mean(v):.3f}" for arm, v in cells.items() if v))


if __name__ == "__main__":
    main()
