"""Dice, instance F1 and g-ratio of every route on a real pair; target masks score and do nothing else.

    python benchmarks/quality.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

A data folder holds `images/`, `masks/` (uint8 label maps of the same names) and `index.csv` (file, px_um, subject).
Each cell (arm, seed) is kept in the work folder; a run that was stopped goes on where it was. `--cells` names the arms
to compute, `--seeds` the seeds. New results are appended to `benchmarks/results/quality.csv`.
"""

import argparse
from pathlib import Path

import numpy as np

from histobridge.core.config import TrainSegmenterConfig
from histobridge.core.matching import load_matching
from histobridge.core.proposals import read_proposal
from histobridge.core.scorecard import score_image
from pairs import Pair, add_arguments, append, make_project, read_masks, read_set, read_table, stamp

TABLE = Path(__file__).parent / "results" / "quality.csv"
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "seed", "image", "subject"),
    *("axon", "myelin", "seconds", "target_working_um", "instance_f1", "g_ratio_bias"),
]
ARMS = (
    "source-only",
    "adaptation-instant",
    "tutorship-instant",
    "fused-instant",
    "auto-instant",
    "adaptation-cyclegan",
    "tutorship-cyclegan",
    "supervised",
)
MEASURES = {
    "axon": "dice/axon",
    "myelin": "dice/myelin",
    "instance_f1": "instance_f1",
    "g_ratio_bias": "aggregate_g_ratio_bias",
}


def main() -> None:
    arguments = parse()
    bench = Bench(arguments)
    for seed in arguments.seeds:
        for arm in arguments.cells:
            if not bench.notes.done(arm, seed):
                bench.compute(arm, seed)
    report(arguments.table, bench.name, bench.preset)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--cells", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--table", type=Path, default=TABLE)
    return parser.parse_args()


class Bench(Pair):
    """The cells of one pair: what is done, and how the rest is computed."""

    def __init__(self, arguments: argparse.Namespace):
        super().__init__(arguments)
        self.bound = make_project(self.work / "bound", {"source": (arguments.target, True)})

    def compute(self, arm: str, seed: int) -> None:
        rows = self.supervised(seed) if arm == "supervised" else self.route(arm, seed)
        common = stamp() | {"preset": self.preset, "pair": self.name, "arm": arm, "seed": seed}
        append(self.arguments.table, COLUMNS, [common | row for row in rows])
        self.notes.finish(arm, seed)

    def route(self, arm: str, seed: int) -> list[dict]:
        """Score the proposals of one route."""
        proposed, seconds = self.propose(arm, seed)
        matching = load_matching(self.project, proposed.state().result["matching"])
        print(f"  scale {matching.scale_steps} µm per working pixel, invert {matching.invert}", flush=True)
        predicted = {
            row["file"]: lambda name=Path(row["file"]).stem: read_proposal(
                self.project, proposed.id, name, (slice(None), slice(None))
            )[0]
            for row in read_set(self.target)
        }
        return self.score(predicted, seconds, matching.target_working_um)

    def supervised(self, seed: int) -> list[dict]:
        """Train on the labels of all other animals of the target, predict each animal."""
        from histobridge.core.images.working import WorkingImage, zoom_of
        from histobridge.core.segment.model import Segmenter
        from histobridge.core.segment.predict import TiledPrediction
        from histobridge.core.specks import Specks
        from histobridge.core.target_model import NativePrediction

        rows = []
        subjects = sorted({record.subject for record in self.bound.images()})
        for subject in subjects:
            others = tuple(name for name in subjects if name != subject)
            config = TrainSegmenterConfig(subjects=others, training=self.training(seed))
            run, seconds = self.notes.run(self.bound, f"supervised-{subject}-{seed}", "train-segmenter", config)
            segmenter = Segmenter.load(run.path)
            predicted = {}
            for record in self.bound.images():
                if record.subject == subject:
                    image = WorkingImage(self.bound.pixels(record.id), zoom_of(record, segmenter.card.working_um))
                    tiled = TiledPrediction(
                        lambda tensor, net=segmenter: net.probabilities(tensor, flips=True), image.read, image.shape
                    )
                    values = segmenter.card.values
                    specks = Specks.of(values.index(1) + 1, segmenter.card.object_diameter_px)
                    native = NativePrediction(tiled, image, values, (True,) * len(values), specks)
                    whole = (slice(0, record.shape[0]), slice(0, record.shape[1]))
                    predicted[f"{record.id}.png"] = lambda native=native, whole=whole: native.labels(whole)[0]
            rows += self.score(predicted, seconds, segmenter.card.working_um)
        return rows

    def score(self, predicted: dict, seconds: float, working_um: float) -> list[dict]:
        rows = []
        for row in read_set(self.target):
            if row["file"] in predicted:
                truth = read_masks(self.target, row["file"])
                classes = predicted[row["file"]]()
                card = score_image(classes, truth, self.project.manifest, float(row["px_um"]))
                rows.append(
                    {name: round(card[key], 4) for name, key in MEASURES.items() if key in card}
                    | {"image": row["file"], "subject": row["subject"], "seconds": round(seconds)}
                    | {"target_working_um": round(working_um, 5)}
                )
        return rows


def report(table: Path, pair: str, preset: str) -> None:
    """Print per arm: mean over animals of the mean over their images, as mean over seeds and spread."""
    newest = {}
    for row in read_table(table, pair=pair):
        if row["preset"].startswith(preset):
            newest[row["arm"], row["seed"], row["image"]] = row
    print(f"\n{pair}, preset {preset}, newest row of each cell; mean of animals, then of seeds (lowest-highest seed)")
    print(
        f"{'arm':22}{'axon':>7}{'myelin':>8}{'mean':>7}  {'seeds':>15}{'F1':>7}{'g bias':>8}  lowest animal   seconds"
    )
    for arm in ARMS:
        rows = [row for row in newest.values() if row["arm"] == arm]
        if not rows:
            print(f"{arm:22}{'missing':>7}")
            continue
        animals = {name: _means([row for row in rows if row["subject"] == name]) for name in _distinct(rows, "subject")}
        seeds = [_over_animals([row for row in rows if row["seed"] == seed]) for seed in _distinct(rows, "seed")]
        axon, myelin, f1, bias = np.mean(seeds, axis=0)
        means = [(each[0] + each[1]) / 2 for each in seeds]
        lowest = min(animals, key=lambda name: sum(animals[name][:2]))
        seconds = np.mean([float(row["seconds"]) for row in rows])
        print(
            f"{arm:22}{axon:7.3f}{myelin:8.3f}{np.mean(means):7.3f}  {f'{min(means):.3f}-{max(means):.3f}':>15}"
            f"{f1:7.3f}{bias:+8.3f}  {lowest} {sum(animals[lowest][:2]) / 2:.3f} {seconds:9.0f}"
        )


def _distinct(rows: list[dict], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def _means(rows: list[dict]) -> np.ndarray:
    """Mean of each measure; not a number where a row lacks it."""
    return np.mean([[float(row[name] or "nan") for name in MEASURES] for row in rows], axis=0)


def _over_animals(rows: list[dict]) -> np.ndarray:
    return np.mean(
        [_means([row for row in rows if row["subject"] == name]) for name in _distinct(rows, "subject")], axis=0
    )


if __name__ == "__main__":
    main()
