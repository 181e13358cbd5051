"""What each part of the recipe of tutorship is worth on a real pair; target masks score and do nothing else.

    python benchmarks/ablation.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

Arrow by arrow: the first ones are added one after the other, from none of them to the default recipe, and each of the
others alone on top of that. Each cell (arrow, seed) is kept in the work folder, which may be that of `quality.py`: the
source segmenter and the matching are then used again. Arrows that change nothing but the prediction share one training.
New results are appended to `benchmarks/results/ablation.csv`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from folders import read_set
from histobridge.core.config import ProposeConfig
from histobridge.core.runs import Run
from histobridge.core.segment.terms.mixing_settings import CutMixSettings
from histobridge.core.segment.terms.strong_settings import FixMatchSettings
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings
from histobridge.core.segment.test_time_settings import AtTestTime
from pairs import Pair, add_arguments
from tables import (
    ADDED,
    append,
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

TABLE = Path(__file__).parent / "results" / "ablation.csv"
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arrow", "seed", "image", "subject"),
    *("axon", "myelin", "instance_f1", "g_ratio_bias", "seconds", *ADDED),
]
TUTORS = {
    "plain": {"sheath_variation": 1.0, "background_shift": 0.0},
    "sheaths": {"background_shift": 0.0},
    "default": {},
    "average": {"average": 0.99},
    "mean-teacher": {"terms": (MeanTeacherSettings(),)},
    "cutmix": {"terms": (CutMixSettings(),)},
    "fixmatch": {"terms": (FixMatchSettings(),)},
}
"""Trainings, by what they change of the default one."""
BARE = {"flips": False, "smallest_object": 0.0}


@dataclass(frozen=True)
class Arrow:
    """One step of the ablation: the arrow it is compared with, the training, and what the prediction changes."""

    name: str
    before: str
    tutor: str = "default"
    proposing: dict = field(default_factory=dict)


ARROWS = (
    Arrow("plain", "", "plain", BARE),
    Arrow("sheaths", "plain", "sheaths", BARE),
    Arrow("background", "sheaths", "default", BARE),
    Arrow("flips", "background", "default", {"smallest_object": 0.0}),
    Arrow("smallest-object", "flips"),
    *(Arrow(name, "smallest-object", name) for name in ("average", "mean-teacher", "cutmix", "fixmatch")),
    Arrow("statistics", "smallest-object", proposing={"test_time": AtTestTime(adapt_statistics=0.5)}),
    Arrow("entropy", "smallest-object", proposing={"test_time": AtTestTime(entropy_steps=10)}),
    Arrow("turns", "smallest-object", proposing={"test_time": AtTestTime(turns=True)}),
)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    names = [arrow.name for arrow in ARROWS]
    parser.add_argument("--arrows", nargs="*", default=names, choices=names)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args(words)
    bench = Ablation(arguments)
    for seed in arguments.seeds:
        for arrow in ARROWS:
            if arrow.name in arguments.arrows and not bench.notes.done("ablation", arrow.name, seed):
                bench.compute(arrow, seed)
    report(arguments.table, bench.name, bench.preset, [str(seed) for seed in arguments.seeds])


class Ablation(Pair):
    """The cells of one pair."""

    def compute(self, arrow: Arrow, seed: int) -> None:
        tutor, seconds = self.tutor(arrow.tutor, seed)
        config = ProposeConfig(
            route="model", segmenter=tutor.id, training=self.training(seed), for_comparison=True, **arrow.proposing
        )
        proposed, more = self.notes.run(self.project, f"ablation-{arrow.name}-{seed}", "propose", config)
        common = stamp() | {"preset": self.preset, "pair": self.name, "arrow": arrow.name, "seed": seed}
        rows = self.score_proposals(proposed, seconds + more)
        append(self.arguments.table, COLUMNS, [common | row for row in rows])
        self.notes.finish("ablation", arrow.name, seed)

    def tutor(self, name: str, seed: int) -> tuple[Run, float]:
        """Train once for all arrows that share the training; the run, which proposes for one image, and the seconds."""
        learned, matched, seconds = self.matched(seed)
        config = ProposeConfig(
            segmenter=learned.id,
            matching=matched.id,
            training=self.training(seed).model_copy(update=TUTORS[name]),
            images=(Path(read_set(self.target)[0]["file"]).stem,),
            flips=False,
            for_comparison=True,
        )
        trained, more = self.notes.run(self.project, f"tutor-{name}-{seed}", "propose", config)
        return trained, seconds + more


def report(table: Path, pair: str, preset: str, seeds: list[str]) -> None:
    """Print per arrow: mean over subjects of the mean over their images, as mean over seeds and spread."""
    rows = newest(read_table(table, pair=pair, preset=preset), "arrow", "seed", "image")
    columns = list(measures(pair))
    print(f"\n{pair}, preset {preset}, newest row of each cell; mean of {subjects(rows)}, then of seeds")
    print("(lowest-highest seed); change of the mean against the arrow before: that of the chain, then the default")
    print("recipe, `smallest-object`")
    print(f"{'arrow':19}{'mean':>7}  {'seeds':>11}  {'change':>23}{headings(columns)} seconds")
    kept: dict[str, dict[str, float]] = {}
    for arrow in ARROWS:
        cells = {
            seed: cell
            for seed in seeds
            if (cell := [row for row in rows if (row["arrow"], row["seed"]) == (arrow.name, seed)])
        }
        kept[arrow.name] = found = {seed: score(cell, pair) for seed, cell in cells.items()}
        missing = [seed for seed in seeds if seed not in found]
        if not found:
            print(f"{arrow.name:19}{'missing':>7}")
            continue
        before = kept.get(arrow.before, {})
        changes = [found[seed] - before[seed] for seed in found if seed in before]
        change = f"{np.mean(changes):+.3f} ({min(changes):+.3f} {max(changes):+.3f})" if changes else ""
        measured = np.mean([over_subjects(cell, columns) for cell in cells.values()], axis=0)
        seconds = np.mean([float(row["seconds"]) for cell in cells.values() for row in cell])
        scores = list(found.values())
        print(
            f"{arrow.name:19}{np.mean(scores):7.3f}  {min(scores):.3f}-{max(scores):.3f}"
            f"  {change:>23}{values(columns, measured)}{seconds:8.0f}"
            f"{'  missing: seed ' + ', '.join(missing) if missing else ''}"
        )


if __name__ == "__main__":
    main()
