"""Kill the application again and again while it is used, and look at what is left.

    python benchmarks/kill_test.py --trials 200 --mode window
    python benchmarks/kill_test.py --trials 20 --mode headless

In every trial `kill_driver.py` opens the same project in a process of its own (`window`: napari with the dock and real
mouse events, needs a display; `headless`: the same store without Qt), paints, switches tiles, fine-tunes and exports.
At a random moment it gets SIGKILL, in every third trial together with the engine and the job that it works on. Then:

- a finished stroke older than one second that is not in the labels is *lost*;
- a project, image, label file or run that cannot be opened is *unreadable*;
- an export under its final name whose pixels are not those that its own checksums name is *half*.

A line a trial goes to `benchmarks/results/kill_test.csv`; a run that was broken off goes on where it stopped.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from histobridge.core.config import MatchConfig, ProposeConfig, SegmenterTraining, TrainSegmenterConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.errors import HistoBridgeError
from histobridge.core.export_publish import recover
from histobridge.core.export_staging import sha256_of_pixels
from histobridge.core.files import read_json
from histobridge.core.images.pyramid import Pyramid
from histobridge.core.manifest import ClassSpec
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.sample import make_sample_project
from histobridge.core.states import CORRECTED
from histobridge.engine.cluster import find_engine, runtime_folder

TABLE = Path(__file__).parent / "results" / "kill_test.csv"
WORK = Path(__file__).parent / "kill-work"
SIZE, FIELDS = 128, 3
COLUMNS, LINES = (30, 90), range(12, 118, 12)
AGE_S = 1.0
READY_S = 300.0
COUNTS = ["strokes", "old_strokes", "lost", "unreadable", "half_exports", "whole_exports", "torn_ends", "leftovers"]
NAMES = ["date", "commit", "mode", "trial", "killed", "alive_s", "ready_s", "switches", "jobs", *COUNTS, "told"]
Lines = dict[tuple[str, int], set[int]]
"""For each line of an image, which class it may show."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="in all, those of the table included")
    parser.add_argument("--mode", choices=("window", "headless"), default="window" if "DISPLAY" in os.environ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="the longest life after the first stroke")
    parser.add_argument("--work", type=Path, default=WORK, help="the project lies here and is used again")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    mode = arguments.mode or "headless"
    prepare(arguments.work)
    project = made(arguments.work / "project")
    for trial in range(len(rows(arguments.table, mode)), arguments.trials):
        row = {"mode": mode, "trial": trial} | one(project, arguments.work, mode, trial, arguments.seconds)
        append(arguments.table, describe() | row)
        print(" ".join(f"{name}={row[name]}" for name in ("trial", "killed", "alive_s", *COUNTS)), row["told"])
    stop_all(arguments.work)
    summary(rows(arguments.table, mode), mode)


def prepare(work: Path) -> None:
    """Give the driver and the engine folders of their own."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HISTOBRIDGE_RUNTIME_DIR"):
        folder = work.absolute() / name.lower()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.environ[name] = str(folder)


def made(path: Path) -> Project:
    """A sample with a proposing model, so that fine-tunings have something to start from."""
    if path.exists() and len(Project.open(path).classes) > 2:
        return Project.open(path)
    assert not path.exists(), f"{path} was not finished; remove it"
    project = make_sample_project(path, fields=FIELDS, size=SIZE)
    brief = SegmenterTraining(preset="tiny", steps=20, batch_size=2, crop_px=64, device="cpu")
    for verb, config in (
        ("train-segmenter", TrainSegmenterConfig(training=brief)),
        ("match", MatchConfig()),
        ("propose", ProposeConfig(route="tutorship", training=brief)),
    ):
        perform(project.create_run(verb, config))
    with project.editing("kill test"):
        marks = (ClassSpec(name=f"mark {value}", value=value, color="#E69F00", domains=("target",)) for value in (7, 8))
        project.set_classes([*project.classes, *marks])
    return project


# -- one trial ---------------------------------------------------------------------------------------------------------


def one(project: Project, work: Path, mode: str, trial: int, seconds: float) -> dict[str, object]:
    """Start the driver, kill it, and count."""
    random = np.random.default_rng(1000 + trial)
    report = work / "report.jsonl"
    report.unlink(missing_ok=True)
    before = shown(project)
    command = [sys.executable, Path(__file__).with_name("kill_driver.py"), mode, project.path, report, str(trial)]
    begun = time.monotonic()
    with (work / "errors.txt").open("w") as errors:
        driver = subprocess.Popen([str(part) for part in command], stdout=errors, stderr=errors)
    while not (report.exists() and any(told["event"] == "stroke" for told in read(report))):
        if driver.poll() is not None or time.monotonic() - begun > READY_S:
            driver.kill()
            raise SystemExit(f"the driver did not get ready: {(work / 'errors.txt').read_text()[-2000:]}")
        time.sleep(0.02)
    ready = time.monotonic() - begun
    alive = float(random.uniform(0.05, seconds))
    time.sleep(alive)
    assert driver.poll() is None, (work / "errors.txt").read_text()[-2000:]
    engine = trial % 3 == 2 and mode == "window"
    killed = time.time()
    driver.kill()
    if engine:
        stop_all(work)
    driver.wait()
    told = read(report)
    counts: dict[str, object] = dict.fromkeys(COUNTS, 0) | strokes(project, before, told, killed)
    counts |= left(project)
    events = [each["event"] for each in told]
    return counts | {
        "killed": "window and engine" if engine else mode,
        "alive_s": round(alive, 2),
        "ready_s": round(ready, 1),
        "switches": events.count("switch"),
        "jobs": events.count("export") + events.count("finetune"),
        "told": "; ".join(each["text"] for each in told if each["event"] == "trouble")[:200],
    }


def read(report: Path) -> list[dict]:
    """Whole lines of the report."""
    return [json.loads(line) for line in report.read_text().splitlines(keepends=True) if line.endswith("\n")]


def shown(project: Project) -> Lines:
    """Class in which every line of every image was painted; a line of several classes shows -1."""
    found: Lines = {}
    for record in project.images("target"):
        classes, state = project.labels(record.id).read(tuple(slice(0, side) for side in record.shape))
        for row in LINES:
            values = np.unique(np.where(state == CORRECTED, classes, 0)[row, COLUMNS[0] : COLUMNS[1]])
            found[record.id, row] = {int(values[0]) if len(values) == 1 else -1}
    return found


def strokes(project: Project, before: Lines, told: list[dict], killed: float) -> dict[str, object]:
    """Count finished strokes, and lines that show neither the newest old one nor a younger one."""
    allowed = {line: set(values) for line, values in before.items()}
    old = finished = 0
    for each in told:
        line = (each.get("image"), each.get("row"))
        if each["event"] == "begin":
            allowed[line] |= {each["value"], -1}
        if each["event"] == "stroke":
            finished += 1
            if each["time"] < killed - AGE_S:
                old += 1
                allowed[line] = {each["value"]}
    try:
        lost = sum(not values <= allowed[line] for line, values in shown(Project.open(project.path)).items())
    except (HistoBridgeError, OSError, ValueError):
        lost = len(allowed)
    return {"strokes": finished, "old_strokes": old, "lost": lost}


# -- what is left ------------------------------------------------------------------------------------------------------


def left(project: Project) -> dict[str, object]:
    """Open everything there is, as the next start would."""
    counts = dict.fromkeys(("unreadable", "half_exports", "whole_exports", "torn_ends", "leftovers"), 0)
    try:
        project = Project.open(project.path)
        for run in project.runs():
            run.state()
        with project.editing("kill test"):
            for record in project.images("target"):
                store = project.labels(record.id)
                counts["torn_ends"] += bool(store.journal.torn)
                damage = [problem for problem in store.problems() if "unfinished edit" not in problem]
                counts["unreadable"] += len(damage)
                print("".join(f"damaged: {problem}\n" for problem in damage), end="")
                edit = TileEdit(store, project.tiles(record)[0])
                if edit.undo() is not None:
                    edit.redo()
                store.close()
    except (HistoBridgeError, OSError, ValueError) as error:
        print("unreadable:", error)
        counts["unreadable"] += 1
    out = project.path / "kill-export"
    if out.exists():
        counts["leftovers"] = len(recover(out))
        for final in [path for path in out.iterdir() if ".tmp-" not in path.name and ".old-" not in path.name]:
            counts["whole_exports" if whole(final) else "half_exports"] += 1
    return counts


def whole(final: Path) -> bool:
    """Whether an export holds what its own checksums say; PNG and JSON files, whether they can be read to the end."""
    try:
        if final.suffix == ".json":
            return bool(read_json(final))
        if final.suffix == ".png":
            from PIL import Image

            with Image.open(final) as image:
                return np.asarray(image).shape == (SIZE, SIZE)
        described = read_json(final / "zarr.json")["attributes"]["histobridge"]["sha256"]
        if "_confidence" in final.name:
            return all(np.asarray(level[:]).size for level in Pyramid.open(final).levels)
        found = {
            "image": sha256_of_pixels(Pyramid.open(final).levels[0]),
            "classes": sha256_of_pixels(Pyramid.open(final / "labels" / "classes").levels[0]),
        }
        return all(described[name] == value for name, value in found.items())
    except (HistoBridgeError, OSError, ValueError, KeyError) as error:
        print("half:", final.name, error)
        return False


def stop_all(work: Path) -> None:
    """Kill the engine of this test and all its workers."""
    engine = find_engine(runtime_folder())
    if engine is None:
        return
    process = psutil.Process(engine.pid)
    for each in (*process.children(recursive=True), process):
        each.kill()


# -- the table ---------------------------------------------------------------------------------------------------------


def describe() -> dict[str, object]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit.stdout.strip()}


def rows(table: Path, mode: str) -> list[dict[str, str]]:
    """Finished trials of one mode."""
    if not table.exists():
        return []
    with table.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["mode"] == mode]


def append(table: Path, row: dict[str, object]) -> None:
    table.parent.mkdir(exist_ok=True)
    fresh = not table.exists()
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, NAMES)
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def summary(done: list[dict[str, str]], mode: str) -> None:
    sums = {name: sum(int(row[name]) for row in done) for name in COUNTS}
    print(f"{len(done)} trials ({mode}): " + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sums.items()))


if __name__ == "__main__":
    main()
