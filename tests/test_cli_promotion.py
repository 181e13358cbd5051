"""Fine-tuning from the command line: the verdict applied, models chosen by hand, the way back."""

import json

import pytest

from histobridge.cli import main
from histobridge.core.config import FineTuneConfig
from histobridge.core.files import write_json
from histobridge.core.gate import Gate, Score, TileScore
from histobridge.core.job import Progress
from histobridge.core.jobs import JOBS, JobKind
from histobridge.core.project import Project


def judged(project, run, config):
    """Learn nothing; the seed of the config says what the verdict is."""
    yield Progress(1, 1)
    verdict = "keep-aside" if config.seed else "promote"
    gate = Gate(
        verdict=verdict,
        reason="because",
        score=Score(before=0.7, after=0.812),
        tiles=(TileScore(image="a", tile="r000c000", before=0.7, after=0.812),),
        in_use=project.manifest.active.get("target_segmenter", ""),
    )
    write_json(run.path / "gate.json", gate.model_dump(mode="json"))
    return {"verdict": verdict, "reason": gate.reason}


@pytest.fixture
def project(tmp_path, monkeypatch):
    kind = JobKind(FineTuneConfig, "test_cli_promotion:judged", "quick", "Fine-tuning")
    monkeypatch.setitem(JOBS, "finetune", kind)
    return Project.create(tmp_path / "project")


@pytest.fixture
def call(capsys, project):
    """Run a verb on the project with `--json` and return exit code and object."""

    def call(verb, *words):
        code = main([verb, str(project.path), *map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def in_use(project):
    return Project.open(project.path).manifest.active.get("target_segmenter")


def test_a_model_that_passes_is_in_use_at_the_end(project, call):
    code, said = call("finetune")
    assert (code, said["promoted"]) == (0, True)
    assert said["result"]["reason"] == "because"
    assert in_use(project) == said["run"]


def test_a_model_kept_aside_can_be_promoted_by_hand(project, call, capsys):
    _, said = call("finetune", "--seed", 1)
    assert (said["promoted"], in_use(project)) == (False, None)
    assert call("promote", said["run"])[1]["run"] == said["run"] == in_use(project)
    main(["finetune", str(project.path), "--seed", "1"])
    assert f"to use it all the same: histobridge promote {project.path}" in capsys.readouterr().out


def test_nothing_is_promoted_when_told_so(project, call):
    _, said = call("finetune", "--no-promote")
    assert "promoted" not in said
    assert in_use(project) is None


def test_the_model_is_made_also_while_somebody_else_edits(project, call, capsys):
    other = Project.open(project.path)
    with other.editing("somebody else"):
        code = main(["finetune", str(project.path)])
    assert code == 0
    assert "not put into use: " in (said := capsys.readouterr().out)
    assert "histobridge promote" in said
    assert in_use(project) is None


def test_rollback_goes_back_and_says_so_when_there_is_nothing(project, call):
    first, second = (call("finetune")[1]["run"] for _ in range(2))
    assert in_use(project) == second
    assert call("rollback")[1]["run"] == first == in_use(project)
    assert call("rollback")[1]["run"] is None
    code, said = call("rollback")
    assert (code, "no fine-tuned model is in use" in said["error"]) == (2, True)


def test_status_shows_the_score_of_every_model(project, call, capsys):
    first = call("finetune")[1]["run"]
    second = call("finetune", "--seed", 1)[1]["run"]
    models = call("status")[1]["models"]
    assert [(row["model"], row["score"], row["verdict"], row["in use"]) for row in models] == [
        (first, 0.812, "promote", True),
        (second, 0.812, "keep-aside", False),
    ]
    (project.path / "runs" / second / "gate.json").write_text("{")
    main(["status", str(project.path)])
    assert "0.812" in capsys.readouterr().out
