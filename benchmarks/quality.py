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
from pairs import Pair, add_arguments, append, distinct, make_project, means, over_animals, read_table, stamp

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
        rows = self.score_proposals(proposed, seconds)
        return [row | {"target_working_um": round(matching.target_working_um, 5)} for row in rows]

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
            scored = self.score(predicted, seconds)
            rows += [row | {"target_working_um": round(segmenter.card.working_um, 5)} for row in scored]
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
        animals = {name: means([row for row in rows if row["subject"] == name]) for name in distinct(rows, "subject")}
        seeds = [over_animals([row for row in rows if row["seed"] == seed]) for seed in distinct(rows, "seed")]
        axon, myelin, f1, bias = np.mean(seeds, axis=0)
        both = [(each[0] + each[1]) / 2 for each in seeds]
        lowest = min(animals, key=lambda name: sum(animals[name][:2]))
        seconds = np.mean([float(row["seconds"]) for row in rows])
        print(
            f"{arm:22}{axon:7.3f}{myelin:8.3f}{np.mean(both):7.3f}  {f'{min(both):.3f}-{max(both):.3f}':>15}"
            f"{f1:7.3f}{bias:+8.3f}  {lowest} {sum(animals[lowest][:2]) / 2:.3f} {seconds:9.0f}"
        )


if __name__ == "__main__":
    main()
