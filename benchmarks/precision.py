"""Where does bfloat16 pay? Seconds of a training step in it and in float32, whether or not the hardware has it.

    python benchmarks/precision.py
    python benchmarks/precision.py --presets cpu --steps 5
    ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 python benchmarks/precision.py
    python benchmarks/precision.py --report

On the GPU if there is one, else on one processor core, as a processor without some of its instructions where
`ONEDNN_MAX_CPU_ISA` says so. Of the methods' presets, crops of `--crop` and one crop a batch, so that SynDiff's fits.
Times are the shortest of some steps; a line for each method is printed and appended to
`benchmarks/results/precision.csv`.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import torch

from histobridge.core.device import choose_device, processor_features
from histobridge.core.translate.presets import PRESETS
from histobridge.core.translator_config import TrainTranslatorConfig
from tables import append, newest, read_table, stamp
from translation_speed import our_step, timed

TABLE = Path(__file__).parent / "results" / "precision.csv"
KNOWN = ("amx_bf16", "avx512_bf16")
COLUMNS = [
    *("date", "commit", "machine", "instructions", "preset", "method", "crop_px", "channels"),
    *("float32", "bfloat16", "faster"),
]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--presets", nargs="*", default=["fast"], choices=["faithful", "fast", "cpu"])
    parser.add_argument("--crop", type=int, default=128, help="px of a crop")
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--report", action="store_true", help="time nothing, print the newest of each")
    arguments = parser.parse_args(words)
    if arguments.report:
        for row in newest(read_table(arguments.table), "machine", "instructions", "preset", "method", "crop_px"):
            print(line(row))
        return
    torch.set_num_threads(1)
    for preset in arguments.presets:
        for method in arguments.methods:
            config = PRESETS[method][preset].model_copy(update={"crop_px": arguments.crop, "batch_size": 1})
            row = {"instructions": instructions(), "preset": preset} | compared(config, arguments.steps)
            append(arguments.table, COLUMNS, [stamp() | row])
            print(line(row), flush=True)


def compared(config: TrainTranslatorConfig, steps: int) -> dict:
    """Time one config in both, bfloat16 as if the hardware had it."""
    device = choose_device("auto")
    seconds = {}
    for name, half in (("float32", False), ("bfloat16", True)):
        wanted = config.model_copy(update={"half_precision": half, "compiled": "off"})
        with patch("histobridge.core.translate.contest.has_bfloat16", lambda _: True):
            step = our_step(wanted, device.type)
        seconds[name] = min(timed(step, device.type, 1) for _ in range(steps))
    shown = {name: round(value, 4) for name, value in seconds.items()}
    faster = round(seconds["float32"] / seconds["bfloat16"], 2)
    common = {"method": config.method, "crop_px": config.crop_px, "channels": config.channels}
    return common | shown | {"faster": faster}


def instructions() -> str:
    """What the processor, or the GPU, has for bfloat16, less what oneDNN is told not to use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    has = " ".join(name for name in KNOWN if processor_features().get(name)) or "none"
    most = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{has}, at most {most}" if most else has


def line(row: dict) -> str:
    """One row in words."""
    return (
        f"{row['instructions']}: {row['method']:10} preset {row['preset']}, {row['crop_px']} px, {row['channels']} "
        f"channels: float32 {row['float32']} s a step, bfloat16 {row['bfloat16']} s, {row['faster']} x as fast"
    )


if __name__ == "__main__":
    main()
