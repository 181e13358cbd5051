"""What going on with reviewing is likely to gain, from the scores so far and the pace."""

import math
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.config import FineTuneConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.effort import Effort, append_effort
from histobridge.core.errors import InputError
from histobridge.core.files import write_json
from histobridge.core.gate import Gate, TileScore
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.sample import make_sample_project
from histobridge.core.stopping import learning_points, predict_gain, seconds_per_tile, when_to_stop

DOUBLING = (0, 1, 2, 4, 8, 16, 32)


def power(top=0.85, drop=0.1, exponent=0.7):
    return lambda tiles: top - drop * (1 + tiles) ** -exponent


def exponential(top=0.8, drop=0.06, span=4.0):
    return lambda tiles: top - drop * math.exp(-tiles / span)


CURVES = [power(), power(exponent=0.4), power(0.9, 0.2, 1.5), exponential(), exponential(0.9, 0.15, 8.0)]


def points(curve, counts):
    return [(count, curve(count)) for count in counts]


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("counts", [DOUBLING[:4], DOUBLING[:5], DOUBLING[:6]])
def test_the_true_gain_of_a_known_curve_is_about_what_is_predicted(curve, counts):
    gain = predict_gain(points(curve, counts), seconds_per_tile=120)
    true = curve(counts[-1] + 5) - curve(counts[-1])
    assert gain.low - 0.002 <= true <= gain.high + 0.002
    assert gain.mean == pytest.approx(true, rel=0.4, abs=0.004)


@pytest.mark.parametrize("curve", CURVES)
def test_the_more_tiles_are_reviewed_the_less_there_is_to_gain(curve):
    gains = [predict_gain(points(curve, DOUBLING[:stop]), 60).mean for stop in (4, 5, 6, 7)]
    assert gains == sorted(gains, reverse=True)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8), st.floats(5, 600))
@settings(deadline=None, max_examples=60)
def test_the_gain_is_never_negative_and_never_exceeds_a_perfect_score(scores, pace):
    gain = predict_gain(list(enumerate(scores)), pace)
    assert 0 <= gain.low <= gain.high <= 1
    assert 0 <= gain.mean <= 1


@given(st.floats(0.4, 0.95), st.floats(0, 0.3), st.floats(0.3, 2.5))
@settings(deadline=None, max_examples=60)
def test_a_slower_pace_gains_less_in_the_same_time(top, drop, exponent):
    known = points(power(top, min(drop, top), exponent), DOUBLING[:4])
    quick, slow = (predict_gain(known, pace) for pace in (30, 300))
    assert slow.mean <= quick.mean + 1e-9


def test_a_curve_that_has_levelled_off_says_stop():
    gain = predict_gain([(0, 0.7), (2, 0.81), (4, 0.815), (8, 0.816), (16, 0.816)], 60)
    assert gain.verdict == "stop"
    assert gain.words.startswith("about +0.")
    assert gain.words.endswith(" Dice points in the next ten minutes (estimated): you can stop")


def test_a_steep_curve_says_go_on():
    gain = predict_gain(points(power(0.9, 0.4, 0.5), (0, 1, 2, 4)), 120)
    assert gain.verdict == "go-on"
    assert gain.words.endswith("(estimated): going on is worth it")


@pytest.mark.parametrize("known", [[], [(0, 0.7)], [(0, 0.7), (4, 0.8)], [(0, 0.7), (4, 0.8), (4, 0.81)]])
def test_fewer_than_three_numbers_of_tiles_are_too_early_to_tell(known):
    gain = predict_gain(known, 60)
    assert (gain.verdict, gain.low, gain.mean, gain.high) == ("too-early", None, None, None)
    assert gain.words.startswith("too early to tell")


def test_scores_that_fall_or_jump_about_promise_nothing_for_certain():
    for scores in ((0.8, 0.75, 0.7, 0.6), (0.6, 0.8, 0.55, 0.7)):
        gain = predict_gain(list(enumerate(scores)), 60)
        assert gain.verdict == "too-early"
        assert "between +" in gain.words


def test_tiles_reviewed_since_the_last_training_are_counted_from():
    known = points(power(), DOUBLING[:5])
    assert predict_gain(known, 60, tiles=20).mean < predict_gain(known, 60).mean


def test_another_horizon_is_named():
    assert "in the next 30 minutes" in predict_gain(points(power(), DOUBLING), 60, 1800).words


@pytest.mark.parametrize(("known", "pace"), [([(0, 0.5)], 0), ([(0, 0.5)], -1), ([(0, 1.5)], 60)])
def test_impossible_numbers_are_refused(known, pace):
    with pytest.raises(InputError, match="must"):
        predict_gain(known, pace)


# -- pace --------------------------------------------------------------------------------------------------------------


def test_the_pace_counts_work_and_leaves_breaks_out():
    times = [0.0, 1000, 1030, 1060, 1090, 9000, 9030, 9060]
    assert seconds_per_tile(times, accepted=3) == pytest.approx(150 / 3)


def test_the_pace_is_unknown_with_one_tile_or_without_times_and_never_absurd():
    assert seconds_per_tile([1000, 1030], accepted=1) is None
    assert seconds_per_tile([0.0, 0.0], accepted=2) is None
    assert seconds_per_tile([1000, 1000.1, 1000.2], accepted=2) == 2.0


# -- scores of a project -----------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def tuned(project):
    """Return a function that makes a finished fine-tuning: scores are (tile, before, after)."""
    return partial(tune, project)


def tune(project, trained, scores, held=(), **more):
    run = project.create_run("finetune", FineTuneConfig())
    gate = Gate(
        verdict="promote",
        reason="because",
        trained=tuple(("a", name) for name in trained),
        held_out=tuple(("a", name) for name in held),
        tiles=tuple(TileScore(image="a", tile=name, before=one, after=two) for name, one, two in scores),
        **more,
    )
    write_json(run.path / "gate.json", gate.model_dump(mode="json"))
    run.write_state(RunState(status="finished", updated=time.time()))
    return run


def test_each_verdict_gives_the_score_before_and_after(project, tuned):
    tuned("pqrs", [("t", 0.70, 0.80)], held="t")
    assert learning_points(project) == [(0, pytest.approx(0.70, abs=0.01)), (5, pytest.approx(0.80, abs=0.01))]


def test_cross_validated_scores_count_for_half_of_the_tiles(project, tuned):
    tuned("pqrs", [("p", 0.7, 0.8), ("q", 0.7, 0.8)], cross_validated=True)
    assert [count for count, _ in learning_points(project)] == [0, 2]


def test_a_model_compared_with_another_fine_tuned_one_continues_its_curve(project, tuned):
    first = tuned("pqrs", [("t", 0.70, 0.80)], held="t")
    tuned("pqrsvwx", [("t", 0.80, 0.84)], held="t", compared_with=first.id)
    assert [count for count, _ in learning_points(project)] == [0, 5, 8]
    assert [score for _, score in learning_points(project)] == pytest.approx([0.70, 0.80, 0.84], abs=0.01)


def test_a_hard_tile_that_joins_later_does_not_look_like_a_loss(project, tuned):
    first = tuned("pqrs", [("t", 0.70, 0.80)], held="t")
    tuned("pqrsvwxy", [("t", 0.80, 0.82), ("u", 0.60, 0.62)], held="tu", compared_with=first.id)
    scores = [score for _, score in learning_points(project)]
    assert scores == sorted(scores)
    assert scores[2] - scores[1] == pytest.approx(0.02, abs=0.005)


def test_unfinished_and_unjudged_trainings_give_no_points(project, tuned):
    tuned("p", [])
    run = tuned("pqrs", [("t", 0.7, 0.8)], held="t")
    run.write_state(RunState(status="failed"))
    assert learning_points(project) == []


def test_a_project_in_which_little_happened_is_too_early_to_tell(project, tuned):
    assert when_to_stop(project, 60).verdict == "too-early"
    tuned("pqrs", [("t", 0.70, 0.80)], held="t")
    assert when_to_stop(project, 60).verdict == "too-early"


def test_a_project_whose_curve_has_levelled_off_can_stop(project, tuned):
    last = ""
    for stop, score in ((4, 0.80), (8, 0.81), (16, 0.811), (24, 0.811)):
        before = {4: 0.70, 8: 0.80, 16: 0.81, 24: 0.811}[stop]
        last = tuned([f"t{n}" for n in range(stop)], [("h", before, score)], held="h", compared_with=last).id
    assert when_to_stop(project, 60).verdict == "stop"


def test_the_pace_is_that_of_the_active_seconds_where_they_were_logged(tmp_path):
    project = make_sample_project(tmp_path / "nerve", fields=2, size=64)
    for trained, before, after in (("pq", 0.6, 0.7), ("pqrs", 0.7, 0.75), ("pqrstuvw", 0.75, 0.79)):
        tune(project, trained, [("h", before, after)])
    expected = []
    for seconds in (5, 500):
        with project.editing():
            for record in project.images("target"):
                store = project.labels(record.id)
                TileEdit(store, project.tiles(record)[0]).accept()
                store.close()
                append_effort(project, [Effort(image=record.id, tile="r000c000", seconds=seconds)])
        expected.append(when_to_stop(project, 60).mean)
    assert expected[0] > 2 * expected[1]
