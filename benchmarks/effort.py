"""Simulated effort until a share of the supervised bound: correcting proposals against painting from scratch.

    python benchmarks/effort.py --source ../shared/data/myelin-tem-mouse --target ../shared/data/myelin-sem-rat

For each seed, `--tiles` tiles of `--tile` native pixels are drawn from all target images. On each the simulated
annotator corrects the largest errors first until the mean Dice of the tile reaches 95 % and 99 % of the bound, once
from the proposal of `--arm` and once from an empty tile, with the same habits and the same seed. The bound is
`--bound`, or what the arm `supervised` of the same preset has in `quality.csv`. Tiles that are done are noted in the
work folder (that of `quality.py`, whose models are used again) and appended to `benchmarks/results/effort.csv`.
Strokes, pixels and seconds are all simulated.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from histobridge.core.annotator import AnnotatorConfig, Effort, correct_tile, paint_from_scratch
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.proposals import read_proposal
from histobridge.core.tiles import Tile
from pairs import Notes, Pair, add_arguments
from review import regular_tiles, truths
from tables import append, distinct, newest, read_table, score, stamp, subjects

RESULTS = Path(__file__).parent / "results"
EFFORTS = ("strokes", "clicks", "painted_pixels", "changed_pixels", "seconds")
COLUMNS = [
    *("date", "commit", "machine", "preset", "pair", "arm", "tile_px", "seed", "image", "subject", "tile"),
    *("bound", "share", "start", "reached", *EFFORTS, "dice_before", "dice_after"),
]
STARTS = ("proposal", "scratch")
SHARES = (0.95, 0.99)
LOOKS = 5


def main(words: list[str] | None = None) -> None:
    bench = Bench(parse(words))
    for seed in bench.arguments.seeds:
        for name, tile in bench.drawn(seed):
            if not bench.notes_of_tiles.done(seed, name, tile.id):
                bench.compute(seed, name, tile)
    report(bench)


def parse(words: list[str] | None) -> argparse.Namespace:
    asked = parser(__doc__)
    asked.add_argument("--table", type=Path, default=RESULTS / "effort.csv")
    return asked.parse_args(words)


def parser(description: str) -> argparse.ArgumentParser:
    """Ask for the pair, the arm, the bound and the tiles."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--arm", default="tutorship-instant", help="whose proposals are corrected")
    parser.add_argument("--bound", type=float, help="mean Dice; left out: of the arm `supervised` in --quality")
    parser.add_argument("--quality", type=Path, default=RESULTS / "quality.csv")
    parser.add_argument("--tile", type=int, default=256, help="side of a tile in native pixels")
    parser.add_argument("--tiles", type=int, default=24, help="tiles for each seed")
    return parser


class Bench(Pair):
    """The tiles of one pair, one arm and one bound."""

    def __init__(self, arguments: argparse.Namespace):
        super().__init__(arguments)
        self.bound = arguments.bound or supervised(arguments.quality, self.name, self.preset)
        kind = f"{self.preset}-{arguments.arm}-{arguments.tile}-{self.bound:.4f}"
        self.notes_of_tiles = Notes(self.work / f"effort-{kind}.json")
        self.truths = truths(self)

    def drawn(self, seed: int) -> list[tuple[str, Tile]]:
        """Tiles of one seed."""
        tiles = [
            (record.id, tile)
            for record in self.project.images("target")
            for tile in regular_tiles(record, self.arguments.tile)
        ]
        chosen = np.random.default_rng([seed, 2]).permutation(len(tiles))[: self.arguments.tiles]
        return [tiles[index] for index in chosen]

    def compute(self, seed: int, name: str, tile: Tile) -> None:
        proposed, _ = self.propose(self.arguments.arm, seed)
        proposal, _ = read_proposal(self.project, proposed.id, name, tile.window)
        truth = self.truths[name][tile.window]
        common = stamp() | {
            **{"preset": self.preset, "pair": self.name, "arm": self.arguments.arm, "tile_px": self.arguments.tile},
            **{"seed": seed, "image": name, "subject": self.project.image(name).subject, "tile": tile.id},
            "bound": f"{self.bound:.4f}",
        }
        rows = []
        for share in SHARES:
            for start in STARTS:
                effort = simulated(truth, proposal if start == "proposal" else None, share * self.bound, seed)
                values = {key: getattr(effort, key) for key in (*EFFORTS, "dice_before", "dice_after")}
                reached = int(effort.dice_after >= share * self.bound)
                rows.append(common | values | {"share": share, "start": start, "reached": reached})
        append(self.arguments.table, COLUMNS, rows)
        self.notes_of_tiles.finish(seed, name, tile.id)


def simulated(truth: np.ndarray, proposal: np.ndarray | None, goal: float, seed: int) -> Effort:
    """Correct a proposal, or paint from scratch, in labels that are thrown away."""
    config = AnnotatorConfig(target_dice=goal, looks=LOOKS, seed=seed)
    tile = Tile(0, 0, (slice(0, truth.shape[0]), slice(0, truth.shape[1])))
    with tempfile.TemporaryDirectory() as folder:
        store = LabelStore(Path(folder) / "labels", truth.shape, writable=True)
        try:
            if proposal is None:
                return paint_from_scratch(store, tile, truth, config)
            return correct_tile(TileEdit(store, tile, proposal, "proposal"), truth, config)
        finally:
            store.close()


def supervised(table: Path, pair: str, preset: str) -> float:
    """Mean Dice of the supervised arm: of classes, of images, of subjects, of seeds."""
    rows = newest(read_table(table, pair=pair, preset=preset, arm="supervised"), "seed", "image")
    if not rows:
        raise SystemExit(f"{table} has no arm `supervised` of {pair}, {preset}; compute it or give --bound")
    seeds = distinct(rows, "seed")
    return float(np.mean([score([row for row in rows if row["seed"] == seed], pair) for seed in seeds]))


def report(bench: Bench) -> None:
    """Print totals over the tiles that reach the goal from both starts, and what the proposals save."""
    rows = read_table(bench.arguments.table, pair=bench.name, preset=bench.preset, arm=bench.arguments.arm)
    rows = [
        row
        for row in rows
        if (row["tile_px"], row["bound"]) == (str(bench.arguments.tile), f"{bench.bound:.4f}")
        and int(row["seed"]) in bench.arguments.seeds
    ]
    print(f"\n{bench.name}, {bench.arguments.arm}, {bench.preset}, tiles of {bench.arguments.tile} px; all simulated")
    print(f"tiles of {subjects(rows)}")
    for share in SHARES:
        tiles = defaultdict(dict)
        for row in rows:
            if float(row["share"]) == share:
                tiles[row["seed"], row["image"], row["tile"]][row["start"]] = row
        both = [tile for tile in tiles.values() if all(int(tile[start]["reached"]) for start in STARTS)]
        print(
            f"\n{share:.0%} of {bench.bound:.3f}, a mean Dice of {share * bench.bound:.3f}: "
            f"{len(both)} of {len(tiles)} tiles reach it from both starts"
        )
        print(f"{'per tile':18}{'proposal':>12}{'scratch':>12}{'saved':>10}   95 % interval over tiles")
        for name in EFFORTS if both else ():
            spent = np.array([[float(tile[start][name]) for start in STARTS] for tile in both])
            low, high = interval(spent)
            print(
                f"{name:18}{spent[:, 0].mean():12.1f}{spent[:, 1].mean():12.1f}"
                f"{saved(spent):10.1%}   {low:.1%} to {high:.1%}"
            )


def saved(spent: np.ndarray) -> float:
    """1 - total from proposals / total from scratch; columns (proposal, scratch)."""
    return float(1 - spent[:, 0].sum() / max(spent[:, 1].sum(), 1))


def interval(spent: np.ndarray) -> tuple[float, float]:
    """Percentile bootstrap over tiles."""
    rng = np.random.default_rng(0)
    drawn = [saved(spent[rng.integers(len(spent), size=len(spent))]) for _ in range(2000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
