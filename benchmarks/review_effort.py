"""Simulated effort with the tools: from scratch, from the proposal, and from the proposal with the tools.

    python benchmarks/review_effort.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

On the tiles of `effort.py` the simulated annotator corrects the largest errors first, three times with the same habits
and the same seed: with the brush alone from an empty tile, with the brush alone from the proposal of `--arm`, and from
that proposal with the tools of the Review page besides the brush. The goals are a mean Dice of the tile of 95 % and
99 % of the bound, as in `effort.py`, and those of `--goals`, which few proposals reach by themselves. Tiles that are
done are noted in the work folder and appended to `benchmarks/results/review_effort.csv`; `--report` only prints what is
there. With `--outlines` the tools are those that move whole outlines as well; that start alone is computed, the others
must be in the table. Strokes, clicks, pixels and seconds are all simulated.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from effort import EFFORTS, LOOKS, RESULTS, SHARES, Bench, interval, parser, saved
from histobridge.core.annotator_tools import TOOLS, Course, Toolbox, ToolHabits, correct_towards
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.proposals import read_proposal
from histobridge.core.tiles import Tile
from pairs import Notes
from tables import append, read_table, stamp, subjects

COUNTS = ("dice_before", "dice_after", "undone", "refused", *TOOLS)
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "tile_px", "seed", "image", "subject", "tile"),
    *("goal", "start", "reached", *EFFORTS, *COUNTS),
]
STARTS = ("tools", "proposal", "scratch")
GOALS = (0.85, 0.9, 0.95)
PROMISED = 0.95
"""Share of the strokes from scratch that the tools are to save."""


def main(words: list[str] | None = None) -> None:
    bench = ToolBench(parse(words))
    for seed in bench.arguments.seeds if not bench.arguments.report else ():
        for name, tile in bench.drawn(seed):
            if not bench.notes_of_tiles.done(seed, name, tile.id):
                bench.compute(seed, name, tile)
    report(bench)


def parse(words: list[str] | None) -> argparse.Namespace:
    asked = parser(__doc__)
    asked.add_argument("--goals", nargs="*", type=float, default=list(GOALS), help="mean Dice of a tile")
    asked.add_argument("--outlines", action="store_true", help="with tools that move whole outlines")
    asked.add_argument("--report", action="store_true", help="print what the table holds and compute nothing")
    asked.add_argument("--table", type=Path, default=RESULTS / "review_effort.csv")
    return asked.parse_args(words)


class ToolBench(Bench):
    """The tiles of one pair and one arm, and the goals."""

    def __init__(self, arguments: argparse.Namespace):
        super().__init__(arguments)
        self.goals = [f"{goal:.4f}" for goal in (*(share * self.bound for share in SHARES), *arguments.goals)]
        self.starts = ("outlines", *STARTS[1:]) if arguments.outlines else STARTS
        kind = "-".join(
            (self.preset, arguments.arm, str(arguments.tile), *self.goals, *self.starts[: arguments.outlines])
        )
        self.notes_of_tiles = Notes(self.work / f"review-effort-{kind}.json")

    def compute(self, seed: int, name: str, tile: Tile) -> None:
        proposed, _ = self.propose(self.arguments.arm, seed)
        proposal, _ = read_proposal(self.project, proposed.id, name, tile.window)
        pair = [spec.value for spec in self.project.manifest.nested_pair() or ()]
        toolbox = Toolbox(*(pair or (0, 0)), self.project.pixels(name).read(tile.window))
        common = stamp() | {
            **{"preset": self.preset, "pair": self.name, "arm": self.arguments.arm, "tile_px": self.arguments.tile},
            **{"seed": seed, "image": name, "subject": self.project.image(name).subject, "tile": tile.id},
        }
        truth, rows = self.truths[name][tile.window], []
        for start in self.starts[:1] if self.arguments.outlines else STARTS:
            tools = toolbox if start in ("tools", "outlines") else None
            courses = self.courses(truth, proposal if start != "scratch" else None, tools, seed)
            for goal, course in zip(self.goals, courses, strict=True):
                reached = int(course.effort.dice_after >= float(goal))
                rows.append(common | counted(course) | {"goal": goal, "start": start, "reached": reached})
        append(self.arguments.table, COLUMNS, rows)
        self.notes_of_tiles.finish(seed, name, tile.id)

    def courses(
        self, truth: np.ndarray, proposal: np.ndarray | None, toolbox: Toolbox | None, seed: int
    ) -> tuple[Course, ...]:
        """Correct a proposal, or paint from scratch, in labels that are thrown away."""
        tile = Tile(0, 0, (slice(0, truth.shape[0]), slice(0, truth.shape[1])))
        goals = [float(goal) for goal in self.goals]
        with tempfile.TemporaryDirectory() as folder:
            store = LabelStore(Path(folder) / "labels", truth.shape, writable=True)
            try:
                edit = TileEdit(store, tile, np.zeros_like(truth) if proposal is None else proposal, "proposal")
                habits = ToolHabits(looks=LOOKS, seed=seed, outlines=self.arguments.outlines)
                return correct_towards(edit, truth, goals, habits, toolbox)
            finally:
                store.close()


def counted(course: Course) -> dict:
    values = {name: getattr(course.effort, name) for name in (*EFFORTS, "dice_before", "dice_after")}
    return (
        values
        | {"undone": course.undone, "refused": course.refused}
        | {name: course.used.get(name, 0) for name in TOOLS}
    )


def report(bench: ToolBench) -> None:
    """Print means over the tiles that reach a goal from all starts, and what proposals and tools save of scratch."""
    rows = read_table(bench.arguments.table, pair=bench.name, preset=bench.preset, arm=bench.arguments.arm)
    wanted = {str(seed) for seed in bench.arguments.seeds}
    rows = [row for row in rows if row["tile_px"] == str(bench.arguments.tile) and row["seed"] in wanted]
    print(f"\n{bench.name}, {bench.arguments.arm}, {bench.preset}, tiles of {bench.arguments.tile} px; all simulated")
    print(f"tiles of {subjects(rows)}; the bound is {bench.bound:.4f}")
    for goal in bench.goals:
        tiles = defaultdict(dict)
        for row in rows:
            if row["goal"] == goal:
                tiles[row["seed"], row["image"], row["tile"]][row["start"]] = row
        report_goal(goal, [tile for tile in tiles.values() if set(bench.starts) <= set(tile)], bench.starts)


def report_goal(goal: str, tiles: list[dict], starts: tuple[str, ...]) -> None:
    alone = {start: sum(int(tile[start]["reached"]) for tile in tiles) for start in starts}
    reach = [tile for tile in tiles if all(int(tile[start]["reached"]) for start in starts)]
    met = sum(float(tile["proposal"]["dice_before"]) >= float(goal) for tile in tiles)
    print(
        f"\nmean Dice {float(goal):.3f}: {len(reach)} of {len(tiles)} tiles reach it from all starts, {met} unchanged"
    )
    print("reached: " + ", ".join(f"{start} {count}" for start, count in alone.items()))
    print(f"{'per tile':16}" + "".join(f"{start:>11}" for start in starts) + f"{'saved by tools':>17} (95 %)")
    for name in EFFORTS if reach else ():
        spent = np.array([[float(tile[start][name]) for start in starts] for tile in reach])
        means = "".join(f"{mean:11.1f}" for mean in spent.mean(axis=0))
        told = " of scratch, ".join(saving(spent[:, columns]) for columns in ([0, 2], [0, 1]))
        print(f"{name:16}{means}   {told} of the proposal")
    if reach:
        used = {name: sum(int(tile[starts[0]][name] or 0) for tile in reach) for name in (*TOOLS, "undone", "refused")}
        print("tools: " + ", ".join(f"{name} {count}" for name, count in used.items()))
        spent = np.array([[float(tile[start]["strokes"]) for start in (starts[0], "scratch")] for tile in reach])
        told = "met" if saved(spent) >= PROMISED else "missed"
        print(f"target of {PROMISED:.0%} fewer strokes with the tools than from scratch: {told}")


def saving(spent: np.ndarray) -> str:
    """What is saved in words; columns (with, without)."""
    if not spent[:, 1].any():
        return "none"
    low, high = interval(spent)
    return f"{saved(spent):.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
