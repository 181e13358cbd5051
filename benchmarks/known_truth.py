"""How close translators come to a known truth: drawn pairs of modalities, harder than an inversion.

    python benchmarks/known_truth.py
    python benchmarks/known_truth.py --methods bridgecut --steps 200 --without segmentation similarity contrast norms
    python benchmarks/known_truth.py --methods bridgecut cyclegan --seeds 0 1 2 --steps 200
    python benchmarks/known_truth.py --report

Fields of rings. In the source rings are dark, insides bright, the rest in between, under fine noise with specks. In the
target rings are bright, insides are brighter than the rest, all is blurred, under coarse noise and a slow gradient. So
no map of grey values leads from one to the other: insides and the rest change places. Training sees different rings in
both domains, and labels of the source; the truth is the target's look of the test rings without noise, so the target
itself, drawn again with its noise, has an error too. Each method has its `cpu` preset and the checkpoint that looks
best without labels. `--without` tries BridgeCUT with all parts, also those that its preset has dropped, and with one
less each; `--bridge` tries other numbers of steps. Seeds are of the drawing and of the training. One line a result is
printed and appended to `benchmarks/results/known_truth.csv`; `--report` computes nothing and prints the newest of each
on each machine.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.job import finish
from histobridge.core.translate.base import look_of
from histobridge.core.translate.crops import Labelled
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translate.quality.choosing import Chooser
from histobridge.core.translate.quality.measure import measure
from histobridge.core.translate.quality.panel import panel_of_fields
from histobridge.core.translate.train import train_matched
from tables import append, newest, read_table, stamp

TABLE = Path(__file__).parent / "results" / "known_truth.csv"
COLUMNS = [
    *("date", "commit", "machine", "method", "seed"),
    *("error", "psnr_db", "rings", "insides", "step", "of", "seconds"),
]
SIDE = 128
FIELDS, TESTED = 30, 8
SOURCE_GREYS, TARGET_GREYS = (0.0, 0.5, -0.8), (-0.6, -0.1, 0.7)
"""Of the rest, insides and rings."""
PARTS = ("segmentation", "agreement", "similarity", "contrast", "transport")
DROPPED = {"similarity": 0.2, "transport": 0.01}
"""Parts that the preset has no more, and the weights they had; all else is compared with them in."""
SWITCHES = {"norms": {"demodulated": True}, "segmenter_sees_fakes": {"segmenter_sees_fakes": False}}
"""What else BridgeCUT can be without, and the settings that are so."""


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    print(
        f"{'method':32}{'seed':>5}{'error':>8}{'PSNR':>7}{'rings':>8}{'insides':>9}{'step':>6}{'of':>6}{'seconds':>9}"
    )
    if arguments.report:
        rows = newest(read_table(arguments.table), "machine", "method", "seed", "of")
        machines = list(dict.fromkeys(row["machine"] for row in rows))
        for machine in machines:
            told = [line(row) for row in rows if row["machine"] == machine]
            print("\n".join([machine, *told] if len(machines) > 1 else told))
        return
    for seed in arguments.seeds:
        for row in results(seed, arguments):
            append(arguments.table, COLUMNS, [stamp() | {"seed": seed} | row])
            print(line({"seed": seed} | row), flush=True)


def results(seed: int, arguments: argparse.Namespace) -> Iterator[dict]:
    """Rows of one seed: what needs no training first."""
    pair = Drawn(seed)
    yield {"method": "instant"} | compared(pair, pair.instant.translate)
    again = iter(pair.again)
    yield {"method": "target drawn again"} | compared(pair, lambda *_: next(again))
    for name, config in variants(arguments):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            translator, step = learned(pair, config.model_copy(update={"seed": seed, "device": "cpu"}), folder)
        seconds = round(time.perf_counter() - begun)
        yield (
            {"method": name}
            | compared(pair, translator.translate)
            | {
                "step": step,
                "of": config.steps,
                "seconds": seconds,
            }
        )


def line(row: dict) -> str:
    numbers = f"{float(row['error']):8.4f}{float(row['psnr_db']):7.2f}{float(row['rings']):8.3f}"
    told = "".join(f"{row.get(name, ''):>{width}}" for name, width in (("step", 6), ("of", 6), ("seconds", 9)))
    return f"{row['method']:32}{row['seed']:>5}{numbers}{float(row['insides']):9.3f}{told}"


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--without", nargs="*", default=[], choices=[*PARTS, *SWITCHES])
    parser.add_argument("--bridge", nargs="*", type=int, default=[], help="numbers of bridge steps to try")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--steps", type=int, help="instead of those of the preset")
    parser.add_argument("--report", action="store_true", help="compute nothing, print what the table has")
    parser.add_argument("--table", type=Path, default=TABLE)
    return parser.parse_args(words)


def variants(arguments: argparse.Namespace) -> Iterator[tuple[str, TrainTranslatorConfig]]:
    changed = {"steps": arguments.steps} if arguments.steps else {}
    for method in arguments.methods:
        yield method, PRESETS[method]["cpu"].model_copy(update=changed)
    preset = PRESETS["bridgecut"]["cpu"].model_copy(update=changed)
    whole = preset.model_copy(update={"bridge": preset.bridge.model_copy(update=DROPPED)})
    if arguments.without:
        yield "bridgecut with all parts", whole
    for part in arguments.without:
        less = whole.bridge.model_copy(update=SWITCHES.get(part, {part: 0.0}))
        yield f"bridgecut without {part}", whole.model_copy(update={"bridge": less})
    for count in arguments.bridge:
        steps = preset.bridge.model_copy(update={"steps": count})
        yield f"bridgecut in {count} steps", preset.model_copy(update={"bridge": steps})


class Drawn:
    """Both domains of one seed, and source images of which the translation is known."""

    def __init__(self, seed: int):
        random = np.random.default_rng(seed)
        maps = [rings(random, 12) for _ in range(FIELDS)]
        self.source = [draw_source(labels, random) for labels in maps]
        self.target = [draw_target(rings(random, 10), random) for _ in range(FIELDS)]
        self.tested = [rings(random, 11) for _ in range(TESTED)]
        self.images = [draw_source(labels, random) for labels in self.tested]
        looks = [np.mean([look_of(field) for field in fields], axis=0) for fields in (self.source, self.target)]
        self.instant = Instant(True, *looks)
        self.again = [draw_target(labels, random) for labels in self.tested]
        matched = [self.instant.translate(field, "source_to_target", look_of(field)) for field in self.source]
        self.fields = {
            "source": [Labelled(image, labels) for image, labels in zip(matched, maps, strict=True)],
            "target": self.target,
        }


def learned(pair: Drawn, config: TrainTranslatorConfig, folder: str):
    """The translator that looks best without labels, and its step."""
    panel = panel_of_fields(pair.source, pair.target, pair.instant)
    chooser = Chooser(lambda seen: measure(seen, panel).score, Path(folder))
    return finish(train_matched(pair.fields, pair.instant, config, chooser=chooser)), chooser.step


def compared(pair: Drawn, translate: Callable) -> dict[str, float]:
    """Mean absolute difference from the truth, its PSNR, and the Dice of classes by nearest true grey."""
    errors, squares, dice = [], [], []
    for image, labels in zip(pair.images, pair.tested, strict=True):
        made = translate(image, "source_to_target", look_of(image))
        off = made - truth_of(labels)
        errors.append(np.abs(off).mean())
        squares.append(np.square(off).mean())
        nearest = np.abs(ndimage.gaussian_filter(made, 1.0)[..., None] - np.array(TARGET_GREYS)).argmin(axis=-1)
        dice.append([overlap(nearest == value, labels == value) for value in (2, 1)])
    psnr = 10 * np.log10(4 / np.mean(squares))
    rings_dice, inside_dice = np.mean(dice, axis=0)
    found = {"error": np.mean(errors), "psnr_db": psnr, "rings": rings_dice, "insides": inside_dice}
    return {name: round(float(value), 4) for name, value in found.items()}


def overlap(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(2 * (found & wanted).sum() / max(1, found.sum() + wanted.sum()))


def rings(random: np.random.Generator, count: int) -> np.ndarray:
    """Draw a label map (Y, X) uint8: 0 the rest, 1 insides, 2 rings."""
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(300):
        radius, centre = random.uniform(7, 13), random.uniform(0, SIDE, 2)
        distance = np.hypot(y - centre[0], x - centre[1])
        if count and not labels[distance < radius + 2].any():
            labels[distance < radius] = 2
            labels[distance < random.uniform(0.6, 0.75) * radius] = 1
            count -= 1
    return labels


def draw_source(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Dark rings, bright insides, fine noise, and dark specks outside of rings."""
    grey = np.array(SOURCE_GREYS)[labels] + random.normal(0, 0.12, labels.shape)
    specks = ndimage.gaussian_filter(random.normal(size=labels.shape), 1.0) > 0.75
    grey[specks & (labels != 2)] -= 0.4
    return np.clip(grey, -1, 1).astype(np.float32)


def truth_of(labels: np.ndarray) -> np.ndarray:
    """Look of the target without its noise."""
    return ndimage.gaussian_filter(np.array(TARGET_GREYS)[labels], 1.2).astype(np.float32)


def draw_target(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw the truth under coarse noise and a slow gradient."""
    noise = ndimage.gaussian_filter(random.normal(0, 0.3, labels.shape), 1.0)
    slope = np.linspace(-0.1, 0.1, SIDE) * random.choice([-1, 1])
    return np.clip(truth_of(labels) + noise + slope, -1, 1).astype(np.float32)


if __name__ == "__main__":
    main()
