"""The real command in a process of its own: here, in a worker, stopped by signals; and what the doctor finds."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from histobridge.cli import main
from histobridge.core.project import Project
from histobridge.engine import connecting
from histobridge.engine.client import Engine

LONG = 160
"""Steps that take longer than the 5 s after which a command that is not in a terminal tells of its progress again."""

COMMAND = str(Path(sys.executable).parent / "histobridge")


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def engine():
    """End the worker processes that a test has started."""
    engine = Engine()
    yield engine
    engine.close()
    engine.stop_all()


def started(project, *words, steps=2000):
    """A job of many steps, as a process that has shown its first step."""
    command = [COMMAND, "selftest", str(project.path), "--steps", str(steps), "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = next((line for line in process.stderr if "counting" in line), None)
    assert line, process.communicate()
    return process


@pytest.mark.parametrize(
    ("number", "where"),
    [(signal.SIGINT, []), (signal.SIGINT, ["--engine"]), (signal.SIGTERM, []), (signal.SIGTERM, ["--engine"])],
    ids=["Ctrl-C here", "Ctrl-C in a worker", "SIGTERM here", "SIGTERM in a worker"],
)
def test_a_signal_stops_a_real_job_and_resuming_goes_on_from_its_checkpoint(project, engine, number, where, capsys):
    process = started(project, *where, steps=LONG)
    process.send_signal(number)
    said = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == said["exit_code"] == 130
    assert project.run(said["run"]).state().status == "cancelled"
    assert main([*said["resume"].split()[1:], *where, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["run"] == said["run"]
    assert 0 < again["result"]["resumed_from"] < LONG


def test_cancel_stops_a_job_of_another_process(project):
    process = started(project)
    (run,) = project.runs("selftest")
    assert main(["cancel", str(project.path), run.id]) == 0
    said = json.loads(process.communicate(timeout=60)[0])
    assert (said["exit_code"], said["status"]) == (130, "cancelled")


def test_resume_refuses_a_run_that_is_running(project, capsys):
    process = started(project)
    (run,) = project.runs("selftest")
    assert main(["resume", str(project.path), run.id, "--json"]) == 2
    assert f"process {process.pid}" in json.loads(capsys.readouterr().out)["error"]
    process.kill()
    process.communicate()
    assert run.state().status == "interrupted"


def test_a_job_goes_to_a_worker_and_back(project, engine, capsys):
    assert main(["selftest", str(project.path), "--engine", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert project.run(said["run"]).state().result == said["result"]
    assert said["result"]["pid"] != os.getpid()


def test_a_scheduler_that_does_not_answer_ends_with_1_and_says_so(project, capsys, monkeypatch):
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 1)
    assert main(["selftest", str(project.path), "--scheduler", "tcp://127.0.0.1:9", "--json"]) == 1
    assert "tcp://127.0.0.1:9" in json.loads(capsys.readouterr().out)["error"]


def test_doctor_finds_packages_device_disk_and_a_working_engine(tmp_path, engine, capsys):
    code = main(["doctor", str(tmp_path), "--json"])
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert set(findings) == {"python", "packages", "device", "memory", "disk", "window", "display", "engine"}
    assert code == 0
    assert findings["packages"]["good"]
    assert findings["engine"]["good"]
    assert "torch" in findings["packages"]["found"]


def test_doctor_says_where_nothing_can_be_written(monkeypatch, engine, capsys):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["doctor", "--json"]) == 1
    disk = next(f for f in json.loads(capsys.readouterr().out)["findings"] if f["name"] == "disk")
    assert "cannot be written" in disk["found"]
    assert disk["remedy"]


@pytest.mark.skipif(sys.platform != "linux", reason="only the OpenMP of Linux tells what it was set to")
@pytest.mark.parametrize(("asked", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_wants_them_to_spin(project, asked, found):
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [COMMAND, "selftest", str(project.path), "--steps", "1", "--use-torch"]
    environment = kept | {"OMP_DISPLAY_ENV": "true"} | asked
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert f"OMP_WAIT_POLICY = '{found}'" in ended.stderr
