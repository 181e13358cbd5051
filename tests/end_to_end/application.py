"""napari with the dock as a process of its own: starts a training, then paints stroke after stroke until it is killed.

Called with the path of a project; prints one line of JSON a stroke.
"""

import json
import sys
import time
from pathlib import Path

import napari
from hands import click, open_dock, press, stroke
from qtpy.QtCore import Qt, QTimer

COLUMNS = (10, 118)
PAUSE_MS = 150


def main() -> None:
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    window = open_dock(viewer)
    window.open_project(Path(sys.argv[1]))
    QTimer.singleShot(500, lambda: begin(viewer, window))
    napari.run()


def begin(viewer, window) -> None:
    """Start the training by its button, go to Review."""
    click(window.step_bar.buttons["match"])
    page = window.page("match")
    page.training.nested["training"].set(preset="tiny", steps=220, crop_px=128, batch_size=4)
    click(page.start_button)
    click(window.step_bar.buttons["review"])
    wait_for_training(viewer, window)


def wait_for_training(viewer, window) -> None:
    if "loss" in window.session.newest("train-segmenter").state.metrics:
        press(viewer, Qt.Key.Key_2)
        paint(viewer, iter(range(8, 120, 4)))
    else:
        QTimer.singleShot(PAUSE_MS, lambda: wait_for_training(viewer, window))


def paint(viewer, rows) -> None:
    """One stroke, then soon the next."""
    row = next(rows, None)
    if row is not None:
        stroke(viewer, viewer.layers["labels"], row, COLUMNS)
        sys.stdout.write(json.dumps({"row": row, "time": time.time()}) + "\n")
        sys.stdout.flush()
        QTimer.singleShot(PAUSE_MS, lambda: paint(viewer, rows))


if __name__ == "__main__":
    main()
