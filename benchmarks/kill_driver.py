"""What `kill_test.py` kills: paints, switches tiles, exports and fine-tunes until it is dead.

    python benchmarks/kill_driver.py window|headless PROJECT REPORT SEED

Every stroke is told in REPORT, one JSON a line, before it begins and when it is finished; each line is synced before
the driver goes on. `window` is napari with the dock and real mouse events; `headless` drives the same store without Qt,
with the export in a thread of the same process, so that it too dies half-way.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "end_to_end"))
COLUMNS = (30, 90)
PAUSE_MS = 40
LINES = range(12, 118, 12)
KEYS = {7: 3, 8: 4}
"""Values of two classes that no model proposes, and the keys that choose them."""
EXPORT = {"out": Path("kill-export"), "formats": ("ome-zarr", "png"), "replace": True}


class Report:
    """Lines for the one who kills, on disk before the next thing is done."""

    def __init__(self, path: Path):
        self._stream = path.open("a")

    def tell(self, event: str, **values: object) -> None:
        self._stream.write(json.dumps({"event": event, "time": time.time(), **values}) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def main() -> None:
    mode, project, report, seed = sys.argv[1:5]
    drive = {"window": in_window, "headless": headless}[mode]
    drive(Path(project), Report(Path(report)), np.random.default_rng(int(seed)))


# -- without Qt --------------------------------------------------------------------------------------------------------


def headless(path: Path, report: Report, random: np.random.Generator) -> None:
    from histobridge.core.corrections import TileEdit
    from histobridge.core.project import Project

    project = Project.open(path)
    project.lock.acquire()
    images = [record.id for record in project.images("target")]
    project.labels(images[0]).read((slice(0, 9), slice(0, 9)))  # imports what reading and writing needs
    threading.Thread(target=export_forever, args=(path, report), daemon=True).start()
    report.tell("ready")
    while True:
        image = str(random.choice(images))
        store = project.labels(image)
        edit = TileEdit(store, project.tiles(project.image(image))[0])
        for _ in range(random.integers(1, 8)):
            row, value = int(random.choice(LINES)), int(random.choice(list(KEYS)))
            report.tell("begin", image=image, row=row, value=value)
            painted = edit.classes
            painted[row - 2 : row + 3, COLUMNS[0] - 2 : COLUMNS[1] + 3] = value
            edit.commit(painted)
            report.tell("stroke", image=image, row=row, value=value)
            time.sleep(PAUSE_MS / 1000)
        project.update_image(image, section=str(random.integers(1000)))
        store.close()  # as the window does when another image is opened
        report.tell("switch")


def export_forever(path: Path, report: Report) -> None:
    from histobridge.core.config import ExportConfig
    from histobridge.core.errors import HistoBridgeError
    from histobridge.core.perform import perform
    from histobridge.core.project import Project

    while True:
        try:
            perform(Project.open(path).create_run("export", ExportConfig(**EXPORT)))
            report.tell("export")
        except HistoBridgeError as error:
            report.tell("trouble", text=str(error))


# -- the window --------------------------------------------------------------------------------------------------------


def in_window(path: Path, report: Report, random: np.random.Generator) -> None:
    import napari
    from hands import open_dock
    from qtpy.QtCore import QTimer

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    window = open_dock(viewer)
    window.open_project(path)
    QTimer.singleShot(300, lambda: Hand(viewer, window, report, random).begin())
    napari.run()


class Hand:
    """Paints line after line with the mouse; between them other tiles, exports and fine-tunings."""

    def __init__(self, viewer, window, report: Report, random: np.random.Generator):
        self._viewer, self._window, self._report, self._random = viewer, window, report, random

    def begin(self) -> None:
        self._window.go("review", domain="target")
        self._submit("finetune")
        self._submit("export")
        self._report.tell("ready", editable=self._window.session.editable)
        self._next()

    def _submit(self, verb: str) -> None:
        from histobridge.core.config import ExportConfig, FineTuneConfig

        brief = {"steps": 40, "batch_size": 2, "crop_px": 64, "device": "cpu", "cross_validate": False}
        config = ExportConfig(**EXPORT) if verb == "export" else FineTuneConfig(**brief)
        if all(item.verb != verb for item in self._window.session.running()):
            self._window.session.submit(verb, config)
            self._report.tell(verb)

    def _next(self) -> None:
        from qtpy.QtCore import QTimer

        what = self._random.random()
        if what < 0.2:
            self._window.page("review").step(int(self._random.choice([-1, 1])))
            self._report.tell("switch")
        elif what < 0.3:
            self._submit("export")
        elif what < 0.35:
            self._submit("finetune")
        else:
            self._stroke()
        QTimer.singleShot(PAUSE_MS, lambda: self._next())  # a lambda keeps this object alive

    def _stroke(self) -> None:
        from hands import press, stroke
        from qtpy.QtCore import Qt

        image = self._window.page("review").desk.place.image
        row, value = int(self._random.choice(LINES)), int(self._random.choice(list(KEYS)))
        press(self._viewer, getattr(Qt.Key, f"Key_{KEYS[value]}"))
        self._report.tell("begin", image=image, row=row, value=value)
        stroke(self._viewer, self._viewer.layers["labels"], row, COLUMNS)
        self._report.tell("stroke", image=image, row=row, value=value)


if __name__ == "__main__":
    main()
