"""How each measure that needs no target labels ranks translators, beside the true Dice of what they lead to.

    python benchmarks/rank.py --data ../shared/data
    python benchmarks/rank.py --data ../shared/data --methods cut cyclegan --pairs 'myelin-tem-mouse>myelin-sem-rat'
    python benchmarks/rank.py --report

Every checkpoint of every method that was looked at in its training, and the instant map, is measured and used: by
default for adaptation, which trains nothing more. Measured is the direction that the route uses. A cell is (pair,
route, seed, method, step); it is computed once and kept in the work folder of `quality.py`, whose trainings and
proposals it shares. `--report` prints from the stored cells, for each measure, Spearman's rank correlation with the
true Dice, for one route at a time: over all methods and checkpoints of a pair and seed, and over the checkpoints of one
training; mean and range of these groups. With `--pairs` it tells of these pairs alone.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from histobridge.core.config import Direction, ProposeConfig
from histobridge.core.matching import load_matching
from histobridge.core.runs import Run, RunState
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.quality.ranking import FEWEST, measures_of, rank_correlations
from histobridge.core.translate.quality.report import read_quality
from pairs import Pair, add_pairs, chosen_folders
from tables import append, newest, read_table, score, stamp

TABLE = Path(__file__).parent / "results" / "rank.csv"
CELL = ("pair", "route", "seed", "method", "step")
DIRECTIONS: dict[str, Direction] = {"tutorship": "source_to_target", "adaptation": "target_to_source"}
"""What each route translates."""
MEASURES = (
    *("score", "cycle ssim", "robust cycle ssim", "cycle psnr_db", "robust cycle psnr_db", "cycle l1"),
    *("robust cycle l1", "kid", "fid", "grey", "spectrum"),
    *("agreement", "dice kept", "count kept", "size kept", "not invented", "borders", "upright"),
)
COLUMNS = ["date", "commit", "machine", "preset", *CELL, "dice", *MEASURES]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_pairs(parser)
    parser.add_argument("--methods", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--route", default="adaptation", choices=list(DIRECTIONS))
    parser.add_argument("--chosen", action="store_true", help="of each training only the checkpoint that was chosen")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args(words)
    for source, target in [] if arguments.report else chosen_folders(parser, arguments):
        bench = Ranking(argparse.Namespace(**vars(arguments) | {"source": source, "target": target}))
        for seed in arguments.seeds:
            bench.compute(seed)
    known = read_table(arguments.table, preset=f"{arguments.preset}-{arguments.steps}", route=arguments.route)
    report(newest([row for row in known if arguments.source or row["pair"] in arguments.pairs], *CELL))


class Ranking(Pair):
    """The cells of one pair."""

    def compute(self, seed: int) -> None:
        """Compute the cells of one seed that are not there yet."""
        learned, matched, _ = self.matched(seed)
        for method, step, name, key in self.translators(seed, matched):
            cell = ("rank", self.arguments.route, seed, method, step)
            if not self.notes.done(*cell):
                row = self.row(name, key, learned, matched, seed)
                known = {"preset": self.preset, "pair": self.name, "route": self.arguments.route, "seed": seed}
                append(self.arguments.table, COLUMNS, [stamp() | known | {"method": method, "step": step} | row])
                self.notes.finish(*cell)

    def translators(self, seed: int, matched: Run) -> Iterator[tuple[str, int, str, str]]:
        """Method, step and name of everything that is compared, and the key of its proposals.

        The chosen checkpoint is what `quality.py` proposes with; so is the instant map.
        """
        route = self.arguments.route
        yield "instant", 0, "instant", f"{route}-instant-{seed}"
        for method in self.arguments.methods:
            run, _ = self.trained(method, seed, matched)
            quality = read_quality(run.path)
            for folder in sorted((run.path / "checkpoints").glob("*")):
                step = int(folder.name)
                if quality is not None and step == quality.step:
                    yield method, step, run.id, f"{route}-{method}-{seed}"
                elif not self.arguments.chosen:
                    name = self.adopted(seed, method, step, folder)
                    yield method, step, name, f"rank-{route}-{name}-{seed}"

    def adopted(self, seed: int, method: str, step: int, folder: Path) -> str:
        """Make a checkpoint a translator of the project, once; its name."""

        def make() -> str:
            run = self.project.create_run("train-translator", PRESETS[method]["cpu"])
            for name in ("translator.safetensors", "translator.json"):
                shutil.copy(folder / name, run.path)
            run.write_state(RunState(status="finished"))
            return run.id

        return str(self.notes.keep(f"{method}-{seed}-at-{step}", make))

    def row(self, translator: str, key: str, learned: Run, matched: Run, seed: int) -> dict[str, float]:
        """Measure a translator without labels of the target, propose with it once, and score that."""
        from histobridge.core.translate.learn import load_translator
        from histobridge.core.translate.quality.measure import measure
        from histobridge.core.translate.quality.panel import panel_of_project

        matching = load_matching(self.project, matched.id)
        panel = self.panels.setdefault(matched.id, panel_of_project(self.project, matching))
        quality = measure(load_translator(self.project, translator, matching), panel)
        config = ProposeConfig(
            route=self.arguments.route,
            translator=translator,
            segmenter=learned.id,
            matching=matched.id,
            training=self.training(seed),
            insist=True,
        )
        proposed, seconds = self.notes.run(self.project, key, "propose", config)
        rows = [{name: str(value) for name, value in row.items()} for row in self.score_proposals(proposed, seconds)]
        measures = measures_of(quality, DIRECTIONS[self.arguments.route])
        measured = {name: round(value, 6) for name, value in measures.items()}
        return {"dice": round(score(rows, self.name), 4)} | measured

    @cached_property
    def panels(self) -> dict:
        """What is shown of a matching, by its run."""
        return {}


def report(rows: list[dict[str, str]]) -> None:
    """Print how each measure ranks, the best first: among all translators of a pair, and those of one training."""
    print(f"{len(rows)} translators")
    tell("translators of one pair and seed", rows, ("pair", "seed"))
    tell("checkpoints of one training", rows, ("pair", "seed", "method"))


def tell(title: str, rows: list[dict[str, str]], group: tuple[str, ...]) -> None:
    """Print Spearman's rank correlation of each measure with the true Dice within groups."""
    groups: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for row in rows:
        numbers = {name: float(row[name]) for name in ("dice", *MEASURES) if row.get(name)}
        groups.setdefault(tuple(row[name] for name in group), []).append(numbers)
    found = rank_correlations(list(groups.values()))
    if not found:
        print(f"\n{title}: nothing can be ranked yet, a group needs {FEWEST}")
        return
    print(f"\n{title}\n{'measure':24}{'rho':>7}  {'lowest to highest':>18} groups translators")
    for name, one in sorted(found.items(), key=lambda item: -item[1].rho):
        print(f"{name:24}{one.rho:+7.2f}  {one.low:+8.2f} to {one.high:+.2f} {one.groups:6} {one.count:11}")


if __name__ == "__main__":
    main()
