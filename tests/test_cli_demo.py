"""The verb `demo` around the job: table, files, the window or why there is none."""

import json
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from histobridge.cli import main
from histobridge.core.job import Progress
from histobridge.core.sample import make_sample_project


@pytest.fixture(autouse=True)
def small_demo(monkeypatch):
    """A demo that only makes its sample."""

    def run_demo(out):
        yield Progress(0, 1, "making the sample")
        project = make_sample_project(out / "project", fields=1, size=128)
        table = [{"route": "tutorship", "Dice": 0.8, "seconds": 31}, {"route": "adaptation", "Dice": 0.7, "seconds": 2}]
        return {"table": table, "files": {"contact sheet": str(out / "sheet.png")}, "project": str(project.path)}

    monkeypatch.setitem(sys.modules, "histobridge.core.demo", SimpleNamespace(run_demo=run_demo))


def test_it_prints_the_table_and_where_the_files_are(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-window"]) == 0
    captured = capsys.readouterr()
    header, first, *_ = captured.out.splitlines()
    assert header.split() == ["route", "Dice", "seconds"]
    assert first.split() == ["tutorship", "0.800", "31"]
    assert f"contact sheet: {tmp_path / 'demo' / 'sheet.png'}" in captured.out
    assert f"project: {tmp_path / 'demo' / 'project'}" in captured.out
    assert "making the sample" in captured.err


def test_without_a_display_it_says_so_and_succeeds(tmp_path, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert "there is no display" in capsys.readouterr().out


def test_its_json_has_the_table(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-window", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["result"]["table"][0]["route"] == "tutorship"
    assert said["window"] is False


@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="needs a display")
@pytest.mark.usefixtures("qapp")
def test_with_a_display_it_opens_the_project_for_review(tmp_path, monkeypatch):
    napari = pytest.importorskip("napari")
    seen = []

    def run():
        viewer = napari.current_viewer()
        seen.extend(layer.name for layer in viewer.layers)
        viewer.close()

    monkeypatch.setattr(napari, "run", run)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert "labels" in seen


def test_stopping_it_closes_what_it_does_so_that_its_checkpoint_is_whole(tmp_path, monkeypatch, capsys):
    closed = []
    before = signal.signal(signal.SIGTERM, lambda *_: closed.append("too late"))

    def run_demo(_):
        try:
            for step in range(9):
                signal.raise_signal(signal.SIGTERM)
                yield Progress(step, 9, "learning")
        except GeneratorExit:
            signal.raise_signal(signal.SIGTERM)  # some send it twice
            closed.append(step)
            raise

    monkeypatch.setitem(sys.modules, "histobridge.core.demo", SimpleNamespace(run_demo=run_demo))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-window"]) == 130
    signal.signal(signal.SIGTERM, before)
    assert closed == [0]
    assert "stopped" in capsys.readouterr().err
