"""The window's process dies by SIGKILL while a training runs in the engine."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from application import COLUMNS
from hands import click, stored

from histobridge.core.sample import make_sample_project

STROKES = 6


@pytest.fixture
def application(engine_folder, tmp_path):
    """Start napari with the dock on a project; what it says of its strokes comes line by line."""
    started = []

    def start(project):
        begun = [sys.executable, Path(__file__).with_name("application.py"), project.path]
        with (tmp_path / "errors").open("w") as errors:
            process = subprocess.Popen(begun, stdout=subprocess.PIPE, stderr=errors, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.timeout(420)
def test_the_run_finishes_and_strokes_older_than_a_second_are_there(open_window, application, qtbot, tmp_path):
    project = make_sample_project(tmp_path / "nerve", fields=2, size=128)
    process = application(project)
    strokes = []
    for line in process.stdout:
        strokes.append(json.loads(line))
        if len(strokes) == STROKES:
            break
    killed = time.time()
    process.kill()
    process.wait()
    assert len(strokes) == STROKES, (tmp_path / "errors").read_text()
    (run,) = project.runs("train-segmenter")
    assert run.state().status == "running"

    image = project.images("target")[0].id
    classes, _ = stored(project, image)
    old = [stroke["row"] for stroke in strokes if stroke["time"] < killed - 1]
    assert len(old) >= STROKES // 3
    assert (classes[old, COLUMNS[0] : COLUMNS[1]] == 2).all()

    viewer, window = open_window()
    window.open_project(project.path)
    assert window.session.editable
    np.testing.assert_array_equal(viewer.layers["labels"].data, classes)
    assert not window.jobs.rows()[0].stop.isHidden()
    qtbot.waitUntil(lambda: window.session.newest("train-segmenter").state.ended, timeout=270_000)
    assert window.session.newest("train-segmenter").state.status == "finished"
    click(window.step_bar.buttons["match"])
    assert window.page("match").start_button.text() == "Match"
