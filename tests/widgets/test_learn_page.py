"""The page Learn: verdicts that are applied by themselves, scores, promotion and the way back."""

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from window_fakes import proposed, say, tuned

from histobridge.core.config import FineTuneConfig
from histobridge.core.lock import LockHolder
from histobridge.core.promotions import read_promotions
from histobridge.widgets.score_chart import HELD_OUT


@pytest.fixture
def learn(make_window, sample):
    """Open the page after labels were proposed; returns the window, the page and the proposing run."""

    def make(show=False):
        base = proposed(sample, sample.images("target"))
        _, window = make_window(sample, show=show)
        window.go("learn")
        return window, window.page("learn"), base

    return make


def in_use(window):
    return window.session.project.manifest.active.get("target_segmenter", "")


def cells(page):
    table = page.models
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount())]


def finish(window, *arguments, **gate):
    """A fine-tuning that ends while the window looks on."""
    run = tuned(window.session.project, *arguments, **gate)
    window.session.poll()
    return run


def test_a_model_that_is_not_worse_is_promoted_when_its_training_ends(learn):
    window, page, base = learn()
    run = finish(window, 0.7, 0.8, compared_with=base.id)
    assert in_use(window) == run.id
    assert [entry.by for entry in read_promotions(window.session.project)] == ["gate"]
    assert page.used.text() == "In use: fine-tuned 1."
    assert page.verdict.text() == "Promoted: fine-tuned 1. It is not worse."
    assert cells(page) == [["fine-tuned 1", "0.80", "2 tiles", "● in use"], ["tutorship", "0.70", "2 tiles", ""]]


def test_a_verdict_is_applied_on_any_page(learn):
    window, _, base = learn()
    window.go("images")
    run = finish(window, 0.7, 0.8, compared_with=base.id)
    assert in_use(window) == run.id


def test_a_worse_model_is_kept_aside_and_one_click_uses_it_anyway(learn):
    window, page, base = learn()
    first = finish(window, 0.7, 0.8, compared_with=base.id)
    worse = finish(window, 0.8, 0.6, verdict="keep-aside", reason="It is worse.", in_use=first.id)
    assert in_use(window) == first.id
    assert page.verdict.text() == "Kept aside: fine-tuned 2. It is worse."
    assert cells(page)[0] == ["fine-tuned 2", "0.60", "2 tiles", "kept aside"]
    assert not page.anyway.isHidden()
    page.anyway_button.click()
    assert in_use(window) == worse.id
    assert page.anyway.isHidden()
    assert page.verdict.text().startswith("Promoted: fine-tuned 2.")


def test_rolling_back_goes_to_the_model_before_and_then_to_none(learn):
    window, page, base = learn()
    first = finish(window, 0.7, 0.8, compared_with=base.id)
    finish(window, 0.8, 0.85, in_use=first.id)
    page.back_button.click()
    assert in_use(window) == first.id
    assert page.verdict.text().startswith("Not in use: fine-tuned 2; another one was chosen.")
    page.back_button.click()
    assert in_use(window) == ""
    assert page.used.text() == "No fine-tuned model is in use."
    assert not page.back_button.isEnabled()


def test_any_model_can_be_promoted_by_hand_also_one_that_proposed(learn):
    window, page, base = learn()
    finish(window, 0.7, 0.8, compared_with=base.id)
    page.models.selectRow(1)
    page.promote_button.click()
    assert in_use(window) == base.id
    assert [entry.by for entry in read_promotions(window.session.project)] == ["gate", "hand"]


def test_a_choice_made_by_hand_during_a_training_stays(learn):
    window, page, base = learn()
    run = window.session.project.create_run("finetune", FineTuneConfig())
    say(run, "running")
    window.session.poll()
    page.models.selectRow(0)
    page.promote_button.click()
    (run.path / "gate.json").write_text('{"verdict": "promote", "reason": "It is not worse."}')
    say(run, "finished")
    window.session.poll()
    assert in_use(window) == base.id


def test_verdicts_of_trainings_that_ended_without_a_window_are_applied_on_opening(make_window, sample):
    base = proposed(sample, sample.images("target"))
    run = tuned(sample, 0.7, 0.8, compared_with=base.id)
    _, window = make_window(sample)
    assert in_use(window) == run.id


def test_a_read_only_window_only_tells_the_verdict(make_window, sample):
    base = proposed(sample, sample.images("target"))
    tuned(sample, 0.7, 0.8, compared_with=base.id)
    holder = LockHolder(user="ada", host="elsewhere", pid=1, pid_started=0, since=0, program="napari window")
    (sample.path / "edit.lock").write_text(holder.model_dump_json())
    _, window = make_window(sample)
    window.go("learn")
    page = window.page("learn")
    assert in_use(window) == ""
    assert "this window is read-only" in page.verdict.text()
    assert not page.back_button.isEnabled()


def test_a_damaged_verdict_is_told_and_promotes_nothing(learn):
    window, page, _ = learn()
    run = window.session.project.create_run("finetune", FineTuneConfig())
    (run.path / "gate.json").write_text("{")
    say(run, "finished")
    window.session.poll()
    assert in_use(window) == ""
    assert "fine-tune again" in page.verdict.text()


# -- the chart ---------------------------------------------------------------------------------------------------------


def test_the_chart_tells_held_out_scores_from_those_of_too_few_tiles(learn, qtbot):
    window, page, base = learn(show=True)
    few = finish(window, 0.7, 0.75, verdict="too-few-to-judge", cross_validated=True, compared_with=base.id)
    judged = finish(window, 0.75, 0.8, in_use=few.id, compared_with=few.id)
    said = page.chart.accessibleDescription()
    assert "fine-tuned 1: mean Dice 0.75, before 0.70; too few to judge, estimated in turn on 2 tiles" in said
    assert "fine-tuned 2: mean Dice 0.80, before 0.75; on 2 tiles never learned from; in use" in said
    assert cells(page)[1][1:3] == ["≈ 0.75", "too few"]
    picture = page.chart.grab().toImage()
    colors = [picture.pixelColor(page.chart.point(run.id).toPoint()) for run in (few, judged)]
    assert [color == HELD_OUT for color in colors] == [False, True]


def test_a_click_on_the_chart_selects_the_model(learn, qtbot):
    window, page, base = learn(show=True)
    finish(window, 0.7, 0.75, compared_with=base.id)
    run = finish(window, 0.75, 0.8)
    place = page.chart.point(run.id).toPoint() + QPoint(3, -2)
    QTest.mouseClick(page.chart, Qt.MouseButton.LeftButton, pos=place)
    assert [index.row() for index in page.models.selectionModel().selectedRows()] == [0]


def test_the_curve_follows_the_running_training(learn):
    window, page, _ = learn()
    assert page.curves.isHidden()
    page.start_button.click()
    run = window.session.newest("finetune").run
    run.log("progress", step=5, total=10, message="", metrics={"loss": 0.4})
    say(run, "running", step=5, total=10)
    window.session.poll()
    assert not page.curves.isHidden()
    assert page.curves.toolTip() == "loss 0.4"


def test_propose_with_it_chooses_the_route_on_the_page_of_labels(learn):
    window, page, _ = learn()
    page.propose_button.click()
    assert window.step_bar.current == "labels"
    assert window.page("labels").routes.route == "model"
