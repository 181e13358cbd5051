"""Curves follow the event log of a run."""

from histobridge.core.config import MatchConfig
from histobridge.core.runs import Run
from histobridge.widgets.curves import Curves


def test_curves_grow_with_the_log_and_start_over_with_another_run(qtbot, tmp_path):
    curves = Curves()
    qtbot.addWidget(curves)
    run = Run.create(tmp_path, "match", MatchConfig())
    curves.follow(run)
    assert curves.toolTip() == ""
    run.log("progress", step=1, metrics={"loss": 0.5})
    curves.follow(run)
    with (run.path / "events.jsonl").open("a") as stream:
        stream.write('{"kind": "progress", "step": 2, "met')
    curves.follow(run)
    assert curves.toolTip() == "loss 0.5"
    with (run.path / "events.jsonl").open("a") as stream:
        stream.write('rics": {"loss": 0.25}}\n')
    curves.follow(run)
    assert curves.toolTip() == "loss 0.25"
    curves.follow(Run.create(tmp_path, "match", MatchConfig()))
    assert curves.toolTip() == ""
    assert not curves.grab().isNull()
