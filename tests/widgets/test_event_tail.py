"""The event log of a long training is read at once without holding up the window."""

import json

import pytest

from histobridge.core.config import SelfTestConfig
from histobridge.core.runs import Run
from histobridge.widgets import event_tail
from histobridge.widgets.event_tail import EventTail


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(event_tail, "POINTS", 10)
    return Run.create(tmp_path / "runs", "selftest", SelfTestConfig())


def test_of_a_long_log_progress_is_thinned_evenly_and_nothing_else(run):
    with (run.path / "events.jsonl").open("a") as stream:
        for step in range(1, 1001):
            stream.write(json.dumps({"time": 0, "kind": "progress", "step": step}) + "\n")
            if step in (3, 504):
                stream.write(json.dumps({"time": 0, "kind": "checkpoint", "step": step}) + "\n")
    tail = EventTail()
    tail.follow(run)
    events = tail.added()
    assert [event["step"] for event in events if event["kind"] == "progress"] == list(range(100, 1001, 100))
    assert [event["step"] for event in events if event["kind"] == "checkpoint"] == [3, 504]
    run.log("progress", step=1001)
    assert [event["step"] for event in tail.added()] == [1001]
