import numpy as np
import pytest

from histobridge.core.corrections import TileEdit, tile_status
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid
from histobridge.core.tools.pick import accept_object
from histobridge.core.tools.result import ToolError, View

SHAPE = (40, 64)
TILES = tile_grid(SHAPE, tile=32, overlap=8)
TILE = TILES[0]


@pytest.fixture
def edit(tmp_path):
    store = LabelStore(tmp_path, SHAPE, writable=True)
    yield TileEdit(store, TILE, np.ones((32, 32), np.uint8), "run-1")
    store.close()


def mask_of(rows, columns):
    mask = np.zeros((32, 32), bool)
    mask[rows, columns] = True
    return mask


def test_accepting_one_object_leaves_the_rest_of_the_tile_open(edit):
    mask = mask_of(slice(4, 10), slice(4, 8))
    assert edit.accept_only(mask) == 24
    np.testing.assert_array_equal(edit.state == 1, mask)
    assert edit.status == "corrected"
    assert (edit.store.read(TILE.window)[0][mask] == 1).all()


def test_accepting_one_object_is_one_step_that_can_be_taken_back(edit):
    mask = mask_of(slice(4, 10), slice(4, 8))
    assert edit.accept_only(mask) == 24
    assert edit.accept_only(mask) == 0
    edit.undo()
    assert not edit.state.any()
    assert not edit.can_undo
    edit.redo()
    np.testing.assert_array_equal(edit.state == 1, mask)


def test_what_was_painted_or_ignored_is_not_accepted_instead(edit):
    painted = edit.classes
    painted[5, 5] = 2
    edit.commit(painted)
    edit.ignore(mask_of(6, 6))
    assert edit.accept_only(mask_of(slice(5, 8), slice(5, 8))) == 7
    assert edit.state[5, 5] == 2
    assert edit.state[6, 6] == 3


def test_an_accepted_object_is_accepted_after_a_restart(edit):
    mask = mask_of(slice(4, 10), slice(4, 8))
    edit.accept_only(mask)
    edit.store.close()
    store = LabelStore(edit.store.folder, SHAPE, writable=True)
    np.testing.assert_array_equal(TileEdit(store, TILE).state == 1, mask)
    assert tile_status(store, TILE) == "corrected"
    store.close()


def test_a_mask_of_another_shape_is_refused(edit):
    with pytest.raises(ValueError, match="mask"):
        edit.accept_only(np.ones((3, 3), bool))


def test_the_object_under_the_click_is_the_axon_with_its_own_sheath(scene):
    tile = scene((60, 90), inner=5, outer=3).fibre((30, 30), 10, 5).fibre((30, 59), 10, 5)
    left, right = accept_object(tile.view, (30, 30)), accept_object(tile.view, (31, 72))
    np.testing.assert_array_equal(left | right, tile.classes > 0)
    assert not (left & right).any()
    assert left[30, 44]
    assert right[30, 46]


def test_ownership_set_by_hand_decides_what_is_accepted(scene):
    tile = scene((60, 60)).fibre((30, 30), 10, 5)
    fibres = np.where(tile.classes > 0, np.where(np.indices((60, 60))[0] < 30, 1, 2), 0).astype(np.uint32)
    mask = accept_object(View(tile.classes, None, 1, 2, fibres), (25, 30))
    np.testing.assert_array_equal(mask, fibres == 1)


def test_an_object_of_a_class_by_itself_is_its_connected_pixels(scene):
    tile = scene((30, 30), inner=0, outer=0)
    tile.classes[2:5, 2:5] = tile.classes[10:14, 10:20] = 1
    assert accept_object(tile.view, (3, 3)).sum() == 9
    assert accept_object(tile.view, (12, 12)).sum() == 40


def test_an_object_larger_than_the_first_look_is_found_whole(scene):
    tile = scene((420, 420)).fibre((210, 210), 150, 20)
    np.testing.assert_array_equal(accept_object(tile.view, (210, 210)), tile.classes > 0)


@pytest.mark.parametrize("at", [(1, 1), (20, 20), (-3, 5)])
def test_no_object_no_acceptance(scene, at):
    tile = scene((60, 60)).fibre((30, 30), 10, 5)
    tile.classes[20, 20] = 255
    with pytest.raises(ToolError, match="Nothing was changed"):
        accept_object(tile.view, at)
