"""The line of progress on the command line, and the line before it."""

import io
import time

from histobridge.cli import main
from histobridge.cli.output import ProgressLine
from histobridge.core.job import Progress
from histobridge.core.project import Project
from histobridge.core.translate.cost import cost_in_words
from histobridge.core.translate.presets import PRESETS


def test_time_left_is_told_once_enough_is_done_to_go_by(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    said = io.StringIO()
    line = ProgressLine("Learning", said)
    for step, seconds in ((0, 0.0), (1, 60.0), (500, 120.0)):
        now[0] = seconds
        line(Progress(step, 1000, "training"))
    first, slow, half = said.getvalue().splitlines()
    assert "left" not in first
    assert "left" not in slow
    assert half.endswith("2:00 left")


def test_training_a_translator_tells_its_cost_before_it_starts(tmp_path, capsys):
    Project.create(tmp_path / "project")
    words = ["train-translator", str(tmp_path / "project"), "--method", "syndiff", "--preset", "faithful-256"]
    assert main(words) == 2, "nothing is matched yet"
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == f"Training translator: {cost_in_words(PRESETS['syndiff']['faithful-256'])}"
    assert "match" in " ".join(rest)
