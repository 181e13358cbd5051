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

from histobridge.core.config import ProposeConfig
from histobridge.core.runs import Run
from histobridge.core.segment.terms.mixing_settings import CutMixSettings
from histobridge.core.segment.terms.strong_settings import FixMatchSettings
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings
from histobridge.core.segment.test_time_settings import AtTestTime
from pairs import Pair, add_arguments, append, distinct, over_animals, read_set, read_table, stamp

TABLE = Path(__file__).parent / "results" / "ablation.csv"
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arrow", "seed", "image", "subject"),
    *("axon", "myelin", "instance_f1", "g_ratio_bias", "seconds"),
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
    """Print per arrow: mean over animals of the mean over their images, as mean over seeds and spread."""
    newest = {(row["arrow"], row["seed"], row["image"]): row for row in read_table(table, pair=pair, preset=preset)}
    print(f"\n{pair}, preset {preset}, newest row of each cell; mean of animals, then of seeds (lowest-highest seed);")
    print("change of the mean against the arrow before: that of the chain, then the default recipe, `smallest-object`")
    print(
        f"{'arrow':19}{'axon':>7}{'myelin':>8}{'mean':>7}  {'seeds':>11}  {'change':>23}{'F1':>7}{'g bias':>8} seconds"
    )
    kept = {}
    for arrow in ARROWS:
        rows = [row for row in newest.values() if row["arrow"] == arrow.name and row["seed"] in seeds]
        found = {seed: over_animals([row for row in rows if row["seed"] == seed]) for seed in distinct(rows, "seed")}
        kept[arrow.name] = found
        missing = [seed for seed in seeds if seed not in found]
        if not found:
            print(f"{arrow.name:19}{'missing':>7}")
            continue
        axon, myelin, f1, bias = np.mean(list(found.values()), axis=0)
        scores = [mean(each) for each in found.values()]
        before = kept.get(arrow.before, {})
        changes = [mean(found[seed]) - mean(before[seed]) for seed in found if seed in before]
        change = f"{np.mean(changes):+.3f} ({min(changes):+.3f} {max(changes):+.3f})" if changes else ""
        seconds = np.mean([float(row["seconds"]) for row in rows])
        print(
            f"{arrow.name:19}{axon:7.3f}{myelin:8.3f}{np.mean(scores):7.3f}  {min(scores):.3f}-{max(scores):.3f}"
            f"  {change:>23}{f1:7.3f}{bias:+8.3f}{seconds:8.0f}"
            f"{'  missing: seed ' + ', '.join(missing) if missing else ''}"
        )


def mean(measures: np.ndarray) -> float:
    """Mean Dice of axon and myelin."""
    return float(measures[:2].mean())


if __name__ == "__main__":
    main()
