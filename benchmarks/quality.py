"""Dice, instance F1 and g-ratio of every route on real pairs; target masks score and do nothing else.

    python benchmarks/quality.py --data ../shared/data
    python benchmarks/quality.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat
    python benchmarks/quality.py --report
    python benchmarks/quality.py --data ../shared/data --cells adaptation-bridgecut --change bridge.contrast=1

The first computes all standard pairs in both directions, the second one pair, the third nothing: it prints what the
table has of all of them. The last tries learned translators with other settings than their presets have, as arms of
their own that count for no default.

A data folder holds `images/`, `masks/` (uint8 label maps of the same names) and `index.csv` (file, px_um, subject);
what its masks mean is in `folders.py`. Each cell (pair, arm, seed) is kept in the work folder; a run that was stopped
goes on where it was. `--pairs` names some of the standard pairs, `--cells` the arms, `--seeds` the seeds. New results
are appended to `benchmarks/results/quality.csv`. At the end it says which translator is to be the default
(`standing.py`).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from folders import PAIRS, is_block, read_set, training_rows
from histobridge.core.config import TrainSegmenterConfig
from histobridge.core.images.working import WorkingImage, zoom_of
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.scale import reference_class
from histobridge.core.translate.presets import PRESETS
from pairs import Pair, Part, add_pairs, chosen_folders, make_project
from standing import standing
from tables import (
    ADDED,
    append,
    distinct,
    drawings,
    headings,
    measures,
    newest,
    over_subjects,
    read_table,
    score,
    stamp,
    subjects,
    values,
)

TABLE = Path(__file__).parent / "results" / "quality.csv"
ROUTES = ("tutorship", "adaptation", "fused")
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "seed", "image", "subject"),
    *("axon", "myelin", "seconds", "target_working_um", "instance_f1", "g_ratio_bias", *ADDED),
]
ARMS = (
    "source-only",
    "adaptation-instant",
    "tutorship-instant",
    "fused-instant",
    "auto-instant",
    *(f"{route}-{method}" for method in PRESETS for route in ("adaptation", "tutorship")),
    "supervised",
)


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    for seed in [] if arguments.report else arguments.seeds:
        for source, target in arguments.folders:
            bench = Bench(argparse.Namespace(**vars(arguments) | {"source": source, "target": target}))
            for arm in arguments.cells:
                if not bench.notes.done(bench.named(arm), seed):
                    bench.compute(arm, seed)
    preset, seeds = f"{arguments.preset}-{arguments.steps}", [str(seed) for seed in arguments.seeds]
    pairs = [f"{source.name}>{target.name}" for source, target in arguments.folders]
    if arguments.report:
        pairs = list(dict.fromkeys([*PAIRS, *distinct(read_table(arguments.table, preset=preset), "pair")]))
    wanted = {"preset": preset} | ({"machine": arguments.machine} if arguments.machine else {})
    missing = [cell for pair in pairs for cell in report(arguments.table, pair, wanted, seeds)]
    print(f"\n{len(missing)} of {len(pairs) * len(ARMS) * len(seeds)} cells (pair, arm, seed) are missing")
    print("\n".join(standing(arguments.table, preset)))


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_pairs(parser)
    parser.add_argument("--cells", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--change", nargs="*", default=[], metavar="FIELD=JSON", help="settings of learned translators")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--machine", help="report rows of this machine alone, named as in the table")
    arguments = parser.parse_args(words)
    arguments.folders = chosen_folders(parser, arguments)
    return arguments


class Bench(Pair):
    """The cells of one pair: what is done, and how the rest is computed."""

    def __init__(self, arguments: argparse.Namespace):
        super().__init__(arguments)
        self.changes = tuple(arguments.change)

    def compute(self, arm: str, seed: int) -> None:
        rows = self.supervised(seed) if arm == "supervised" else self.route(arm, seed)
        common = stamp() | {"preset": self.preset, "pair": self.name, "arm": self.named(arm), "seed": seed}
        append(self.arguments.table, COLUMNS, [common | row for row in rows])
        self.notes.finish(self.named(arm), seed)

    def route(self, arm: str, seed: int) -> list[dict]:
        """Score the proposals of one route."""
        proposed, seconds = self.propose(arm, seed)
        matching = load_matching(self.project, proposed.state().result["matching"])
        print(f"  scale {matching.scale_steps} µm per working pixel, invert {matching.invert}", flush=True)
        rows = self.score_proposals(proposed, seconds)
        return [row | {"target_working_um": round(matching.target_working_um, 5)} for row in rows]

    def supervised(self, seed: int) -> list[dict]:
        """Train on the labels of all other subjects of the target, predict each subject."""
        from histobridge.core.segment.model import Segmenter

        rows = []
        for subject in distinct(read_set(self.target), "subject"):
            bound, others = self.bound(subject)
            config = TrainSegmenterConfig(subjects=others, training=self.training(seed))
            run, seconds = self.notes.run(bound, f"supervised-{subject}-{seed}", "train-segmenter", config)
            segmenter = Segmenter.load(run.path)
            predicted = {
                f"{record.id}.png": lambda record=record, bound=bound, net=segmenter: predict(bound, record, net)
                for record in bound.images()
                if record.subject == subject
            }
            scored = self.score(predicted, seconds)
            rows += [row | {"target_working_um": round(segmenter.card.working_um, 5)} for row in scored]
        return rows

    def bound(self, held_out: str) -> tuple[Project, tuple[str, ...]]:
        """A project whose source is the labelled target, and which subjects train where one is held out.

        Animals share one project. A held-out block has its own, without the slices next to it.
        """
        rows = read_set(self.target)
        training = training_rows(rows, held_out)
        others = tuple(distinct(training, "subject"))
        if not is_block(held_out):
            whole = Part("source", self.target, rows, with_masks=True)
            return make_project(self.work / "bound", self.target_classes, whole), others
        held = [row for row in rows if row["subject"] == held_out]
        parts = (Part("source", self.target, rows, masks) for rows, masks in ((training, True), (held, False)))
        return make_project(self.work / f"bound-{held_out}", self.target_classes, *parts), others


def predict(project: Project, record: ImageRecord, segmenter) -> np.ndarray:
    """Class values that a segmenter sees in an image, (Y, X) uint8."""
    from histobridge.core.segment.predict import TiledPrediction
    from histobridge.core.specks import Specks
    from histobridge.core.target_model import NativePrediction

    image = WorkingImage(project.pixels(record.id), zoom_of(record, segmenter.card.working_um))
    tiled = TiledPrediction(lambda tensor: segmenter.probabilities(tensor, flips=True), image.read, image.shape)
    known = segmenter.card.values
    objects = known.index(reference_class(project.manifest, "source").value) + 1
    specks = Specks.of(objects, segmenter.card.object_diameter_px)
    native = NativePrediction(tiled, image, known, (True,) * len(known), specks)
    return native.labels((slice(0, record.shape[0]), slice(0, record.shape[1])))[0]


def report(table: Path, pair: str, wanted: dict[str, str], seeds: Sequence[str]) -> list[tuple[str, str, str]]:
    """Print per arm: mean over subjects of the mean over their images, as mean over seeds and spread.

    Returns the missing cells (pair, arm, seed).
    """
    rows = newest(read_table(table, pair=pair, **wanted), "machine", "arm", "seed", "image")
    columns = list(measures(pair))
    print(f"\n{pair}, preset {wanted['preset']}, newest row of each cell;")
    print(f"mean of {subjects(rows)}, then of seeds and machines (lowest-highest of them)")
    print(f"{'arm':22}{'mean':>7}  {'seeds':>11}{headings(columns)} seconds  each subject")
    missing, scores = [], {}
    tried = [arm for arm in distinct(rows, "arm") if " " in arm]
    for arm in (*ARMS, *tried):
        cells = drawings([row for row in rows if row["arm"] == arm and row["seed"] in seeds])
        lacking = [seed for seed in seeds if arm in ARMS and seed not in {drawn[0] for drawn in cells}]
        missing += [(pair, arm, seed) for seed in lacking]
        scores[arm] = {drawn: score(cell, pair) for drawn, cell in cells.items()}
        told = f"  missing: seed {', '.join(lacking)}" if lacking else ""
        print(f"{arm:22}{line(cells, pair, columns) if cells else 'missing':>7}{told if cells else ''}")
    for told in regrets(scores):
        print(told)
    return missing


def regrets(scores: dict[str, dict[tuple[str, str], float]]) -> list[str]:
    """What each route with the instant translator costs against the best one of the same drawing, and the chosen one.

    Scores are by arm, then by seed and machine.
    """
    arms = [f"{route}-instant" for route in (*ROUTES, "auto")]
    complete = [drawn for drawn in scores[arms[0]] if all(drawn in scores[arm] for arm in arms)]
    if not complete:
        return []
    best = {drawn: max(scores[arm][drawn] for arm in arms[:-1]) for drawn in complete}
    lost = {arm: [best[drawn] - scores[arm][drawn] for drawn in complete] for arm in arms}
    worst = sum(scores[arms[-1]][drawn] <= min(scores[arm][drawn] for arm in arms[:-1]) for drawn in complete)
    told = (f"{arm} {' '.join(f'{loss:.3f}' for loss in losses)}" for arm, losses in lost.items())
    return [
        f"regret by seed ({' '.join(seed for seed, _ in complete)}): {'; '.join(told)}",
        f"the chosen route: mean regret {np.mean(lost[arms[-1]]):.3f}, worst of the routes for {worst} seeds",
    ]


def line(cells: dict[tuple[str, str], list[dict]], pair: str, columns: Sequence[str]) -> str:
    """Means of one arm, whose cells are rows of images by seed and machine."""
    rows = [row for cell in cells.values() for row in cell]
    scores = [score(cell, pair) for cell in cells.values()]
    measured = np.mean([over_subjects(cell, columns) for cell in cells.values()], axis=0)
    by_subject = {
        name: score([row for row in rows if row["subject"] == name], pair) for name in distinct(rows, "subject")
    }
    seconds = np.mean([float(row["seconds"]) for row in rows])
    return (
        f"{np.mean(scores):7.3f}  {min(scores):.3f}-{max(scores):.3f}{values(columns, measured)}"
        f" {seconds:7.0f}  {' '.join(f'{name} {value:.3f}' for name, value in by_subject.items())}"
    )


if __name__ == "__main__":
    main()
