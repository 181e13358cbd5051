"""Learning curve: Dice on pixels never reviewed, over the number of tiles a simulated annotator has reviewed.

    python benchmarks/learning_curve.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

The target is covered with tiles of `--tile` native pixels. Every second one, as on a chessboard, may be reviewed; all
images are scored on what lies outside of these and more than 16 px from them, always the same pixels, so that no
reviewed pixel is ever scored. A cell (order, seed, number of tiles) starts from the proposals of `--arm`, reviews the
first tiles of the order, fine-tunes and predicts. For one seed all orders share model, annotator and fine-tuning, so
that their differences are paired. `--tuning` adds a teacher, a running average of the model, on the unreviewed tiles,
or keeps that average (decay 0.99). Orders: `random`; `entropy`, the tiles of highest mean entropy first; `queue`, as
the job `rank` says. Finished cells are noted in the work folder (that of `quality.py`, whose models are used again) and
appended to `benchmarks/results/learning_curve.csv`. All effort is simulated.
"""

import argparse
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from histobridge.core.config import FineTuneConfig, ProposeConfig
from histobridge.core.jobs import JOBS
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings
from histobridge.core.tiles import Tile
from pairs import Notes, Pair, add_arguments
from review import class_scores, correct, linked_copy, pool, scored_truth, truths
from tables import append, distinct, read_table, stamp, subjects

TABLE = Path(__file__).parent / "results" / "learning_curve.csv"
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "tile_px", "order", "seed", "tiles", "verdict"),
    *("image", "subject", "class", "dice", "strokes", "changed_pixels", "simulated_seconds", "seconds"),
]
ORDERS = ("random", "entropy", "queue")
TUNINGS = {
    "plain": {},
    "average": {"average": 0.99},
    "teacher": {"terms": (MeanTeacherSettings(),)},
    "sure-teacher": {"terms": (MeanTeacherSettings(hard=True, threshold=0.9),)},
}
NO_EFFORT = {"strokes": 0, "changed_pixels": 0, "simulated_seconds": 0}


def main(words: list[str] | None = None) -> None:
    arguments = parse(words)
    curve = Curve(arguments)
    for seed in arguments.seeds:
        curve.start(seed)
        for order in arguments.orders:
            for tiles in sorted(set(arguments.levels) - {0}):
                curve.compute(order, seed, tiles)
    report(curve)


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--arm", default="tutorship-instant", help="whose proposals are corrected")
    parser.add_argument("--also", nargs="*", default=[], help="arms whose proposals the queue may look at too")
    parser.add_argument("--orders", nargs="*", default=list(ORDERS), choices=ORDERS)
    parser.add_argument("--levels", nargs="*", type=int, default=[0, 1, 2, 4, 8, 16], help="reviewed tiles")
    parser.add_argument("--tile", type=int, default=256, help="side of a tile in native pixels")
    parser.add_argument("--tuning-steps", type=int, default=FineTuneConfig().steps)
    parser.add_argument("--tuning", default="plain", choices=TUNINGS, help="a teacher on the unreviewed tiles, or none")
    parser.add_argument("--cross-validate", action="store_true", help="as the window does; scores stay the same")
    parser.add_argument("--table", type=Path, default=TABLE)
    return parser.parse_args(words)


class Curve(Pair):
    """The cells of one pair and one arm."""

    def __init__(self, arguments: argparse.Namespace):
        super().__init__(arguments)
        self.tile_px, self.arm = arguments.tile, arguments.arm
        self.preset = f"{self.preset}+{arguments.tuning_steps}"
        if arguments.tuning != "plain":
            self.preset += f"+{arguments.tuning}"
        self.curve = Notes(self.work / f"curve-{self.preset}-{self.arm}-{self.tile_px}.json")
        self.truths = truths(self)
        self.pools = {record.id: pool(record, self.tile_px) for record in self.project.images("target")}
        self.scored = {name: scored_truth(truth, self.pools[name]) for name, truth in self.truths.items()}

    def start(self, seed: int) -> None:
        """Score the proposals before anything is reviewed."""
        base, seconds = self.propose(self.arm, seed)
        if not self.curve.done("none", seed, 0):
            self.finish(("none", seed, 0), self.score(self.project, base), NO_EFFORT | {"seconds": round(seconds)})

    def compute(self, order: str, seed: int, tiles: int) -> None:
        """Review the first tiles of an order, fine-tune, score; nothing if that is done or cannot be."""
        if self.curve.done(order, seed, tiles):
            return
        chosen = self.order(order, seed)[:tiles]
        if len(chosen) < tiles:
            print(f"{order}, seed {seed}: there are no {tiles} tiles in this order", flush=True)
            return
        print(f"{order}, seed {seed}, {tiles} tiles ...", flush=True)
        begin = time.perf_counter()
        base, _ = self.propose(self.arm, seed)
        project = self.copy(seed)
        with project.editing("learning curve"):
            project.pin("proposals", base.id)
            efforts = [correct(project, base, name, tile, self.truths[name], seed) for name, tile in chosen]
        scored, steps = self.arguments.cross_validate, self.arguments.tuning_steps
        more = TUNINGS[self.arguments.tuning]
        tuning = FineTuneConfig(model=base.id, seed=seed, steps=steps, cross_validate=scored, **more)
        tuned, started = project.create_run("finetune", tuning), time.perf_counter()
        verdict = perform(tuned).get("verdict", "")
        print(f"  fine-tuned in {time.perf_counter() - started:.0f} s", flush=True)
        predicted = project.create_run("propose", ProposeConfig(route="model", segmenter=tuned.id))
        perform(predicted)
        common = {
            "verdict": verdict,
            "strokes": sum(effort.strokes for effort in efforts),
            "changed_pixels": sum(effort.changed_pixels for effort in efforts),
            "simulated_seconds": round(sum(effort.seconds for effort in efforts)),
            "seconds": round(time.perf_counter() - begin),
        }
        self.finish((order, seed, tiles), self.score(project, predicted), common)
        shutil.rmtree(project.path)

    def copy(self, seed: int) -> Project:
        """A copy of the project with nothing but the runs of one seed that a user would have made."""
        runs = set()
        for arm in (self.arm, *self.arguments.also):
            proposed, _ = self.propose(arm, seed)
            config = proposed.config
            translator = [] if config["translator"] in ("identity", "instant") else [config["translator"]]
            runs |= {proposed.id, config["segmenter"], config["matching"], *translator}
        return linked_copy(self.project, runs, self.work / "curve-cell", self.tile_px)

    def order(self, order: str, seed: int) -> list[tuple[str, Tile]]:
        """Tiles of the pool in the order in which they are reviewed."""
        tiles = {(name, tile.id): tile for name, of_image in self.pools.items() for tile in of_image}
        make = {"random": self.random, "entropy": self.entropy, "queue": self.queue}[order]
        keys = self.curve.keep(f"{order}-{seed}", lambda: make(sorted(tiles), seed))
        return [(name, tiles[name, tile]) for name, tile in keys]

    def random(self, keys: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
        return [keys[index] for index in np.random.default_rng([seed, 1]).permutation(len(keys))]

    def entropy(self, keys: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
        """Highest mean entropy of the proposing model first."""
        from histobridge.core.target_model import TargetModel

        base, _ = self.propose(self.arm, seed)
        model = TargetModel.load(self.project, base.path)
        means = {}
        for name, tiles in self.pools.items():
            prediction = model.prediction(name, flips=False)
            for tile in tiles:
                p = prediction.probabilities(tile.window)
                means[name, tile.id] = float(-(p * np.log(np.maximum(p, 1e-7))).sum(axis=0).mean())
        return sorted(keys, key=lambda key: -means[key])

    def queue(self, keys: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
        """As the job `rank` orders them; none as long as there is no such job."""
        if "rank" not in JOBS:
            return []
        from histobridge.core.queue import read_queue

        base, _ = self.propose(self.arm, seed)
        project = self.copy(seed)
        with project.editing("learning curve"):
            project.pin("proposals", base.id)
        run = project.create_run("rank", JOBS["rank"].config.model_validate({"seed": seed}))
        perform(run)
        return [key for item in read_queue(run).tiles if (key := (item.image, item.tile)) in keys]

    def score(self, project: Project, run: Run) -> list[dict]:
        rows = []
        for record in self.project.images("target"):
            predicted, _ = read_proposal(project, run.id, record.id, (slice(None), slice(None)))
            for name, value in class_scores(self, predicted, self.scored[record.id]):
                rows.append({"image": record.id, "subject": record.subject, "class": name, "dice": value})
        return rows

    def finish(self, cell: tuple[str, int, int], rows: list[dict], common: dict) -> None:
        order, seed, tiles = cell
        common = {
            **(stamp() | {"preset": self.preset, "pair": self.name, "arm": self.arm, "tile_px": self.tile_px}),
            **{"order": order, "seed": seed, "tiles": tiles, **common},
        }
        append(self.arguments.table, COLUMNS, [common | row for row in rows])
        self.curve.finish(*cell)


def report(curve: Curve) -> None:
    """Print the curves, and what each order gains on random, as mean over seeds and 95 % interval."""
    rows = read_table(
        curve.arguments.table, pair=curve.name, preset=curve.preset, arm=curve.arm, tile_px=str(curve.tile_px)
    )
    scores, effort = by_cell(rows)
    seeds, levels = [str(seed) for seed in curve.arguments.seeds], sorted(set(curve.arguments.levels) - {0})
    start = mean_and_interval([scores[key] for seed in seeds if (key := ("none", seed, 0)) in scores])
    print(f"\n{curve.name}, {curve.arm}, {curve.preset} steps, tiles of {curve.tile_px} px, seeds {' '.join(seeds)}")
    print(f"mean Dice of classes, images, {subjects(rows)}; mean of seeds, 95 % interval; reviewed tiles never scored")
    print(f"no tile reviewed: {start}")
    print(f"{'':24}" + "".join(f"{tiles:>28}" for tiles in levels))
    for order in curve.arguments.orders:
        found = {n: {s: scores[order, s, n] for s in seeds if (order, s, n) in scores} for n in levels}
        print(f"{order:24}" + "".join(f"{mean_and_interval(list(found[n].values())):>28}" for n in levels))
        if order != "random":
            gains = {
                n: [value - scores["random", s, n] for s, value in found[n].items() if ("random", s, n) in scores]
                for n in levels
            }
            print(f"{'  minus random':24}" + "".join(f"{mean_and_interval(gains[n]):>28}" for n in levels))
        for line in changes(rows, order, seeds, levels):
            print(line)
        strokes = {n: [effort[order, s, n] for s in found[n]] for n in levels}
        print(f"{'  simulated strokes':24}" + "".join(f"{told_mean(strokes[n]):>28}" for n in levels))


def changes(rows: list[dict], order: str, seeds: list[str], levels: list[int]) -> Iterator[str]:
    """Say what reviewing changed: the mean of each seed, and the image that lost most."""
    scores, _ = by_cell(rows)
    images = distinct(rows, "image")
    of_image = {image: by_cell([row for row in rows if row["image"] == image])[0] for image in images}
    means, lowest = [], []
    for n in levels:
        done = [seed for seed in seeds if (order, seed, n) in scores]
        means.append("/".join(f"{scores[order, seed, n] - scores['none', seed, 0]:+.3f}" for seed in done))
        each = [of[order, seed, n] - of["none", seed, 0] for of in of_image.values() for seed in done]
        lowest.append(f"{min(each):+.4f} ({sum(change < 0 for change in each)}/{len(each)} below 0)" if each else "")
    yield f"{'  change by seed':24}" + "".join(f"{text:>28}" for text in means)
    yield f"{'  of the lowest image':24}" + "".join(f"{text:>28}" for text in lowest)


def by_cell(rows: list[dict]) -> tuple[dict, dict]:
    """Score and simulated strokes of each cell: (order, seed, tiles); of a cell measured twice the later rows count."""
    values, effort = {}, {}
    for row in rows:
        cell = (row["order"], row["seed"], int(row["tiles"]))
        values[cell, row["subject"], row["image"], row["class"]] = float(row["dice"])
        effort[cell] = float(row["strokes"])
    animals = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for (cell, subject, image, _), value in values.items():
        animals[cell][subject][image].append(value)
    scores = {
        cell: float(np.mean([np.mean([np.mean(v) for v in images.values()]) for images in subjects.values()]))
        for cell, subjects in animals.items()
    }
    return scores, effort


def mean_and_interval(values: list[float]) -> str:
    """Mean and half of its 95 % interval by Student's t over seeds; the mean alone of a single seed."""
    from scipy import stats

    if len(values) < 2:
        return f"{values[0]:.3f}" if values else "missing"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def told_mean(values: list[float]) -> str:
    return f"{np.mean(values):.0f}" if values else "missing"


if __name__ == "__main__":
    main()
