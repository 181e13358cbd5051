"""The line of progress on the command line."""

import io
import time

from histobridge.cli.output import ProgressLine
from histobridge.core.job import Progress


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
