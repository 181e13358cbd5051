"""How fluid the window stays: brush, tile switch, event loop, opening of dock and images; idle and while jobs run.

    python benchmarks/ui.py --seconds 20

Needs a display (``xvfb-run -a -s "-screen 0 1600x1000x24" …`` makes one; without a GPU redraws are then software GL).
A dab is a mouse move of 12 px with a brush of 10 px; every 20th ends a stroke and carries the commit to the journal. A
tile switch begins with a stroke that is not yet saved, half a second after the last one, so that broken rules are
ringed; it ends when image, labels and proposal are drawn, and is complete when outline and neighbours, which come after
that, are. The event loop is a 10 ms timer; its delay is measured with nobody painting and, apart, with a dab every
50 ms, redraw included. Before the project is opened, the dock is left alone for two seconds, as a hand needs to choose
one. All of it on images of 32k, 8k and 1k (1369 tiles, 81 and one), and in the same run idle, with a training and with
an export of the 32k image in the engine's worker processes. The first image that is opened also pays for the
Review page. Memory is read over tile switches of that image, idle. Rows are appended to
`benchmarks/results/ui.csv`; the load average tells whether the machine was otherwise busy.

    python benchmarks/ui.py --seconds 2 --sizes 32k --engines idle --switches 20
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from fluency import Painter, brush, growth, loop_delays, open_image, switches
from large import add_large, propose_large, target_field
from tables import append, stamp

TABLE = Path(__file__).parent / "results" / "ui.csv"
SIDES = {"32k": 32768, "8k": 8192, "1k": 1024}
ENGINES = ("idle", "training", "exporting")
SWITCHES, FIRST_SWITCHES = 500, 50
WELCOME_MS, REST_MS = 2000, 500
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
    "open_ms",
    "switch_p50_ms",
    "switch_p95_ms",
    "switch_drawn_p50_ms",
    "switch_drawn_p95_ms",
    "growth_mb",
    "switch_complete_p50_ms",
    "switch_complete_p95_ms",
]
COLUMNS = ["date", "commit", "machine", "load_average", "dock_ms", "seconds", "image", "engine", *FIGURES]
TARGETS = {
    "dock_ms": 300,
    "dab_p95_ms": 16,
    "loop_p99_ms": 33,
    "open_ms": 2000,
    "switch_drawn_p95_ms": 150,
    "growth_mb": 50,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of every measurement")
    parser.add_argument("--sizes", nargs="*", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--switches", type=int, default=SWITCHES, help="over which memory is read; 0: not at all")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HISTOBRIDGE_RUNTIME_DIR"):
            folder = Path(scratch) / name.lower()
            folder.mkdir(mode=0o700)
            os.environ[name] = str(folder)
        rows = measure(Path(scratch) / "project", arguments)
    append(arguments.table, COLUMNS, rows)
    report(rows)


# -- the window --------------------------------------------------------------------------------------------------------


def make_project(path: Path):
    """Labelled source fields to train on, and one proposed target image of every size."""
    from histobridge.core.sample import make_sample_project

    project = make_sample_project(path, fields=2, size=512)
    field = target_field(512)
    with project.editing("benchmark"):
        for name, side in SIDES.items():
            add_large(project, name, field, side)
        propose_large(project, SIDES, field)
    return project


def measure(path: Path, arguments: argparse.Namespace) -> list[dict]:
    """Open napari and the dock, measure idle and while jobs run."""
    import napari
    from qtpy.QtTest import QTest

    project = make_project(path)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    QTest.qWait(1000)
    begun = time.perf_counter()
    window = viewer.window.add_plugin_dock_widget("napari-histobridge", "HistoBridge")[1]
    while not window.welcome.isVisible():
        QTest.qWait(1)
    common = stamp() | {"dock_ms": round(1000 * (time.perf_counter() - begun)), "seconds": arguments.seconds}
    QTest.qWait(WELCOME_MS)
    window.open_project(project.path)
    rows = []
    for engine in arguments.engines:
        run = START[engine](window)
        for name in arguments.sizes:
            opened = open_image(viewer, window, name)
            QTest.qWait(2000)
            figures = {"open_ms": opened} | figures_of(viewer, window, arguments.seconds)
            if arguments.switches and engine == "idle" and name == arguments.sizes[0]:
                figures["growth_mb"] = growth(viewer, window, FIRST_SWITCHES, arguments.switches)
            assert run is None or run.state().status == "running", run.state().message
            load = {"load_average": round(os.getloadavg()[0], 1), "image": name, "engine": engine}
            rows.append(common | load | {key: round(float(value), 1) for key, value in figures.items()})
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
    from histobridge.core.config import SegmenterTraining, TrainSegmenterConfig

    config = TrainSegmenterConfig(training=SegmenterTraining(preset="cpu", steps=100_000))
    run = window.session.submit("train-segmenter", config)
    return wait_for(run, lambda: "loss" in run.state().metrics)


def start_export(window):
    """Start the export of the largest image, which takes minutes, and wait until it is at it."""
    from histobridge.core.config import ExportConfig

    out = window.session.project.path.with_name("exported")
    run = window.session.submit("export", ExportConfig(out=out, images=("32k",)))
    return wait_for(run, lambda: run.state().step > 0)


START = {"idle": lambda _: None, "training": start_training, "exporting": start_export}


def wait_for(run, begun):
    from qtpy.QtTest import QTest

    while not begun():
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
    end = time.monotonic() + seconds
    switched = switches(viewer, window, lambda _: time.monotonic() > end, REST_MS)
    values = (
        *np.percentile(dabs, (50, 95)),
        *np.percentile(commits, (50, 95)),
        *np.percentile(redraws, (50, 95)),
        *np.percentile(quiet, (50, 95, 99, 100)),
        *np.percentile(painting, (50, 99, 100)),
    )
    figures = dict(zip(FIGURES, values, strict=False))
    if switched:
        for index, name in enumerate(("switch", "switch_drawn", "switch_complete")):
            p50, p95 = np.percentile([each[index] for each in switched], (50, 95))
            figures |= {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95}
    return figures


# -- the table ---------------------------------------------------------------------------------------------------------


def report(rows: list[dict]) -> None:
    """Print one column a measurement, and what misses its target."""
    print(f"{'':20}" + "".join(f"{row['image'] + ' ' + row['engine']:>15}" for row in rows) + "   target")
    for name in ("load_average", "dock_ms", *FIGURES):
        target = f"   < {TARGETS[name]}" if name in TARGETS else ""
        print(f"{name:20}" + "".join(f"{row.get(name, '-'):>15}" for row in rows) + target)
    missed = [
        f"{row['image']} {row['engine']} {name}"
        for row in rows
        for name, target in TARGETS.items()
        if row.get(name, 0) >= target
    ]
    print("all targets met" if not missed else f"over target: {', '.join(missed)}")


if __name__ == "__main__":
    main()
