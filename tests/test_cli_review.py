"""The verbs `effort` and `agreement`."""

import csv
import json

import pytest

from histobridge.cli import main
from histobridge.core.blind import BlindChecks, write_checks
from histobridge.core.effort import Effort, append_effort


@pytest.fixture
def project(small_project):
    return small_project


def test_effort_is_shown_summed_and_written(project, tmp_path, capsys):
    image = project.images("target")[1].id
    with project.editing():
        append_effort(project, [Effort(image=image, tile="r000c000", seconds=61.5, strokes=3)] * 2)
    out = tmp_path / "effort.csv"
    assert main(["effort", str(project.path), "--out", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["total"]["active_seconds"] == 123
    assert values["statuses"] == {"open": 2}
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["strokes"] for row in rows] == ["0", "6"]
    assert main(["effort", str(project.path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2:03 active, 6 strokes"
    assert main(["effort", str(project.path), "--out", str(tmp_path / "none" / "effort.csv")]) == 2
    assert "folder that can be written" in capsys.readouterr().err


def test_agreement_says_when_there_is_nothing_to_compare(project, capsys):
    assert main(["agreement", str(project.path)]) == 0
    assert "blind checks are off" in capsys.readouterr().out
    write_checks(project, BlindChecks(on=True))
    assert main(["agreement", str(project.path), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["on"]
    assert values["tiles"] == []
