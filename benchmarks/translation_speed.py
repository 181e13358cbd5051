"""How fast do we train translators beside the authors' code? Same machine, same run, a process for each.

    python benchmarks/translation_speed.py --syndiff CLONE --cut CLONE

The first is a clone of https://github.com/icon-lab/SynDiff, the second one of
https://github.com/taesungp/contrastive-unpaired-translation, which also holds CycleGAN; leave one out to leave out its
rows. They are run, never copied. Their images come ready from memory, while ours are drawn crop by crop. CUT translates
one way, ours both: two of theirs are trained. SynDiff's loop runs without its wrapper for several GPUs and, on a GPU,
with its own kernels, which need nvcc.

Four rows a method: theirs; ours with the same networks, batch and precision; ours with the same networks, as fast as it
gets (bfloat16 and compiled on a GPU, shared fakes); and, on a GPU, our preset `fast`, which has other networks. Without
a GPU sizes are tiny, time is that of one processor core, only the ratios mean something, and the command for a GPU is
printed.
"""

import argparse
import contextlib
import csv
import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from histobridge.core.translate.crops import ImageCrops
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translator_config import TrainTranslatorConfig
from translation_speed_theirs import WARM_UP, cut_step, now, timed_syndiff

RESULTS = Path(__file__).parent / "results" / "translation_speed.csv"
METHODS = ("syndiff", "cut", "cyclegan")
PUBLISHED = {"syndiff": "faithful-256"}
"""Preset of the authors' configuration, where it is not `faithful`."""
THEIRS, SAME, FAST, PRESET = "theirs", "ours, same precision", "ours, fast", "ours, preset fast"
COLUMNS = (
    *("method", "who", "device", "torch", "crop_px", "batch", "channels", "steps"),
    *("seconds_a_step", "images_a_second", "peak_memory_gb", "faster", "memory_share"),
)
TINY = {"crop_px": 64, "channels": 8}
STEPS = {"cpu": 10, "cuda": 50}
"""SynDiff has a penalty every ten."""
ROUNDS = 2
"""Others may disturb one of them."""

Step = Callable[[], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syndiff", type=Path, metavar="CLONE", help="clone of icon-lab/SynDiff")
    parser.add_argument("--cut", type=Path, metavar="CLONE", help="clone of the authors' CUT")
    parser.add_argument("--steps", type=int, default=0, help="timed steps; 0: 10 without a GPU, 50 with one")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file")
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "WHO"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = arguments.steps or STEPS[device]
    clones = {"syndiff": arguments.syndiff, "cut": arguments.cut, "cyclegan": arguments.cut}
    if arguments.one:
        method, who = arguments.one
        print(json.dumps(measured(method, who, clones[method], device, steps)))
        return 0
    if device == "cpu":
        print("No GPU here: tiny sizes, of which only the ratios mean something. On a machine with one:")
        print("    python benchmarks/translation_speed.py --syndiff CLONE --cut CLONE\n")
    rows = [row for method in METHODS if clones[method] for row in compared(method, device)]
    write(arguments.out, rows)
    return 0


def compared(method: str, device: str) -> Iterator[dict[str, Any]]:
    """Rows of one method beside theirs: the faster of two rounds, each measured in a process of its own."""
    names = (THEIRS, SAME, FAST, *([PRESET] if device == "cuda" else []))
    found = {who: [] for who in names}
    for who in names * ROUNDS:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", method, who]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{method:9} {who:22} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
        else:
            found[who].append(json.loads(done.stdout.splitlines()[-1]))
    best = {who: min(rows, key=lambda row: row["seconds_a_step"]) for who, rows in found.items() if rows}
    for who, row in best.items():
        if theirs := best.get(THEIRS):
            row["faster"] = round(row["images_a_second"] / theirs["images_a_second"], 2)
            row["memory_share"] = round(row["peak_memory_gb"] / theirs["peak_memory_gb"], 2)
        print(
            f"{method:9} {who:22} {row['seconds_a_step']:8.3f} s a step {row['images_a_second']:8.2f} images/s "
            f"{row['peak_memory_gb']:7.3f} GB   {row.get('faster', '?')} x as fast, "
            f"{row.get('memory_share', '?')} of the memory",
            flush=True,
        )
        yield row


def measured(method: str, who: str, clone: Path, device: str, steps: int) -> dict[str, Any]:
    """Time the steps of one training in this process."""
    config = config_of(method, who, device)
    at_start = resident_gb()
    with contextlib.redirect_stdout(io.StringIO()):
        if who == THEIRS and method == "syndiff":
            seconds = timed_syndiff(clone, config, device, steps)
        else:
            step = cut_step(clone, config, device) if who == THEIRS else our_step(config, device)
            seconds = timed(step, device, steps)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else resident_gb() - at_start
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    row = {"method": method, "who": who, "device": name, "torch": torch.__version__, "crop_px": config.crop_px}
    row |= {"batch": config.batch_size, "channels": config.channels, "steps": steps}
    # An image is a crop of either domain.
    images = 2 * config.batch_size / seconds
    return row | {
        "seconds_a_step": round(seconds, 4),
        "images_a_second": round(images, 3),
        "peak_memory_gb": round(peak, 3),
    }


def config_of(method: str, who: str, device: str) -> TrainTranslatorConfig:
    """What is trained: the published networks, thin and on small crops without a GPU, or our preset for GPUs."""
    if who == PRESET:
        return PRESETS[method]["fast"]
    config = PRESETS[method][PUBLISHED.get(method, "faithful")]
    if device == "cpu":
        thin = {"width": TINY["channels"], "judge_width": TINY["channels"], "attention_levels": (2,)}
        config = config.model_copy(update=TINY | {"syndiff": config.syndiff.model_copy(update=thin)})
    if who != FAST:
        return config.model_copy(update={"compiled": "off"})
    shared = config.syndiff.model_copy(update={"share_fakes": True})
    return config.model_copy(update={"half_precision": True, "syndiff": shared})


def resident_gb() -> float:
    """Most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def timed(step: Step, device: str, steps: int) -> float:
    """Mean seconds of a step, after some that do not count."""
    for _ in range(WARM_UP[device]):
        step()
    began = now(device)
    for _ in range(steps):
        step()
    return (now(device) - began) / steps


def images_of(size: int) -> list[np.ndarray]:
    """Random images of one domain; nothing depends on what they show."""
    return [np.random.default_rng(0).uniform(-1, 1, (4 * size, 4 * size)).astype(np.float32)]


def our_step(config: TrainTranslatorConfig, device: str) -> Step:
    """Draw crops and learn from them, as `train_pair` does."""
    where = torch.device(device)
    torch.backends.cudnn.benchmark = True
    learner = build_learner(config, where)
    domains = [ImageCrops(images_of(config.crop_px), config.crop_px, seed, device=where) for seed in (0, 1)]
    return lambda: learner.step(*(torch.cat([crops.draw() for _ in range(config.batch_size)]) for crops in domains))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table."""
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS, restval="")
        table.writeheader()
        table.writerows(rows)
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    sys.exit(main())
