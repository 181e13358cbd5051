"""Do tiles of a generator with instance norms join? By their own statistics, by pooled and by interpolated ones.

    python benchmarks/norms.py --data ../shared/data --work quality-work --pairs 'myelin-sem-rat>myelin-tem-mouse'
    python benchmarks/norms.py --report

Trains the published generators of CycleGAN, thin and briefly, on the images of a pair, matched in scale as `quality.py`
does it (its runs in the work folder are used), saves them as somebody else would, and imports them as
`import-translator` does. The middle of the largest image is then translated in tiles, and in tiles moved by half of
one, with statistics of each tile, pooled ones after some sweeps, and interpolated ones. Told are steps across borders
over those nearby (before translation too), how far the two differ (mean, largest), and how far the first is from the
same image translated without tiles, away from its borders; in 8-bit grey levels. Lines are appended to
`benchmarks/results/norms.csv`.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from histobridge.core.base_config import Direction
from histobridge.core.images.working import WorkingImage, zoom_of
from histobridge.core.matching import load_matching
from histobridge.core.translate.base import look_of
from histobridge.core.translate.card import card_of
from histobridge.core.translate.crops import ImageCrops
from histobridge.core.translate.generators import reach_of
from histobridge.core.translate.imported import Imported, OfImage
from histobridge.core.translate.importing import read_generator
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.map_norms import Grid
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.quality.tiling import in_tiles
from histobridge.core.translate.quality.verdict import LEVELS
from pairs import Pair, add_pairs, chosen_folders
from tables import append, newest, read_table, stamp

TABLE = Path(__file__).parent / "results" / "norms.csv"
KEYS = ("pair", "seed", "statistics")
COLUMNS = ["date", "commit", "machine", *KEYS, "seams", "before", "mean_levels", "largest_levels", "from_whole"]
DIRECTIONS: dict[str, Direction] = {"source": "source_to_target", "target": "target_to_source"}
SIDE, TILE, MEASURED = 1024, 128, 256
"""Pixels: of what is translated, of tiles, and of the tiles in which an image is measured."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_pairs(parser)
    parser.add_argument("--train", type=int, default=300, help="steps of the generators")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args(words)
    if arguments.report:
        for row in newest(read_table(arguments.table), *KEYS):
            print(line(row))
        return
    for source, target in chosen_folders(parser, arguments):
        pair = Pair(argparse.Namespace(**vars(arguments) | {"source": source, "target": target}))
        for seed in arguments.seeds:
            for row in results(pair, seed, arguments.train):
                append(arguments.table, COLUMNS, [stamp() | {"pair": pair.name, "seed": seed} | row])
                print(line({"pair": pair.name, "seed": seed} | row), flush=True)


def results(pair: Pair, seed: int, steps: int) -> Iterator[dict]:
    """Rows of one pair and seed: by what tiles are normalised."""
    _, matched, _ = pair.matched(seed)
    matching = load_matching(pair.project, matched.id)
    images = {}
    for domain, scale in (("source", matching.source_working_um), ("target", matching.target_working_um)):
        records = [record for record in pair.project.images() if record.domain == domain]
        images[domain] = [WorkingImage(pair.project.pixels(record.id), zoom_of(record, scale)) for record in records]
    domain, largest = max(
        ((domain, image) for domain, found in images.items() for image in found), key=lambda one: np.prod(one[1].shape)
    )
    image, direction = largest.read(largest.centre(SIDE)), DIRECTIONS[domain]
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "generator.safetensors"
        fields = {domain: [each.read(each.centre(SIDE)) for each in found] for domain, found in images.items()}
        trained(fields, seed, steps, weights, direction)
        for words, *sweeps in (
            *[("of each tile", "pooled", 1), ("pooled, 1 sweep", "pooled", 1), ("pooled, 2 sweeps", "pooled", 2)],
            *[("pooled, 4 sweeps", "pooled", 4), ("pooled, 16 sweeps", "pooled", 16)],
            ("interpolated, 2 sweeps", "interpolated", 2),
        ):
            row = joined(weights, image, direction, sweeps, alone=words == "of each tile")
            yield {"statistics": words} | row


def trained(fields: dict[str, list[np.ndarray]], seed: int, steps: int, weights: Path, direction: Direction) -> None:
    """Train the published generators, thin, and save that of the direction that is looked at."""
    thin = {"channels": 8, "blocks": 6, "crop_px": 128, "steps": steps, "learning_rate": 5e-4, "seed": seed}
    config = PRESETS["cyclegan"]["faithful"].model_copy(update=thin)
    learner = build_learner(config, torch.device("cpu"))
    crops = [ImageCrops(fields[domain], config.crop_px, seed + at) for at, domain in enumerate(("source", "target"))]
    for _ in range(steps):
        learner.step(*(each.draw() for each in crops))
    save_file(dict(learner.networks[direction].state_dict()), weights)


def joined(weights: Path, image: np.ndarray, direction: Direction, sweeps: Sequence, *, alone: bool) -> dict:
    """Import a generator and see how its tiles join, or those that are normalised by nothing but themselves."""
    net, config = read_generator(weights)
    look = look_of(image)
    instant = Instant(False, look, look)
    own = {"spread": sweeps[0], "sweeps": sweeps[1], "tile_px": MEASURED, "ways": (direction,)}
    imported = Imported({direction: net}, instant, card_of(config, instant, reach_of(config)).model_copy(update=own))
    whole = imported.translate(image, direction, look)
    seen = imported.of_image(lambda window: image[window], image.shape, direction, look)
    if alone:
        seen = OfImage(imported, direction, Grid(image.shape, MEASURED), {})
    found = in_tiles(seen, image, direction, look, TILE)
    middle = (slice(imported.halo, -imported.halo),) * 2
    return {
        "seams": round(found.joined.seam_ratio, 3),
        "before": round(found.joined.before, 3),
        "mean_levels": round(found.joined.mean_mismatch * LEVELS, 2),
        "largest_levels": round(found.joined.mismatch * LEVELS, 2),
        "from_whole": round(float(np.abs(found.one - whole)[middle].mean()) * LEVELS, 2),
    }


def line(row: dict) -> str:
    return (
        f"{row['pair']:44}{row['seed']:>2}  {row['statistics']:24}seams {float(row['seams']):.3f} "
        f"(before {float(row['before']):.3f}), mismatch {float(row['mean_levels']):6.2f} on average, "
        f"{float(row['largest_levels']):6.1f} at most; {float(row['from_whole']):6.2f} from the whole"
    )


if __name__ == "__main__":
    main()
