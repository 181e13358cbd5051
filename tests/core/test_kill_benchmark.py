"""The kill test notices what it is meant to notice; one real kill of the short kind."""

import sys
from pathlib import Path

import pytest

from histobridge.core.config import ExportConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.perform import perform
from histobridge.core.sample import make_sample_project

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import kill_test

KILLED = 1000.0


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One line painted in class 7, and exported."""
    made = make_sample_project(tmp_path_factory.mktemp("kill") / "project", fields=1, size=kill_test.SIZE)
    with made.editing():
        record = made.images("target")[0]
        store = made.labels(record.id)
        edit = TileEdit(store, made.tiles(record)[0])
        painted = edit.classes
        painted[12, 20:100] = 7
        edit.commit(painted)
        store.close()
    perform(made.create_run("export", ExportConfig(out=Path("kill-export"))))
    return made


def counted(project, *told):
    image = project.images("target")[0].id
    before = {(image, row): {0} for row in kill_test.LINES}
    lines = [{"event": event, "image": image, "row": 12, "value": value, "time": time} for event, value, time in told]
    return kill_test.strokes(project, before, lines, KILLED)


def test_only_a_finished_stroke_older_than_a_second_can_be_lost(project):
    there = (("begin", 7, 990.0), ("stroke", 7, 990.1))
    assert counted(project, *there) == {"strokes": 1, "old_strokes": 1, "lost": 0}
    assert counted(project, *there, ("begin", 8, 999.8), ("stroke", 8, 999.9))["lost"] == 0
    assert counted(project, *there, ("begin", 8, 991.0), ("stroke", 8, 991.1))["lost"] == 1
    assert counted(project)["lost"] == 1, "a line that nobody painted"


def test_a_half_written_export_is_noticed(project):
    (final,) = (project.path / "kill-export").iterdir()
    assert kill_test.whole(final)
    assert kill_test.left(project) == dict.fromkeys(kill_test.COUNTS[3:], 0) | {"whole_exports": 1}
    (final / "labels" / "classes" / "0" / "c" / "0" / "0").unlink()
    assert not kill_test.whole(final)
    assert kill_test.left(project)["half_exports"] == 1


@pytest.mark.slow
def test_a_driver_without_a_window_is_killed_and_nothing_is_lost(tmp_path):
    project = make_sample_project(tmp_path / "project", fields=2, size=kill_test.SIZE)
    for trial in range(3):
        found = kill_test.one(project, tmp_path, "headless", trial, 3.0)
        assert found["strokes"] > 0
        assert (found["lost"], found["unreadable"], found["half_exports"]) == (0, 0, 0)
