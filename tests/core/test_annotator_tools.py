"""The simulated annotator takes the tool that was made for an error, takes back what a tool spoils, and counts both."""

import numpy as np
import pytest

from histobridge.core.annotator import AnnotatorConfig, correct_tile
from histobridge.core.annotator_tools import Toolbox, ToolHabits, correct_towards
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.states import IGNORED
from histobridge.core.tiles import tile_grid

SIDE = 96
(TILE,) = tile_grid((SIDE, SIDE))
SURE = ToolHabits(tolerated_width_px=0, small_seen=1, lag_px=0, boundary_noise_px=0)
MOVING = SURE.model_copy(update={"outlines": True})
PAIR = Toolbox(1, 2)


def fibre(*centres, axon=10.0, sheath=5.0):
    """Round axons in sheaths, (Y, X) uint8."""
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.min([np.hypot(y - row, x - column) for row, column in centres], axis=0)
    return np.where(distance < axon, 1, np.where(distance < axon + sheath, 2, 0)).astype(np.uint8)


TRUTH = fibre((26, 26), (66, 66))
SECOND = np.s_[45:90, 45:90]
"""Around the second fibre."""


def replaced(classes, *changes):
    """Classes with some values replaced around the second fibre."""
    changed = classes.copy()
    for old, new in changes:
        changed[SECOND][changed[SECOND] == old] = new
    return changed


@pytest.fixture
def new_edit(tmp_path):
    """Return a function that opens the tile of an empty store with a proposal."""
    stores = []

    def opened(proposal):
        stores.append(LabelStore(tmp_path / str(len(stores)), (SIDE, SIDE), writable=True))
        return TileEdit(stores[-1], TILE, proposal, "run-1")

    yield opened
    for store in stores:
        store.close()


LARGE = fibre((48, 48), axon=34, sheath=8)
"""Its axon takes the brush several strokes."""


def with_gap():
    """The large ring is empty and open to the right."""
    classes = np.where(LARGE == 1, 0, LARGE).astype(np.uint8)
    classes[44:53, 60:] = 0
    return classes


def rough():
    """The second fibre is full of teeth all around."""
    y, x = np.mgrid[:SIDE, :SIDE]
    teeth = 15 + 1.6 * np.sign(np.sin(16 * np.arctan2(y - 66, x - 66)))
    classes = fibre((26, 26))
    distance = np.hypot(y - 66, x - 66)
    return np.where(distance < 10, 1, np.where(distance < teeth, 2, classes)).astype(np.uint8)


ERRORS = {
    "a false fibre is deleted": (fibre((26, 26)), TRUTH, {"delete_fibre": 1}, 1),
    "an empty ring is filled": (TRUTH, replaced(TRUTH, (1, 0)), {"fill_inner": 1}, 1),
    "an open ring is closed and filled": (LARGE, with_gap(), {"close_ring": 1, "fill_inner": 1}, 2),
    "a bare axon gets a sheath": (TRUTH, replaced(TRUTH, (2, 0)), {"grow_sheath": 1}, 1),
    "a thin axon is made thicker": (LARGE, fibre((48, 48), axon=31, sheath=11), {"thicken_axon": 3}, 3),
    "a thick axon is made thinner": (LARGE, fibre((48, 48), axon=36, sheath=6), {"thin_axon": 2}, 2),
    "a thin sheath is made thicker": (LARGE, fibre((48, 48), axon=34, sheath=6), {"thicken_sheath": 2}, 2),
    "a thick sheath is made thinner": (LARGE, fibre((48, 48), axon=34, sheath=10), {"thin_sheath": 2}, 2),
    "a rough outline is smoothed": (TRUTH, rough(), {"smooth": 1}, 1),
}


@pytest.mark.parametrize("case", ERRORS)
def test_each_error_is_mended_by_the_tool_made_for_it(new_edit, case):
    truth, shown, used, clicks = ERRORS[case]
    edit = new_edit(shown)
    (course,) = correct_towards(edit, truth, [0.97], MOVING, PAIR)
    assert course.used == used
    assert course.effort.strokes == 0
    assert course.effort.clicks == clicks + 1, "the last one accepts the tile"
    assert course.effort.seconds == pytest.approx(5 + sum(used.values()) * 0.5 + clicks * 0.8)
    assert course.effort.dice_after >= 0.97 > course.effort.dice_before
    assert edit.status == "accepted"


def test_a_narrow_bridge_is_cut_by_a_stroke(new_edit):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[20:76, 10:86] = 3
    truth[:, 47] = 0
    shown = truth.copy()
    shown[20:76, 47] = 3
    (course,) = correct_towards(edit := new_edit(shown), truth, [1.0], SURE, Toolbox())
    assert course.used == {"cut": 1}
    assert (course.effort.strokes, course.effort.clicks) == (1, 2)
    np.testing.assert_array_equal(edit.classes, truth)


def test_what_a_narrow_gap_parts_is_merged_with_two_clicks_where_these_are_quicker(new_edit):
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[45:52, 10:86] = 3
    shown = truth.copy()
    shown[:, 46:49] = 0
    brush, quick = (SURE.model_copy(update={"seconds_per_click": seconds}) for seconds in (0.8, 0.1))
    (course,) = correct_towards(new_edit(shown), truth, [0.98], brush, Toolbox())
    assert not course.used, "one stroke of the brush is as quick as two clicks"
    (course,) = correct_towards(edit := new_edit(shown), truth, [0.98], quick, Toolbox())
    assert course.used == {"merge": 1}
    assert (course.effort.strokes, course.effort.clicks) == (0, 3)
    assert (edit.classes[48, 10:86] == 3).all()


def test_a_missing_fibre_gets_its_axon_by_the_brush_and_its_sheath_by_a_click(new_edit):
    (course,) = correct_towards(new_edit(fibre((26, 26))), TRUTH, [0.97], SURE, PAIR)
    assert course.used == {"grow_sheath": 1}
    assert course.effort.strokes == 1


def test_an_outline_that_is_off_to_both_sides_snaps_to_the_edge(new_edit):
    truth = fibre((48, 48), axon=30, sheath=10)
    shown = fibre((48, 44), axon=30, sheath=10)
    image = np.where(truth == 2, 60, 170).astype(np.uint8)
    (course,) = correct_towards(new_edit(shown), truth, [0.97], MOVING, Toolbox(1, 2, image))
    assert course.used == {"snap_outline": 1}
    assert course.effort.strokes == 0
    (course,) = correct_towards(new_edit(shown), truth, [0.97], MOVING, PAIR)
    assert (course.used.get("snap_outline", 0), course.refused) == (0, 1), "without an image there is no edge"
    (course,) = correct_towards(new_edit(shown), truth, [0.97], SURE, PAIR)
    assert (course.used, course.refused) == ({}, 0), "the habit is off unless asked for"


def test_a_tool_that_made_it_worse_is_taken_back_and_not_tried_again(new_edit):
    truth = fibre((26, 26), sheath=12)
    thin = fibre((70, 70), sheath=3)
    truth[thin > 0] = thin[thin > 0]
    shown = np.where(thin == 2, 0, truth).astype(np.uint8)
    (course,) = correct_towards(edit := new_edit(shown), truth, [0.999], SURE, PAIR)
    assert (course.used, course.undone) == ({}, 1)
    assert course.effort.strokes >= 1, "then the brush mends it"
    assert course.effort.dice_after > 0.97
    assert course.effort.clicks == 1 + 2 + course.effort.strokes, "the sheath grown and taken back; one class painted"
    assert np.count_nonzero(edit.classes != truth) < 0.3 * np.count_nonzero(shown != truth)


def test_every_tool_is_a_step_of_undo_that_leads_back_to_the_proposal(new_edit):
    shown = with_gap()
    (course,) = correct_towards(edit := new_edit(shown), LARGE, [0.97], SURE, PAIR)
    steps = 0
    while edit.can_undo:
        edit.undo()
        steps += 1
    assert steps == sum(course.used.values()) + 1, "the tools and the acceptance"
    np.testing.assert_array_equal(edit.classes, shown)


def test_unknown_pixels_stay_ignored_whatever_a_tool_does(new_edit):
    truth = TRUTH.copy()
    truth[:, 70:] = 255
    shown = replaced(TRUTH, (1, 0))
    (course,) = correct_towards(edit := new_edit(shown), truth, [0.97], SURE, PAIR)
    assert course.used
    assert (edit.state[:, 70:] == IGNORED).all()
    np.testing.assert_array_equal(edit.classes[:, 70:], shown[:, 70:])


def test_without_tools_every_goal_costs_what_it_costs_alone(new_edit):
    shown = fibre((24, 28), (70, 60), axon=8, sheath=7)
    goals, habits = (0.9, 0.8, 0.85), ToolHabits(looks=3)
    courses = correct_towards(new_edit(shown), TRUTH, goals, habits)
    for goal, course in zip(goals, courses, strict=True):
        alone = AnnotatorConfig(target_dice=goal, looks=3)
        assert course.effort == correct_tile(new_edit(shown), TRUTH, alone)
        assert not course.used


def test_a_goal_out_of_reach_costs_all_that_was_spent_in_vain(new_edit):
    blind = ToolHabits(small_seen=0)
    near, far = correct_towards(new_edit(fibre((26, 26))), TRUTH, (0.8, 1.0), blind, PAIR)
    assert near.effort.dice_after >= 0.8
    assert far.effort.dice_after < 1
    assert far.effort.seconds >= near.effort.seconds


def test_a_truth_of_another_shape_is_refused(new_edit):
    with pytest.raises(ValueError, match="the truth"):
        correct_towards(new_edit(TRUTH), TRUTH[:5], [0.9])
