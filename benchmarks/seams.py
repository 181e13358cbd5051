"""How the tiles of trained translators join, as their checks see it.

    python benchmarks/seams.py --data ../shared/data --work quality-work --seeds 0

Looks at what `quality.py` has trained in its work folder. For each pair, method, seed and direction: steps across
borders of tiles over those nearby, the same at the same places before translation, and how far the translation depends
on where the grid of tiles lies, mean and largest difference in 8-bit grey levels (of SynDiff its own grid is moved, of
the others that of the windows). One line a result is printed and appended to `benchmarks/results/seams.csv`; `--report`
computes nothing and prints the newest of each.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from histobridge.core.matching import load_matching
from histobridge.core.translate.learner import load_trained
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.quality.measure import examine
from histobridge.core.translate.quality.panel import panel_of_project
from histobridge.core.translate.quality.verdict import LEVELS, joins
from pairs import Pair, add_pairs, chosen_folders
from tables import append, newest, read_table, stamp

TABLE = Path(__file__).parent / "results" / "seams.csv"
KEYS = ("pair", "method", "seed", "direction")
COLUMNS = ["date", "commit", "machine", *KEYS, "seams", "before", "mean_levels", "largest_levels", "join"]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_pairs(parser)
    parser.add_argument("--methods", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args(words)
    if arguments.report:
        for row in newest(read_table(arguments.table), *KEYS):
            print(line(row))
        return
    for source, target in chosen_folders(parser, arguments):
        pair = Pair(argparse.Namespace(**vars(arguments) | {"source": source, "target": target}))
        for row in results(pair, arguments):
            append(arguments.table, COLUMNS, [stamp() | row])
            print(line(row), flush=True)


def results(pair: Pair, arguments: argparse.Namespace) -> Iterator[dict]:
    """Rows of what was trained, by method, seed and direction."""
    for seed in arguments.seeds:
        for method in arguments.methods:
            run = pair.notes.finished(pair.project, f"{method}-{seed}")
            if run is None:
                continue
            translator = load_trained(run.path, "cpu")
            panel = panel_of_project(pair.project, load_matching(pair.project, translator.card.config.matching), "cpu")
            assert panel is not None
            for direction, tiling in examine(translator, panel)[0].tiling.items():
                yield {"pair": pair.name, "method": method, "seed": seed, "direction": direction} | {
                    "seams": round(tiling.seam_ratio, 3),
                    "before": round(tiling.before, 3),
                    "mean_levels": round(tiling.mean_mismatch * LEVELS, 2),
                    "largest_levels": round(tiling.mismatch * LEVELS, 2),
                    "join": "yes" if joins(tiling) else "no",
                }


def line(row: dict) -> str:
    places = f"{row['pair']:44}{row['method']:11}{row['seed']:>2}  {row['direction']:18}"
    return (
        f"{places}seams {float(row['seams']):.3f} (before {float(row['before']):.3f}), "
        f"mismatch {float(row['mean_levels']):.2f} on average, {float(row['largest_levels']):.1f} at most; "
        f"{'join' if row['join'] == 'yes' else 'do not join'}"
    )


if __name__ == "__main__":
    main()
