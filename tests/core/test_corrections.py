import time

import numpy as np
import pytest

from histobridge.core.corrections import TileEdit, tile_status
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (40, 64)
TILES = tile_grid(SHAPE, tile=32, overlap=8)
FIRST, SECOND = TILES[0], TILES[1]
PROPOSAL = (np.indices((32, 32)).sum(axis=0) // 8 % 3).astype(np.uint8)
BOX = (slice(4, 8), slice(4, 8))


@pytest.fixture
def store(tmp_path):
    store = LabelStore(tmp_path, SHAPE, writable=True)
    yield store
    store.close()


def paint(edit, area, value, near=None):
    painted = edit.classes
    painted[area] = value
    return edit.commit(painted, near)


def reopen(store):
    store.close()
    return LabelStore(store.folder, SHAPE, writable=True)


def test_a_fresh_tile_shows_the_proposal(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    np.testing.assert_array_equal(edit.classes, PROPOSAL)
    np.testing.assert_array_equal(edit.baseline, PROPOSAL)
    assert not edit.state.any()
    assert not edit.changed.any()
    assert not edit.can_undo
    assert not edit.can_redo
    assert edit.status == "proposed"


def test_without_a_proposal_it_shows_what_is_stored(tmp_path):
    masks = np.ones(SHAPE, np.uint8)
    store = LabelStore.create(tmp_path, SHAPE, masks, state=np.zeros(SHAPE, np.uint8))
    edit = TileEdit(store, FIRST)
    assert (edit.classes == 1).all()
    assert edit.status == tile_status(store, FIRST) == "open"
    store.close()


def test_a_stroke_is_corrected_and_found_by_comparison(store):
    edit = TileEdit(store, FIRST, np.zeros((32, 32), np.uint8), "run-1")
    assert paint(edit, BOX, 2) == 16
    expected = np.zeros((32, 32), bool)
    expected[BOX] = True
    np.testing.assert_array_equal(edit.changed, expected)
    np.testing.assert_array_equal(edit.state, 2 * expected)
    assert edit.status == tile_status(store, FIRST) == "corrected"


def test_committing_the_same_again_makes_no_step(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    assert edit.commit(PROPOSAL) == 0
    assert not edit.can_undo


def test_the_hint_may_reach_over_the_edge_and_gives_the_same(store):
    edit = TileEdit(store, FIRST, np.zeros((32, 32), np.uint8), "run-1")
    assert paint(edit, (slice(0, 3), slice(0, 3)), 1, near=(slice(0, 60), slice(0, 4))) == 9
    assert paint(edit, (slice(20, 22), slice(20, 22)), 1, near=(slice(18, 25), slice(19, 24))) == 4
    assert int(store.read(FIRST.window)[0].sum()) == 13


def test_painting_back_to_the_proposal_by_brush_stays_corrected_but_undo_does_not(store):
    edit = TileEdit(store, FIRST, np.zeros((32, 32), np.uint8), "run-1")
    paint(edit, BOX, 1)
    paint(edit, BOX, 0)
    assert (edit.state[BOX] == 2).all()
    assert not edit.changed.any()
    edit.undo()
    assert not edit.undo().any()
    assert not edit.state.any()
    assert edit.undo() is None
    assert edit.status == "proposed"


def test_undo_and_redo_walk_through_the_steps(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    shown = [edit.classes]
    for value in (1, 2, 0):
        paint(edit, (slice(value, 9), slice(value, 9)), value)
        shown.append(edit.classes)
    for earlier in reversed(shown[:-1]):
        np.testing.assert_array_equal(edit.undo(), earlier)
    for later in shown[1:]:
        np.testing.assert_array_equal(edit.redo(), later)
    assert edit.redo() is None
    edit.undo()
    paint(edit, BOX, 7)
    assert not edit.can_redo, "a new stroke ends what could be redone"


def test_undo_goes_on_after_the_program_was_closed(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    paint(edit, BOX, 5)
    paint(edit, BOX, 6)
    edit.undo()
    store = reopen(store)
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    assert (edit.redo()[BOX] == 6).all()
    store = reopen(store)
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    edit.undo()
    np.testing.assert_array_equal(edit.undo(), PROPOSAL)
    store.close()


def test_accept_writes_the_proposal_down_once_and_can_be_undone(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    paint(edit, BOX, 7)
    assert edit.accept() == 32 * 32 - 16
    shown = edit.classes
    assert edit.accept() == 0
    classes, state = store.read(FIRST.window)
    np.testing.assert_array_equal(classes, shown)
    assert (state[BOX] == 2).all()
    assert (np.delete(state.ravel(), np.ravel_multi_index(np.mgrid[BOX], (32, 32)).ravel()) == 1).all()
    assert edit.status == tile_status(store, FIRST) == "accepted"
    np.testing.assert_array_equal(edit.undo(), shown)
    assert (edit.state != 1).all()
    assert edit.status == "corrected"
    edit.redo()
    assert edit.status == "accepted"


def test_a_tile_with_nothing_left_to_decide_can_be_accepted(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    edit.ignore(np.ones((32, 32), bool))
    assert edit.status == "corrected"
    assert edit.accept() == 0
    assert edit.status == "accepted"
    edit.undo()
    assert edit.status == "corrected"


def test_ignored_pixels_keep_their_class_until_painted(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    mask = np.zeros((32, 32), bool)
    mask[0:8, 0:8] = True
    assert edit.ignore(mask) == 64
    assert edit.ignore(mask) == 0
    np.testing.assert_array_equal(store.read(FIRST.window)[0][mask], PROPOSAL[mask])
    paint(edit, BOX, 9)
    assert (edit.state[BOX] == 2).all()
    assert (edit.state[:4, :8] == 3).all()
    edit.undo()
    assert (edit.state[mask] == 3).all()
    edit.undo()
    assert not edit.state.any()


def test_an_ignored_pixel_painted_in_its_own_class_is_no_longer_ignored(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    mask = np.zeros((32, 32), bool)
    mask[BOX] = True
    edit.ignore(mask)
    assert edit.commit(edit.classes) == 0
    assert edit.commit(edit.classes, repainted=mask) == 16
    assert (edit.state[BOX] == 2).all()
    edit.undo()
    assert (edit.state[BOX] == 3).all()


def test_skip_is_noted_until_the_next_correction(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    edit.skip()
    assert edit.status == tile_status(store, FIRST) == "skipped"
    assert not edit.can_undo
    paint(edit, BOX, 7)
    assert edit.status == "corrected"
    edit.skip()
    assert edit.status == "skipped"
    edit.accept()
    assert edit.status == "accepted"


def test_a_newer_proposal_is_merged_where_nobody_has_decided(store):
    edit = TileEdit(store, FIRST, np.zeros((32, 32), np.uint8), "run-1")
    paint(edit, BOX, 7)
    newer = np.full((32, 32), 2, np.uint8)
    edit = TileEdit(store, FIRST, newer, "run-2")
    expected = newer.copy()
    expected[BOX] = 7
    np.testing.assert_array_equal(edit.classes, expected)
    assert (edit.undo() == 2).all(), "undo returns to the model, which now says 2"
    assert [(entry.kind, entry.proposal) for entry in store.journal.entries] == [
        ("merge", "run-1"),
        ("stroke", "run-1"),
        ("merge", "run-2"),
        ("undo", "run-2"),
    ]


def test_opening_again_with_the_same_proposal_notes_nothing(store):
    for _ in range(3):
        TileEdit(store, FIRST, PROPOSAL, "run-1")
    assert len(store.journal.entries) == 1
    assert tile_status(store, FIRST) == "proposed"
    assert tile_status(store, SECOND) == "open"


def test_neighbours_see_each_other_and_undo_leaves_later_changes(store):
    left = TileEdit(store, FIRST, np.zeros((32, 32), np.uint8), "run-1")
    paint(left, (slice(0, 4), slice(20, 32)), 1)
    right = TileEdit(store, SECOND, np.zeros((32, 32), np.uint8), "run-1")
    assert SECOND.window[1] == slice(24, 56)
    assert (right.classes[0:4, 0:8] == 1).all()
    paint(right, (slice(0, 4), slice(0, 4)), 2)
    shown = left.undo()
    assert (shown[0:4, 24:28] == 2).all(), "the neighbour's later stroke stays"
    assert not shown[0:4, 28:32].any()
    assert not shown[0:4, 20:24].any()


def test_an_open_tile_that_is_out_of_date_changes_only_what_was_painted_in_it(store):
    left = TileEdit(store, FIRST)
    right = TileEdit(store, SECOND)
    paint(right, (slice(0, 4), slice(0, 8)), 2)
    paint(left, (slice(0, 2), slice(22, 26)), 5)
    assert (TileEdit(store, SECOND).classes[0:2, 0:2] == 5).all()
    assert (TileEdit(store, SECOND).classes[2:4, 0:8] == 2).all()
    shown = left.undo()
    assert (shown[0:4, 24:32] == 2).all(), "undo gives back the neighbour's pixels"


def test_undo_reaches_a_stroke_made_with_another_tile_size(store):
    (whole,) = tile_grid(SHAPE)
    paint(TileEdit(store, whole), (slice(0, 40), slice(0, 64)), 1)
    edit = TileEdit(store, FIRST)
    assert not edit.undo().any()
    assert not store.read(whole.window)[0].any()


@pytest.mark.parametrize("value", [255, -1, 300])
def test_values_that_are_no_class_are_refused(store, value):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    painted = edit.classes.astype(int)
    painted[BOX] = value
    with pytest.raises(ValueError, match="0 to 254"):
        edit.commit(painted)
    assert not edit.changed.any()
    assert not edit.can_undo


def test_wrong_shapes_are_refused(store):
    with pytest.raises(ValueError, match="the proposal"):
        TileEdit(store, FIRST, PROPOSAL[:5])
    edit = TileEdit(store, FIRST)
    with pytest.raises(ValueError, match="painted labels"):
        edit.commit(PROPOSAL[:5])
    with pytest.raises(ValueError, match="mask"):
        edit.ignore(np.ones((5, 5), bool))


def test_painting_on_a_copy_does_not_change_the_tile(store):
    edit = TileEdit(store, FIRST, PROPOSAL, "run-1")
    for array in (edit.classes, edit.state):
        array[:] = 9
    assert not edit.changed.any()
    assert not edit.state.any()


def test_a_stroke_on_a_large_tile_is_taken_in_a_few_milliseconds(tmp_path):
    store = LabelStore(tmp_path, (1024, 1024), writable=True)
    (tile,) = tile_grid((1024, 1024))
    edit = TileEdit(store, tile, np.zeros((1024, 1024), np.uint8), "run-1")
    seconds = []
    for number in range(20):
        painted = edit.classes
        painted[number * 20 : number * 20 + 40, 300:340] = 1 + number % 2
        start = time.perf_counter()
        edit.commit(painted)
        seconds.append(time.perf_counter() - start)
    assert edit.flush(timeout=1.0)
    assert min(seconds) < 0.005, "under a millisecond on an idle machine"
    store.close()
