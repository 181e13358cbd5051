"""The verdict on a fine-tuned model, promotion by it, and the way back."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.config import FineTuneConfig
from histobridge.core.errors import LockedError, ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.gate import Gate, TileScore, apply_gate, promote, read_gate, roll_back
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.verdict import bootstrap_interval, judge

DIFFERENCES = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=12)


def scores(differences, before=0.7):
    return [
        TileScore(image="a", tile=f"r000c{n:03d}", before=before, after=before + each)
        for n, each in enumerate(differences)
    ]


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def tuned(project):
    """Return a function that makes a finished fine-tuning with a verdict."""

    def make(verdict="promote", **more):
        run = project.create_run("finetune", FineTuneConfig())
        in_use = project.manifest.active.get("target_segmenter", "")
        gate = Gate(verdict=verdict, reason="because", in_use=in_use, **more)
        write_json(run.path / "gate.json", gate.model_dump(mode="json"))
        run.write_state(RunState(status="finished", updated=time.time()))
        return run

    return make


def in_use(project):
    return Project.open(project.path).manifest.active.get("target_segmenter", "")


# -- verdict -----------------------------------------------------------------------------------------------------------


@given(DIFFERENCES)
@settings(deadline=None, max_examples=40)
def test_the_interval_holds_the_mean_and_is_the_same_in_any_order(differences):
    low, high = bootstrap_interval(differences)
    assert low < np.mean(differences) < high
    assert bootstrap_interval(differences[::-1]) == (low, high)


@given(DIFFERENCES, st.floats(0, 0.3))
@settings(deadline=None, max_examples=40)
def test_a_better_model_is_never_judged_worse(differences, gain):
    worse = judge(scores(differences), cross_validated=False).verdict
    better = judge(scores([each + gain for each in differences]), cross_validated=False).verdict
    assert (worse, better) != ("promote", "keep-aside")


@given(DIFFERENCES)
@settings(deadline=None, max_examples=40)
def test_kept_aside_exactly_when_the_whole_interval_lies_below_zero(differences):
    gate = judge(scores(differences), cross_validated=False)
    assert gate.verdict == ("keep-aside" if gate.interval[1] < 0 else "promote")
    assert gate.difference == pytest.approx(np.mean(differences), abs=1e-9)
    assert gate.score.after - gate.score.before == pytest.approx(gate.difference)


def test_the_interval_agrees_with_the_normal_one_for_many_tiles():
    differences = np.random.default_rng(0).normal(0.1, 0.2, 60)
    low, high = bootstrap_interval(differences.tolist())
    half = 1.96 * differences.std(ddof=1) / np.sqrt(60)
    assert low == pytest.approx(differences.mean() - half, abs=0.01)
    assert high == pytest.approx(differences.mean() + half, abs=0.01)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    drawn = (bootstrap_interval(random.normal(0, 0.1, 12).tolist()) for _ in range(100))
    assert 85 <= sum(low <= 0 <= high for low, high in drawn) <= 100


def test_one_tile_a_little_worse_is_chance_and_clearly_worse_is_not():
    assert judge(scores([-0.015]), cross_validated=False).verdict == "promote"
    aside = judge(scores([-0.05]), cross_validated=False)
    assert aside.verdict == "keep-aside"
    assert "0.650, before 0.700" in aside.reason
    assert "kept aside" in aside.reason


def test_four_tiles_all_slightly_worse_are_not_kept_aside_for_chance():
    assert judge(scores([-0.004, -0.006, -0.003, -0.005]), cross_validated=False).verdict == "promote"
    assert judge(scores([-0.03, -0.05, -0.04, -0.06]), cross_validated=False).verdict == "keep-aside"


def test_one_bad_tile_among_good_ones_does_not_keep_a_model_aside():
    assert judge(scores([-0.2, 0.01, 0.02, 0.03]), cross_validated=False).verdict == "promote"


def test_few_tiles_are_too_few_to_judge_and_say_so():
    gate = judge(scores([0.03, -0.01]), cross_validated=True)
    assert (gate.verdict, gate.cross_validated) == ("too-few-to-judge", True)
    assert "Too few reviewed tiles to judge" in gate.reason
    assert judge([], cross_validated=False).verdict == "too-few-to-judge"
    assert judge([], cross_validated=False).score.after is None


def test_few_tiles_that_are_clearly_worse_keep_a_model_aside():
    assert judge(scores([-0.1, -0.09]), cross_validated=True).verdict == "keep-aside"


def test_the_verdict_survives_the_file(project, tuned):
    run = project.create_run("finetune", FineTuneConfig())
    assert read_gate(run) is None
    gate = judge(scores([0.1, 0.2]), cross_validated=False).model_copy(update={"held_out": (("a", "r000c000"),)})
    write_json(run.path / "gate.json", gate.model_dump(mode="json"))
    assert read_gate(run) == gate
    stored = read_json(run.path / "gate.json")
    assert stored["score"].keys() == {"before", "after"}
    assert stored["held_out"] == [["a", "r000c000"]]
    (run.path / "gate.json").write_text("{}")
    with pytest.raises(ProjectError, match=r"gate\.json is damaged .*verdict"):
        read_gate(run)


# -- promotion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["promote", "too-few-to-judge"])
def test_a_model_that_passes_is_promoted_once(project, tuned, verdict):
    run = tuned(verdict)
    with project.editing():
        assert apply_gate(project, run)
        assert in_use(project) == run.id
        assert not apply_gate(project, run)


def test_a_model_kept_aside_or_without_a_verdict_or_unfinished_is_not_promoted(project, tuned):
    silent = project.create_run("finetune", FineTuneConfig())
    unfinished = tuned()
    unfinished.write_state(RunState(status="cancelled"))
    with project.editing():
        assert not any(apply_gate(project, run) for run in (tuned("keep-aside"), silent, unfinished))
    assert in_use(project) == ""


def test_only_who_holds_the_lock_promotes(project, tuned):
    with pytest.raises(LockedError):
        apply_gate(project, tuned())
    assert in_use(project) == ""
    assert not (project.path / "promotions.jsonl").exists()


def test_a_choice_by_hand_after_the_start_stays(project, tuned):
    first, second = tuned(), tuned()
    with project.editing():
        promote(project, first.id)
        assert not apply_gate(project, second)
        third = tuned()
        assert apply_gate(project, third)
    assert in_use(project) == third.id


def test_a_pin_that_nobody_noted_stays_too(project, tuned):
    first, second = tuned(), tuned()
    with project.editing():
        project.pin("target_segmenter", first.id)
        assert not apply_gate(project, second)
    assert in_use(project) == first.id


def test_a_newer_run_replaces_one_promoted_by_the_gate_and_an_older_does_not(project, tuned):
    older, newer = tuned(), tuned()
    with project.editing():
        assert apply_gate(project, newer)
        assert not apply_gate(project, older)
    assert in_use(project) == newer.id
    with project.editing():
        first, second = tuned(), tuned()
        assert apply_gate(project, first)
        assert apply_gate(project, second)


def test_roll_back_goes_back_step_by_step_and_the_gate_does_not_undo_it(project, tuned):
    with project.editing():
        runs = []
        for _ in range(3):
            runs.append(tuned())
            assert apply_gate(project, runs[-1])
        waiting = tuned()
        assert roll_back(project) == runs[1].id
        assert in_use(project) == runs[1].id
        assert not apply_gate(project, runs[2])
        assert not apply_gate(project, waiting)
        assert roll_back(project) == runs[0].id
        assert roll_back(project) == ""
        with pytest.raises(ProjectError, match="no fine-tuned model is in use"):
            roll_back(project)


def test_after_a_roll_back_a_new_model_is_promoted_and_left_for_the_one_before(project, tuned):
    first, second = tuned(), tuned()
    with project.editing():
        promote(project, first.id)
        promote(project, second.id)
        roll_back(project)
        third = tuned()
        assert apply_gate(project, third)
        assert roll_back(project) == first.id


def test_roll_back_passes_over_deleted_runs_and_finds_pins_nobody_noted(project, tuned):
    first, second, third = tuned(), tuned(), tuned()
    with project.editing():
        project.pin("target_segmenter", first.id)
        promote(project, second.id)
        promote(project, third.id)
        (second.path / "run.json").unlink()
        assert roll_back(project) == first.id


def test_a_torn_line_of_the_history_is_passed_over(project, tuned):
    first, second = tuned(), tuned()
    with project.editing():
        promote(project, first.id)
        with (project.path / "promotions.jsonl").open("a") as stream:
            stream.write('{"time": 1.0, "ru\n')
        promote(project, second.id)
        assert roll_back(project) == first.id
