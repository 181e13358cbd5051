"""How fluid the window stays while a training runs: brush, event loop, opening of the dock.

    python benchmarks/ui.py --seconds 20

Needs a display (``xvfb-run -a -s "-screen 0 1600x1000x24" …`` makes one; without a GPU redraws are then software GL).
A dab is a mouse move of 12 px with a brush of 10 px; every 20th ends a stroke and carries the commit to the journal.
The event loop is a 10 ms timer; its delay is measured with nobody painting and, apart, with a dab every 50 ms, redraw
included. All of it twice in the same run: idle, and with a training in the engine's worker process. Rows are appended
to `benchmarks/results/ui.csv`; the load average tells whether the machine was otherwise busy.
"""

import argparse
import csv
import os
import platform
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

TABLE = Path(__file__).parent / "results" / "ui.csv"
SIDES = {"1k": 1024, "8k": 8192}
MOVE_PX, BRUSH_PX, DABS_A_STROKE = 12, 10, 20
TICK_MS, PAINT_MS = 10, 50
FIGURES = [
    "dab_p50_ms",
    "dab_p95_ms",
    "commit_p50_ms",
    "commit_p95_ms",
    "redraw_p50_ms",
    "redraw_p95_ms",
    "loop_p50_ms",
    "loop_p95_ms",
    "loop_p99_ms",
    "loop_max_ms",
    "painting_p50_ms",
    "painting_p99_ms",
    "painting_max_ms",
]
COLUMNS = ["date", "commit", "machine", "load_average", "dock_ms", "seconds", "image", "engine", *FIGURES]
TARGETS = {"dab_p95_ms": 16, "loop_p99_ms": 33, "dock_ms": 300}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of every measurement")
    parser.add_argument("--sizes", nargs="*", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HISTOBRIDGE_RUNTIME_DIR"):
            folder = Path(scratch) / name.lower()
            folder.mkdir(mode=0o700)
            os.environ[name] = str(folder)
        rows = measure(Path(scratch) / "project", arguments.sizes, arguments.seconds)
    append(arguments.table, rows)
    report(rows)


# -- the window --------------------------------------------------------------------------------------------------------


def make_project(path: Path, sizes: list[str]):
    """Labelled source fields to train on, and one target image of every size."""
    from histobridge.core.config import AddImagesConfig
    from histobridge.core.images.stage import image_record, stage_array
    from histobridge.core.sample import make_sample_project

    project = make_sample_project(path, fields=2, size=512)
    known = project.images("target")[0]
    texture = project.pixels(known.id).read((slice(None), slice(None)))
    with project.editing("benchmark"):
        for name in sizes:
            run = project.create_run("add", AddImagesConfig())
            record = image_record(name, "target", subject="rat9", pixel_size_um=0.1, pixel_size_from="user")
            stage_array(run, record, np.tile(texture, (SIDES[name] // 512,) * 2))
            project.adopt(run)
            run.end(run.state(), "finished", "done")
    return project


def measure(path: Path, sizes: list[str], seconds: float) -> list[dict]:
    """Open napari and the dock, measure idle and while training."""
    import napari
    from qtpy.QtTest import QTest

    project = make_project(path, sizes)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    QTest.qWait(1000)
    begun = time.perf_counter()
    window = viewer.window.add_plugin_dock_widget("napari-histobridge", "HistoBridge")[1]
    while not window.welcome.isVisible():
        QTest.qWait(1)
    common = describe() | {"dock_ms": round(1000 * (time.perf_counter() - begun)), "seconds": seconds}
    window.open_project(project.path)
    rows = []
    for engine in ("idle", "training"):
        run = start_training(window) if engine == "training" else None
        for name in sizes:
            window.go("review", domain="target", image=name, tile="")
            QTest.qWait(2000)
            figures = figures_of(viewer, window, seconds)
            assert run is None or run.state().status == "running", run.state().message
            load = {"load_average": round(os.getloadavg()[0], 1)}
            rows.append(common | load | {"image": name, "engine": engine} | figures)
        if run is not None:
            window.session.cancel(run)
            while not run.state().ended:
                QTest.qWait(100)
    viewer.close()
    QTest.qWait(1000)  # the dock puts its project away when Qt has deleted it
    stop()
    return rows


def start_training(window):
    """Start a training that outlasts the measurements and wait until it is at it."""
    from qtpy.QtTest import QTest

    from histobridge.core.config import SegmenterTraining, TrainSegmenterConfig

    config = TrainSegmenterConfig(training=SegmenterTraining(preset="cpu", steps=100_000))
    run = window.session.submit("train-segmenter", config)
    while "loss" not in run.state().metrics:
        assert not run.state().ended, run.state().message
        QTest.qWait(100)
    QTest.qWait(3000)
    return run


def stop() -> None:
    from histobridge.engine.cluster import runtime_folder, stop_engine

    stop_engine(runtime_folder())


# -- the measurements --------------------------------------------------------------------------------------------------


def figures_of(viewer, window, seconds: float) -> dict[str, float]:
    dabs, commits, redraws = brush(viewer, window, seconds)
    quiet = loop_delays(seconds)
    painter = Painter(viewer.layers["labels"])
    painting = loop_delays(seconds, painter.dab)
    values = (
        *np.percentile(dabs, (50, 95)),
        *np.percentile(commits, (50, 95)),
        *np.percentile(redraws, (50, 95)),
        *np.percentile(quiet, (50, 95, 99, 100)),
        *np.percentile(painting, (50, 99, 100)),
    )
    return {name: round(float(value), 1) for name, value in zip(FIGURES, values, strict=True)}


class Painter:
    """Moves the brush over a tile as the mouse does, one dab at a time."""

    def __init__(self, layer):
        self._layer, self._count = layer, 0
        layer.brush_size = BRUSH_PX
        layer.mode = "paint"
        self._place = np.array([200.0, 100.0])

    def dab(self) -> bool:
        """Paint one move; returns whether the stroke ends with it."""
        step = self._place + np.array([0, MOVE_PX])
        if step[1] > 900:
            step = np.array([200 + (self._place[0] - 200 + 17) % 600, 100.0])
            self._place = step
        last = self._count % DABS_A_STROKE == DABS_A_STROKE - 1
        with self._layer.block_history():
            self._layer._draw(1 + self._count // DABS_A_STROKE % 2, self._place, step)
        self._place, self._count = step, self._count + 1
        return last


def brush(viewer, window, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of dabs (the last of a stroke with its commit), of commits alone, of the redraw after each."""
    from qtpy.QtTest import QTest

    painter, desk = Painter(viewer.layers["labels"]), window.page("review").desk
    canvas = viewer.window._qt_viewer.canvas.native
    dabs, commits, redraws = [], [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        if painter.dab():
            drawn = time.perf_counter()
            desk.commit()
            commits.append(1000 * (time.perf_counter() - drawn))
        painted = time.perf_counter()
        canvas.repaint()
        dabs.append(1000 * (painted - begun))
        redraws.append(1000 * (time.perf_counter() - painted))
        QTest.qWait(TICK_MS)
    return dabs, commits, redraws


def loop_delays(seconds: float, meanwhile=None) -> list[float]:
    """By how many milliseconds a 10 ms timer comes late."""
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtTest import QTest

    ticks: list[float] = []
    timer, other = QTimer(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(TICK_MS)
    if meanwhile is not None:
        other.timeout.connect(meanwhile)
        other.start(PAINT_MS)
    QTest.qWait(int(1000 * seconds))
    timer.stop()
    other.stop()
    return list(np.maximum(1000 * np.diff(ticks) - TICK_MS, 0))


# -- the table ---------------------------------------------------------------------------------------------------------


def describe() -> dict[str, object]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    machine = f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit.stdout.strip(), "machine": machine}


def append(table: Path, rows: list[dict]) -> None:
    table.parent.mkdir(exist_ok=True)
    fresh = not table.exists()
    with table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def report(rows: list[dict]) -> None:
    """Print one column a measurement, and what misses its target."""
    print(f"{'':18}" + "".join(f"{row['image'] + ' ' + row['engine']:>14}" for row in rows))
    for name in ("load_average", "dock_ms", *FIGURES):
        target = f"  < {TARGETS[name]}" if name in TARGETS else ""
        print(f"{name:18}" + "".join(f"{row[name]:>14}" for row in rows) + target)
    missed = [
        f"{row['image']} {row['engine']} {name}" for row in rows for name in TARGETS if row[name] >= TARGETS[name]
    ]
    print("all targets met" if not missed else f"over target: {', '.join(missed)}")


if __name__ == "__main__":
    main()
