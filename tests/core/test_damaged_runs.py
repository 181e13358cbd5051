"""One run whose files are damaged, or of a newer version, spoils no other."""

import json

import pytest

from histobridge.cli import main
from histobridge.core.config import SelfTestConfig, TrainSegmenterConfig
from histobridge.core.project import Project
from histobridge.core.runs import RunState


@pytest.fixture
def project(tmp_path):
    """A project with a damaged run, a finished one, and one of a newer version."""
    made = Project.create(tmp_path / "nerve")
    damaged, good, newer = (made.create_run("train-segmenter", TrainSegmenterConfig()) for _ in range(3))
    (damaged.path / "run.json").write_text('{"verb": "trai')
    good.write_state(RunState(status="finished"))
    state = newer.path / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"schema_version": 9}))
    return made


def test_the_others_are_used_as_ever(project):
    good = project.active("segmenter")
    assert [run.id for run in project.runs()] == [run.id for run in project.runs("train-segmenter")] == [good.id]


def test_they_are_listed_with_the_folder_to_delete(project, capsys):
    (damaged, one), (newer, other) = project.damaged_runs().items()
    assert str(project.path / "runs" / damaged) in one
    assert "delete" in one
    assert "made by a newer HistoBridge" in other
    assert main(["status", str(project.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["damaged"] == {damaged: one, newer: other}
    assert len(told["runs"]) == 1
    main(["status", str(project.path)])
    assert one in capsys.readouterr().out


def test_a_run_without_a_readable_state_is_no_damaged_one(project):
    run = project.create_run("selftest", SelfTestConfig())
    (run.path / "state.json").write_bytes(b"")
    assert run.id in [run.id for run in project.runs()]
