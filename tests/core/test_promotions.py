"""The history of models in use loses no line, whoever wrote it."""

import pytest

from histobridge.core.project import Project
from histobridge.core.promotions import FILE, Promotion, note_promotion, read_promotions


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "nerve")


def change(time, run):
    return Promotion(time=time, run=run, previous="", by="hand")


@pytest.mark.parametrize("ending", ["", "\n"])
def test_lines_that_cannot_be_read_stay_as_they_are(project, ending):
    """They were dropped with the next change."""
    note_promotion(project, change(1, "a"))
    strange = '{"time": 2, "run": "b", "previous": "a", "by": "committee"}\n{"time": 3, "ru'
    with (project.path / FILE).open("a") as stream:
        stream.write(strange + ending)
    note_promotion(project, change(4, "c"))
    assert strange + "\n" in (project.path / FILE).read_text()
    assert [entry.run for entry in read_promotions(project)] == ["a", "c"]


def test_a_line_of_a_newer_version_with_a_field_more_is_read(project):
    (project.path / FILE).write_text('{"time": 2, "run": "b", "previous": "a", "by": "gate", "score": 0.8}\n')
    assert [entry.run for entry in read_promotions(project)] == ["b"]
