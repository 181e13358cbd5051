import numpy as np
import pytest

from histobridge.core.corrections import TileEdit, tile_status
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

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
