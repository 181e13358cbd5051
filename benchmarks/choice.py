"""What the choice of a route without labels costs, against the best route by the true masks.

    python benchmarks/choice.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

Takes the runs that `benchmarks/quality.py` left in the work folder and its table of true scores. For every seed and
translator the evidence is gathered once on the finished runs of tutorship and adaptation, and kept in the work folder;
what is decided from it is decided afresh. Prints all pairs that were ever gathered there: regret is the Dice of the
best route (the fused one among them) minus that of the chosen one.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from histobridge.core.choice import Evidence, decide
from histobridge.core.config import ProposeConfig
from histobridge.core.evidence import Gathered, gather
from histobridge.core.job import finish
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.target_model import TargetModel
from pairs import Pair, add_arguments
from quality import TABLE
from tables import newest, read_table, score

ROUTES = ("tutorship", "adaptation")
TIE = 0.005
"""Routes whose true scores differ by less are equally good, and none of them is the worst."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--translators", nargs="*", default=["instant", "cyclegan"])
    parser.add_argument("--reverse-steps", type=int, default=ProposeConfig().reverse_steps)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    kept = Kept(arguments.work / "evidence.json")
    pair = Pair(arguments)
    for seed in arguments.seeds:
        for translator in arguments.translators:
            arms = {route: f"{route}-{translator}" for route in ROUTES}
            if all(pair.notes.done(arm, seed) for arm in arms.values()):
                cell = (pair.name, pair.preset, translator, str(seed), str(arguments.reverse_steps))
                runs = {route: pair.propose(arm, seed)[0] for route, arm in arms.items()}
                kept.gather(cell, pair.project, runs)
    report(kept, arguments.table)


def gather_runs(project: Project, runs: Mapping[str, Run], reverse_steps: int) -> Gathered:
    """Gather evidence on finished runs, one a route."""
    models = {route: TargetModel.load(project, run.path) for route, run in runs.items()}
    return finish(gather(project, models, reverse_steps))


class Kept:
    """Evidence by cell (pair, preset, translator, seed, steps of reverse validation), in a JSON file."""

    def __init__(self, file: Path):
        self._file = file
        self._cells = json.loads(file.read_text()) if file.exists() else {}

    def gather(self, cell: tuple[str, ...], project: Project, runs: Mapping[str, Run]) -> None:
        """Gather the evidence of a cell unless it is there."""
        key = " ".join(cell)
        if key in self._cells:
            return
        print(f"evidence {key} ...", flush=True)
        found = gather_runs(project, runs, int(cell[-1]))
        evidence = {route: each.model_dump(mode="json") for route, each in found.evidence.items()}
        self._cells[key] = {"agreement": found.agreement, "evidence": evidence}
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps(self._cells, indent=1))
        beside.replace(self._file)

    def cells(self) -> dict[tuple[str, ...], Gathered]:
        return {
            tuple(key.split(" ")): Gathered(
                {route: Evidence.model_validate(each) for route, each in values["evidence"].items()},
                values["agreement"],
            )
            for key, values in self._cells.items()
        }


def true_scores(table: Path, pair: str, preset: str, translator: str, seed: str) -> dict[str, float]:
    """True Dice of each route: newest row of each image, mean over images, then animals; missing ones left out."""
    scores = {}
    for route in (*ROUTES, "fused"):
        rows = read_table(table, pair=pair, preset=preset, arm=f"{route}-{translator}", seed=seed)
        if rows:
            scores[route] = score(newest(rows, "image"), pair)
    return scores


def report(kept: Kept, table: Path) -> None:
    print(f"\n{'cell':58}{'tutor':>7}{'adapt':>7}{'fused':>7}  {'totals':12}{'agree':>6}  chosen      regret")
    regrets, worst, ties, missing = [], 0, 0, 0
    for cell, found in sorted(kept.cells().items()):
        choice = decide(found.evidence, found.agreement)
        scores = true_scores(table, *cell[:4])
        totals = "/".join(f"{choice.evidence[route].total:.3f}" for route in ROUTES)
        shown = "".join(f"{scores[route]:7.3f}" if route in scores else f"{'-':>7}" for route in (*ROUTES, "fused"))
        line = f"{' '.join(cell[:4]):58}{shown}  {totals:12}{found.agreement:6.2f}  {choice.chosen:10}"
        ties += choice.tie
        if len(scores) < 1 + len(ROUTES):
            missing += 1
            print(f"{line}  missing")
            continue
        regrets.append(max(scores.values()) - scores[choice.chosen])
        is_worst = scores[choice.chosen] < sorted(scores.values())[1] - TIE
        worst += is_worst
        print(f"{line}{regrets[-1]:8.3f}{'  worst route' if is_worst else ''}")
    if regrets:
        print(f"\nmean regret {np.mean(regrets):.3f}, largest {max(regrets):.3f}, over {len(regrets)} cells")
    print(f"worst route chosen {worst} times, abstained {ties} times, {missing} cells with scores missing")


if __name__ == "__main__":
    main()
