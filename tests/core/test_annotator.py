"""The simulated annotator paints through the code of the brush, errs as told and counts what it does."""

from dataclasses import astuple

import numpy as np
import pytest

from histobridge.core.annotator import AnnotatorConfig, correct_tile, paint_from_scratch
from histobridge.core.corrections import TileEdit, tile_status
from histobridge.core.labels import LabelStore
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED, MODEL
from histobridge.core.tiles import tile_grid

SIDE = 96
(TILE,) = tile_grid((SIDE, SIDE))
SURE = AnnotatorConfig(looks=30, small_px=0, tolerated_width_px=0, small_seen=1, lag_px=0, boundary_noise_px=0)


def fibre(centre=(48, 48), axon=13.5, outer=22.5):
    """A round axon in its sheath, (Y, X) uint8."""
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(y - centre[0] + 0.5, x - centre[1] + 0.5)
    return np.where(distance < axon, 1, np.where(distance < outer, 2, 0)).astype(np.uint8)


TRUTH = fibre()
PROPOSAL = fibre((45, 50), 11, 24)


@pytest.fixture
def new_store(tmp_path):
    """Return a function that makes an empty store."""
    stores = []

    def make():
        stores.append(LabelStore(tmp_path / str(len(stores)), (SIDE, SIDE), writable=True))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def new_edit(new_store):
    """Return a function that opens the tile of an empty store with a proposal."""
    return lambda proposal=PROPOSAL: TileEdit(new_store(), TILE, proposal, "run-1")


def test_a_sure_hand_that_sees_all_reaches_the_truth_and_accepts_the_tile(new_edit):
    edit = new_edit()
    effort = correct_tile(edit, TRUTH, SURE)
    np.testing.assert_array_equal(edit.classes, TRUTH)
    assert effort.dice_after == 1
    assert 0 < effort.dice_before < 1
    assert edit.status == tile_status(edit.store, TILE) == "accepted"
    assert (edit.state != MODEL).all()
    assert (edit.state[PROPOSAL != TRUTH] == CORRECTED).all()


def test_every_stroke_is_a_step_of_undo_that_leads_back_to_the_proposal(new_edit):
    edit = new_edit()
    effort = correct_tile(edit, TRUTH, SURE)
    steps = 0
    while edit.can_undo:
        edit.undo()
        steps += 1
    assert steps == effort.strokes + 1, "the strokes and the acceptance"
    np.testing.assert_array_equal(edit.classes, PROPOSAL)


def test_a_sure_hand_changes_each_wrong_pixel_once(new_edit):
    effort = correct_tile(new_edit(), TRUTH, SURE)
    assert effort.changed_pixels == np.count_nonzero(PROPOSAL != TRUTH)
    assert effort.painted_pixels >= effort.changed_pixels


def test_a_right_proposal_costs_a_look_and_a_click(new_edit):
    edit = new_edit(TRUTH)
    effort = correct_tile(edit, TRUTH, AnnotatorConfig(seconds_per_look=7))
    assert astuple(effort) == (0, 1, 0, 0, 7, 1, 1)
    assert (edit.state == ACCEPTED).all()


def test_small_and_narrow_errors_are_overlooked_and_large_ones_never(new_edit):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[10:40, 10:40] = 1
    truth[60:64, 60:64] = 1
    truth[80:82, 10:90] = 1
    edit = new_edit(np.zeros_like(truth))
    blind = AnnotatorConfig(small_px=30, tolerated_width_px=2, small_seen=0, lag_px=0, boundary_noise_px=0)
    correct_tile(edit, truth, blind)
    assert edit.classes[10:40, 10:40].mean() > 0.95, "all but the corners, where a round brush does not reach"
    assert not edit.classes[45:].any()
    assert (edit.state[45:] == ACCEPTED).all(), "what was overlooked is accepted as it is"
    correct_tile(again := new_edit(np.zeros_like(truth)), truth, blind.model_copy(update={"small_seen": 1.0}))
    assert again.classes[60:64, 60:64].all()
    assert again.classes[80:82, 10:90].mean() > 0.9


def test_about_the_share_told_of_many_small_errors_is_seen(new_edit):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[2::6, 2::6] = 1
    edit = new_edit(np.zeros_like(truth))
    effort = correct_tile(edit, truth, AnnotatorConfig(small_seen=0.3, lag_px=0, boundary_noise_px=0))
    assert effort.strokes / np.count_nonzero(truth) == pytest.approx(0.3, abs=0.07)


def test_lag_and_noise_leave_errors_that_a_sure_hand_does_not(new_edit):
    once = SURE.model_copy(update={"looks": 1})
    sure = correct_tile(new_edit(), TRUTH, once).dice_after
    for slip in ({"lag_px": 3.0}, {"boundary_noise_px": 2.0}):
        assert correct_tile(new_edit(), TRUTH, once.model_copy(update=slip)).dice_after < sure - 0.01


def test_the_same_seed_gives_the_same_strokes_and_another_one_others(new_edit):
    def corrected(seed):
        edit = new_edit()
        return correct_tile(edit, TRUTH, AnnotatorConfig(small_seen=1, seed=seed)), edit.classes

    (first, one), (second, two), (_, other) = corrected(0), corrected(0), corrected(1)
    assert first == second
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_with_a_target_the_largest_error_comes_first_and_the_rest_stays(new_edit):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[4:12, 4:12] = 1
    truth[30:70, 30:70] = 1
    edit = new_edit(np.zeros_like(truth))
    effort = correct_tile(edit, truth, SURE.model_copy(update={"target_dice": 0.9}))
    assert effort.strokes == 1
    assert effort.dice_after >= 0.9
    assert not edit.classes[:20].any()
    assert edit.status == "accepted"


def test_a_target_that_is_met_costs_no_stroke_and_one_out_of_reach_ends_with_the_looks(new_edit):
    easy = correct_tile(new_edit(), TRUTH, SURE.model_copy(update={"target_dice": 0.1}))
    assert (easy.strokes, easy.changed_pixels) == (0, 0)
    hard = AnnotatorConfig(target_dice=1, looks=2, small_seen=0, seconds_per_look=5)
    assert correct_tile(new_edit(), TRUTH, hard).dice_after < 1


def test_a_tile_nobody_knows_is_skipped(new_edit):
    edit = new_edit()
    effort = correct_tile(edit, np.full_like(TRUTH, 255), AnnotatorConfig())
    assert (effort.strokes, effort.clicks, effort.changed_pixels) == (0, 1, 0)
    assert edit.status == "skipped"
    assert (edit.state == MODEL).all()


def test_unknown_pixels_are_ignored_and_never_painted(new_edit):
    truth = TRUTH.copy()
    truth[:, 48:] = 255
    edit = new_edit()
    effort = correct_tile(edit, truth, AnnotatorConfig(boundary_noise_px=3))
    assert (edit.state[:, 48:] == IGNORED).all()
    np.testing.assert_array_equal(edit.classes[:, 48:], PROPOSAL[:, 48:])
    assert effort.dice_after > effort.dice_before


def test_an_error_larger_than_a_stroke_takes_several(new_edit):
    truth = np.ones((SIDE, SIDE), np.uint8)
    for extent, strokes in ((96, 1), (48, 4), (32, 9)):
        config = SURE.model_copy(update={"stroke_extent_px": extent, "looks": 1})
        assert correct_tile(new_edit(np.zeros_like(truth)), truth, config).strokes == strokes


def test_painting_from_scratch_changes_more_than_correcting_to_the_same_dice(new_edit, new_store):
    goal = AnnotatorConfig(target_dice=0.85, looks=3)
    corrected = correct_tile(new_edit(), TRUTH, goal)
    store = new_store()
    scratch = paint_from_scratch(store, TILE, TRUTH, goal)
    assert scratch.dice_before == 0
    assert min(corrected.dice_after, scratch.dice_after) >= 0.85
    assert scratch.changed_pixels > 2 * corrected.changed_pixels
    assert tile_status(store, TILE) == "accepted"


def test_one_fibre_from_scratch_takes_as_long_as_was_published_for_one_object(new_store):
    effort = paint_from_scratch(new_store(), TILE, TRUTH, AnnotatorConfig(seconds_per_look=0))
    assert effort.seconds == pytest.approx(3.27, abs=1)
    assert effort.dice_after > 0.85


def test_simulated_seconds_are_looks_strokes_class_changes_and_ways(new_edit):
    none = {"seconds_per_look": 0, "seconds_per_stroke": 0, "seconds_per_class_change": 0}
    config = SURE.model_copy(update=none | {"looks": 1, "speed_px_per_second": 1e9})
    effort = correct_tile(new_edit(), TRUTH, config)
    assert effort.seconds == pytest.approx(0, abs=1e-3)
    timed = correct_tile(new_edit(), TRUTH, config.model_copy(update={"seconds_per_stroke": 2.0}))
    assert timed.seconds == pytest.approx(2 * effort.strokes)
    changes = effort.clicks - effort.strokes - 1
    timed = correct_tile(new_edit(), TRUTH, config.model_copy(update={"seconds_per_class_change": 3.0}))
    assert timed.seconds == pytest.approx(3 * changes)
    assert changes == 2, "background, axon, myelin"


def test_a_truth_of_another_shape_is_refused(new_edit):
    with pytest.raises(ValueError, match="the truth"):
        correct_tile(new_edit(), TRUTH[:5], AnnotatorConfig())
