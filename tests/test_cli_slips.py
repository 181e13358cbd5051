"""Slips of those who type: each is told in one sentence, and leaves nothing half-made."""

import json
import sys

import pytest

from histobridge.cli import main
from histobridge.core.config import MatchConfig, TrainTranslatorConfig
from histobridge.core.jobs import parse_config
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.translate.presets import PRESETS


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "nerve")


def told(capsys, code, *words):
    """Run a command that must end with a code, and return what it says in the end."""
    assert main([str(word) for word in words]) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def config_of_last(project):
    return project.runs()[-1].config


def test_a_method_without_a_preset_has_its_own_settings(project, capsys):
    main(["train-translator", str(project.path), "--method", "fastcut", "--steps", "7"])
    asked = config_of_last(project)
    assert asked["contrast"] == PRESETS["fastcut"]["cpu"].model_dump(mode="json")["contrast"]
    assert asked["steps"] == 7
    assert "under 10 s on a GPU" in capsys.readouterr().err


def test_a_config_that_is_given_whole_stays_as_it_is(project, tmp_path):
    whole = TrainTranslatorConfig(method="cut", steps=3, crop_px=48)
    (tmp_path / "run.json").write_text(whole.model_dump_json())
    main(["train-translator", str(project.path), "--config", str(tmp_path / "run.json")])
    assert TrainTranslatorConfig.model_validate(config_of_last(project)) == whole


@pytest.mark.parametrize("words", [["entropy"], ['{"kind": "entropy", "weight": 0.5}']])
def test_terms_are_given_by_their_kind_or_as_json(project, words):
    main(["finetune", str(project.path), "--terms", *words])
    (term,) = (
        config_of_last(project)["training"]["terms"]
        if "training" in config_of_last(project)
        else (config_of_last(project)["terms"])
    )
    assert term["kind"] == "entropy"
    assert term["weight"] == (0.5 if "{" in words[0] else term["weight"])


def test_terms_that_are_no_json_are_told(project, capsys):
    assert "is not JSON" in told(capsys, 2, "finetune", project.path, "--terms", "{kind: entropy")


def test_a_config_of_the_wrong_shape_is_told(project, tmp_path, capsys):
    (tmp_path / "bad.json").write_text('{"training": 3}')
    said = told(capsys, 2, "train-segmenter", project.path, "--config", tmp_path / "bad.json", "--steps", "2")
    assert "training holds 3, expected an object" in said


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [("match", "scale_factor", "inf"), ("train-segmenter", "training.learning_rate", "inf")],
)
def test_infinite_numbers_are_refused(project, capsys, verb, field, value):
    option = "--" + field.replace("_", "-")
    assert f"{field} is not a finite number" in told(capsys, 2, verb, project.path, option, value)


@pytest.mark.parametrize(
    ("field", "value"), [("training.seed", 2**64), ("training.seed", -1), ("object_diameter_px", 1e-6)]
)
def test_seeds_and_sizes_that_no_network_takes_are_refused(project, capsys, field, value):
    assert field in told(capsys, 2, "train-segmenter", project.path, "--" + field.replace("_", "-"), value)
    assert not project.runs()


def test_a_pixel_size_is_finite(loaded, capsys):
    assert "pixel_size_um" in told(capsys, 2, "set", loaded.path, loaded.images()[0].id, "--pixel-size-um", "inf")
    json.loads((loaded.path / "project.json").read_text(), parse_constant=pytest.fail)


@pytest.fixture
def loaded(tmp_path):
    from histobridge.core.sample import make_sample_project

    return make_sample_project(tmp_path / "loaded", fields=1, size=64)


def test_status_names_the_images(loaded, capsys):
    assert main(["status", str(loaded.path)]) == 0
    assert f"images: {', '.join(record.id for record in loaded.images())}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        ([{"name": "a", "value": 1, "color": "#ffffff", "inside": "b"}], "not another class"),
        ([{"name": "a", "value": 1, "color": "#ffffff"}] * 2, "used twice"),
        ([], "holds none"),
    ],
)
def test_classes_that_do_not_go_together_make_no_project(tmp_path, capsys, classes, found):
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    assert found in told(capsys, 2, "new", tmp_path / "made", "--classes", tmp_path / "classes.json")
    assert not (tmp_path / "made").exists()


def test_a_project_that_could_not_be_written_can_be_made_once_there_is_room(tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("histobridge.core.project.write_json", full)
        assert "full" in told(capsys, 2, "new", tmp_path / "made")
    assert main(["new", str(tmp_path / "made")]) == 0


def test_a_run_of_another_kind_is_told(project, capsys):
    run = project.create_run("match", MatchConfig())
    run.write_state(RunState(status="finished"))
    said = told(capsys, 2, "rank", project.path, "--proposals", run.id)
    assert "is one of `match`, expected one of `propose`" in said


def test_an_address_without_a_port_is_told_at_once(project, capsys):
    run = project.create_run("match", MatchConfig())
    said = told(capsys, 1, "resume", project.path, run.id, "--scheduler", "node7")
    assert "'node7' is no address of a dask scheduler" in said


def test_the_doctor_says_which_library_of_qt_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "qtpy", None)
    main(["doctor"])
    assert "Qt cannot be loaded" in capsys.readouterr().out


def test_numbers_in_a_list_are_finite_too():
    with pytest.raises(Exception, match="is not a finite number"):
        parse_config("train-translator", {"bridge": {"noise": float("inf")}})


def test_files_that_cannot_be_added_are_told_also_while_somebody_edits(project, tmp_path, capsys):
    (tmp_path / "bad.png").write_text("not an image")
    with Project.open(project.path).editing():
        said = told(capsys, 2, "add", project.path, tmp_path / "bad.png", "--domain", "target")
    assert "ready" not in said
