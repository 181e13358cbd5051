"""Peak memory of the jobs that touch every pixel of one very large image.

    python benchmarks/memory.py --size 32768

A synthetic target field is tiled to `--size` pixels a side and written as OME-Zarr. Then it is added, matched, given
proposals by adaptation, exported, given proposals by the model that adaptation left, and translated whole by the
translators that `--translators` names (preset `cpu`); each job in a process of its own, whose peak resident memory
(VmHWM, Linux) is read at its end. More than 2000 MB makes the exit code 1. `--zoom` is working pixels per native pixel.
Networks are hardly trained: what they answer does not change what they need. Every job appends a row to
`benchmarks/results/memory.csv`.
"""

import argparse
import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from histobridge.core.config import (
    AddImagesConfig,
    Config,
    ExportConfig,
    MatchConfig,
    ProposeConfig,
    SegmenterTraining,
    TrainSegmenterConfig,
    TranslateImageConfig,
)
from histobridge.core.files import read_json
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.perform import perform
from histobridge.core.runs import Run
from histobridge.core.sample import make_sample_project
from histobridge.core.translate.presets import PRESETS
from large import Tiled, target_field

TABLE = Path(__file__).parent / "results" / "memory.csv"
COLUMNS = ["date", "commit", "machine", "size", "zoom", "preset", "job", "seconds", "peak_mb"]
FIELD_PX = 256
LIMIT_MB = 2000


def main() -> int:
    arguments = parse()
    if arguments.perform:
        return perform_here(arguments.perform)
    work: Path = arguments.work / f"{arguments.size}"
    shutil.rmtree(work, ignore_errors=True)
    highest = 0
    for name, run in jobs(work, arguments):
        row = measured(name, run, arguments)
        highest = max(highest, row["peak_mb"])
        append(arguments.table, row)
        print(f"{name:20} {row['seconds']:>8} s {row['peak_mb']:>6} MB", flush=True)
    if not arguments.keep:
        shutil.rmtree(work)
    return int(highest > LIMIT_MB)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32768, help="side of the image in pixels")
    parser.add_argument("--zoom", type=float, default=0.25, help="working pixels per native pixel")
    parser.add_argument("--preset", default="tiny", choices=["tiny", "cpu", "gpu"])
    parser.add_argument("--work", type=Path, default=Path("memory-work"), help="images and project are made here")
    parser.add_argument("--translators", nargs="*", default=["cyclegan", "bridgecut"], choices=list(PRESETS))
    parser.add_argument("--keep", action="store_true", help="leave them there")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--perform", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def jobs(work: Path, arguments: argparse.Namespace):
    """Make the project and its large image, then yield name and run of every job to measure, the earlier ones done."""
    work.mkdir(parents=True)
    project = make_sample_project(work / "project", fields=1, size=FIELD_PX)
    training = SegmenterTraining(preset=arguments.preset, steps=20)
    learned = project.create_run("train-segmenter", TrainSegmenterConfig(training=training))
    perform(learned)
    working_um = read_json(learned.path / "model.json")["working_um"]
    pixel_um = working_um * arguments.zoom
    known = {record.id for record in project.images()}
    large_field(work / "large.ome.zarr", arguments, pixel_um)

    def run(verb: str, config: Config) -> Run:
        return project.create_run(verb, config)

    adding = run("add", AddImagesConfig(paths=(work.absolute() / "large.ome.zarr",), domain="target"))
    yield "add", adding
    with project.editing("memory benchmark"):
        project.adopt(adding)
    (large,) = (record.id for record in project.images() if record.id not in known)
    yield "match", run("match", MatchConfig(scale_factor=1.0, polarity="invert"))
    adaptation = run("propose", ProposeConfig(route="adaptation", images=(large,)))
    yield "propose adaptation", adaptation
    yield "export", run("export", ExportConfig(out=work.absolute() / "out", images=(large,)))
    yield "propose model", run("propose", ProposeConfig(route="model", segmenter=adaptation.id, images=(large,)))
    for method in arguments.translators:
        brief = PRESETS[method]["cpu"].model_copy(update={"steps": 2, "keep_best": False})
        trained = run("train-translator", brief)
        perform(trained)
        wanted = TranslateImageConfig(image=large, translator=trained.id, whole=True)
        yield f"translate {method}", run("translate-image", wanted)


def large_field(path: Path, arguments: argparse.Namespace, pixel_um: float) -> None:
    """Write the large image: one field, its pixels repeated so that objects have their size at the working scale."""
    field = target_field(FIELD_PX)
    repeat = max(1, round(1 / arguments.zoom))
    image = np.kron(field.image, np.ones((repeat, repeat), field.image.dtype))
    write_pyramid(path, Tiled(image, arguments.size), pixel_um)


def measured(name: str, run: Run, arguments: argparse.Namespace) -> dict:
    """Perform a run in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--perform", str(run.path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}",
        "size": arguments.size,
        "zoom": arguments.zoom,
        "preset": arguments.preset,
        "job": name,
        "seconds": round(time.monotonic() - began),
        "peak_mb": json.loads(done.stdout.splitlines()[-1])["peak_mb"],
    }


def perform_here(path: Path) -> int:
    """Perform a run and write the peak memory of this process; that of its parent would count what `exec` replaced."""
    perform(Run(path))
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    print(json.dumps({"peak_mb": round(int(found[1]) * 1024 / 1e6)}))
    return 0


def append(table: Path, row: dict) -> None:
    """Add a row to the committed table."""
    table.parent.mkdir(exist_ok=True)
    fresh = not table.exists()
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
