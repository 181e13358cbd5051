"""The command: options from configs, exit codes, JSON, stopping and going on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field, PositiveInt

from histobridge.cli import main
from histobridge.cli.options import absolute_paths
from histobridge.core.base_config import described
from histobridge.core.config import Config
from histobridge.core.errors import InputError
from histobridge.core.files import read_json, write_json
from histobridge.core.job import Progress
from histobridge.core.jobs import JOBS, JobKind
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.translate.import_config import ImportTranslatorConfig


class Inner(Config):
    """Part of a config."""

    depth: PositiveInt = 1
    """How deep."""


class ToyConfig(Config):
    """What the toy job can be told."""

    steps: PositiveInt = 3
    """Steps to count; 100 % of them."""

    trouble: str = ""
    """How to go wrong: `input`, `bug` or `interrupt`."""

    inner: Inner = Inner()
    """A config inside."""

    out: Path = Path("out")
    """Where to."""

    values: dict[int, int] = Field(default_factory=dict)
    """A mapping."""

    names: tuple[str, ...] = ()
    """Some names."""

    loud: bool = False
    """Print to stdout, as a library might."""


def count(project, run, config):
    """Count from where the last attempt stopped."""
    note = run.path / "reached.json"
    first = read_json(note) + 1 if note.exists() else 1
    for step in range(first, config.steps + 1):
        if config.loud:
            print("noise")
        write_json(note, step)
        yield Progress(step, config.steps, "counting", {"loss": 1 / step})
        if step == 2 and config.trouble == "input":
            raise InputError("names: 'x' is no name; give another")
        if step == 2 and config.trouble == "bug":
            raise ZeroDivisionError("nobody thought of that")
        if step == 2 and config.trouble == "interrupt" and first == 1:
            os.kill(os.getpid(), signal.SIGINT)
    return {"counted_from": first, "config": config.model_dump(mode="json")}


def stage(project, run, config):
    """Stage one image; refuse what is called bad."""
    added = []
    for path in config.paths:
        if path.name.startswith("good"):
            record = ImageRecord(id=path.stem, domain=config.domain, subject="rat1", shape=(8, 8), dtype="uint8")
            (run.path / "staged" / path.stem).mkdir(parents=True)
            write_json(run.path / "staged" / path.stem / "record.json", record.model_dump(mode="json"))
            added.append(record.id)
            yield Progress(1, 1)
    bad = [path for path in config.paths if not path.name.startswith("good")]
    problems = [{"file": str(path), "problem": "is not an image", "remedy": "leave it out"} for path in bad]
    return {"added": added, "problems": problems}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A new project, and toy jobs in place of the real ones."""
    monkeypatch.setitem(JOBS, "toy", JobKind(ToyConfig, "test_cli:count", "quick", "Counting"))
    monkeypatch.setitem(JOBS, "add", JobKind(JOBS["add"].config, "test_cli:stage", "quick", "Adding images"))
    return Project.create(tmp_path / "project")


@pytest.fixture
def call(capsys):
    """Run the command with `--json` and return exit code and object."""

    def call(*words):
        code = main([str(word) for word in (*words, "--json")])
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        return code, json.loads(lines[0])

    return call


def test_every_job_has_a_verb_with_all_its_fields(capsys):
    for verb, kind in JOBS.items():
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        text = capsys.readouterr().out
        assert stopped.value.code == 0
        for name, field in kind.config.model_fields.items():
            assert f"--{name.replace('_', '-')}" in text
            if not hasattr(field.annotation, "model_fields"):
                assert described(kind.config)[name].split()[0] in text


def test_options_reach_the_config_and_the_rest_keeps_its_default(project, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--steps", 4, "--depth", 2, "--values", "127=1", "255=2", "--names", "a", "b", "--out", "here")
    code, said = call("toy", project.path, *words)
    assert code == 0
    assert said["result"]["config"] == {
        "steps": 4,
        "trouble": "",
        "inner": {"depth": 2},
        "out": str(tmp_path / "here"),
        "values": {"127": 1, "255": 2},
        "names": ["a", "b"],
        "loud": False,
    }


def test_a_file_that_a_saved_config_does_not_name_stays_unnamed(tmp_path, monkeypatch):
    """The config of an import of one direction holds the empty path of the other."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.safetensors").touch()
    saved = ImportTranslatorConfig(source_to_target=Path("g.safetensors")).model_dump(mode="json")
    again = absolute_paths(ImportTranslatorConfig.model_validate(saved))
    assert again.files == {"source_to_target": tmp_path / "g.safetensors"}


def test_options_win_over_the_config_file(project, call, tmp_path):
    write_json(tmp_path / "toy.json", {"steps": 5, "inner": {"depth": 7}})
    code, said = call("toy", project.path, "--config", tmp_path / "toy.json", "--inner.depth", 8)
    assert (code, said["result"]["config"]["steps"], said["result"]["config"]["inner"]["depth"]) == (0, 5, 8)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--steps", "-1"], "steps: Input should be greater than 0"),
        (["--steps", "many"], "steps: Input should be a valid integer"),
        (["--stepz", "3"], "unrecognized arguments: --stepz"),
        (["--values", "127"], "is not KEY=VALUE"),
        (["--config", "nowhere.json"], "nowhere.json: No such file"),
        (["--trouble", "input"], "names: 'x' is no name"),
    ],
)
def test_wrong_input_ends_with_2_and_says_what(project, call, words, told):
    code, said = call("toy", project.path, *words)
    assert code == 2
    assert told in said["error"]


def test_a_folder_without_project_ends_with_2(tmp_path, call):
    code, said = call("status", tmp_path)
    assert code == 2
    assert "is not a HistoBridge project" in said["error"]


def test_an_unknown_verb_ends_with_2_and_names_the_verbs(capsys):
    assert main(["learn"]) == 2
    captured = capsys.readouterr()
    assert "train-segmenter" in captured.err
    assert captured.out == ""


def test_a_failed_job_ends_with_1_and_names_the_run(project, call):
    code, said = call("toy", project.path, "--trouble", "bug")
    assert code == 1
    assert "ZeroDivisionError: nobody thought of that" in said["error"]
    assert project.run(said["run"]).state().status == "failed"
    assert "Traceback" in project.run(said["run"]).state().error


def test_ctrl_c_stops_between_steps_says_how_to_resume_and_resuming_goes_on(project, call):
    code, said = call("toy", project.path, "--steps", 5, "--trouble", "interrupt")
    assert code == 130
    assert said["resume"] == f"histobridge resume {project.path} {said['run']}"
    assert said["resume"] in said["error"]
    assert project.run(said["run"]).state().status == "cancelled"
    code, again = call(*said["resume"].split()[1:])
    # Asked after step 2, it stopped once step 3 was whole.
    assert (code, again["run"], again["result"]["counted_from"]) == (0, said["run"], 4)


def test_resuming_a_finished_run_returns_its_result(project, call):
    _, said = call("toy", project.path)
    code, again = call("resume", project.path, said["run"])
    assert (code, again["result"]) == (0, said["result"])


def test_a_cancelled_queued_run_does_not_run_until_it_is_resumed(project, call):
    run = project.create_run("toy", ToyConfig())
    code, said = call("cancel", project.path, run.id)
    assert (code, said["status"], run.state().status) == (0, "cancelled", "cancelled")
    code, said = call("resume", project.path, run.id)
    assert (code, said["status"]) == (0, "finished")


def test_what_a_library_prints_does_not_reach_stdout(project, call):
    code, said = call("toy", project.path, "--loud")
    assert (code, said["ok"]) == (0, True)


def test_progress_goes_to_stderr_and_the_result_to_stdout(project, capsys):
    assert main(["toy", str(project.path), "--steps", "2"]) == 0
    captured = capsys.readouterr()
    assert "Counting: counting, loss" in captured.err
    assert "100%" in captured.err
    assert "counted from: 1" in captured.out


@pytest.mark.parametrize(("names", "expected"), [(["good1.png"], 0), (["good1.png", "bad.txt"], 3), (["bad.txt"], 2)])
def test_add_takes_what_is_good_and_says_what_is_not(project, call, names, expected):
    code, said = call("add", project.path, "--domain", "source", *names)
    project.refresh()
    assert code == expected
    assert [record.id for record in project.images("source")] == said["adopted"] == said["result"]["added"]
    assert len(said["result"]["problems"]) == ("bad.txt" in names)


def test_add_to_a_project_that_is_being_edited_can_be_finished_later(project, call, tmp_path):
    with project.editing("the window"):
        code, said = call("add", project.path, "good1.png")
    assert code == 2
    assert "is being edited by" in said["error"]
    code, said = call(*said["resume"].split()[1:])
    assert (code, said["adopted"]) == (0, ["good1"])


def test_new_makes_a_project_with_the_classes_of_a_file(tmp_path, call):
    classes = [{"name": "mitochondrion", "value": 3, "color": "#009E73"}]
    write_json(tmp_path / "classes.json", classes)
    code, _ = call("new", tmp_path / "mito", "--name", "Mito", "--classes", tmp_path / "classes.json")
    made = Project.open(tmp_path / "mito")
    assert (code, made.name, [spec.name for spec in made.classes]) == (0, "Mito", ["mitochondrion"])


def test_new_says_which_class_is_wrong(tmp_path, call):
    write_json(tmp_path / "classes.json", [{"name": "axon", "value": 0, "color": "#009E73"}])
    code, said = call("new", tmp_path / "mito", "--classes", tmp_path / "classes.json")
    assert code == 2
    assert "0.value" in said["error"]
    assert not (tmp_path / "mito").exists()


def test_status_counts_images_and_lists_runs(project, call, capsys):
    call("add", project.path, "good1.png", "--pixel-size-um", "0.1")
    call("toy", project.path)
    code, said = call("status", project.path)
    assert code == 0
    assert said["domains"]["target"]["images"] == 1
    assert said["domains"]["target"]["labelled"] == 0
    assert [(row["verb"], row["status"]) for row in said["runs"]] == [("add", "finished"), ("toy", "finished")]
    assert main(["status", str(project.path)]) == 0
    assert said["runs"][1]["run"] in capsys.readouterr().out


def test_promote_pins_a_finished_run_and_latest_takes_it_back(project, call, monkeypatch):
    monkeypatch.setitem(JOBS, "match", JobKind(ToyConfig, "test_cli:count", "quick", "Matching"))
    first, second = (call("match", project.path)[1]["run"] for _ in range(2))
    assert call("promote", project.path, first)[1]["run"] == first
    assert Project.open(project.path).active("matching").id == first
    assert call("promote", project.path, "--latest", "matching")[1]["run"] == second


def test_promote_refuses_a_run_that_made_nothing(project, call):
    queued = project.create_run("match", JOBS["match"].config())
    finished = call("toy", project.path)[1]["run"]
    assert call("promote", project.path, queued.id)[0] == 2
    assert "nothing that could be promoted" in call("promote", project.path, finished)[1]["error"]


def test_the_installed_command_and_the_module_answer():
    for command in (["histobridge"], ["python", "-m", "histobridge"]):
        words = [str(Path(sys.executable).parent / command[0]), *command[1:], "--version"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("histobridge ")
