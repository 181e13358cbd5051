from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.tiles import own_window, tile_grid, tile_of

SIDES = st.integers(1, 200)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(20, 100), st.integers(0, 9))
def test_tiles_cover_every_pixel_and_overlap_as_asked(height, width, tile, overlap):
    covered = np.zeros((height, width), bool)
    tiles = tile_grid((height, width), tile, overlap)
    for one in tiles:
        assert one.shape == (min(tile, height), min(tile, width))
        assert covered[one.window].shape == one.shape
        covered[one.window] = True
    assert covered.all()
    spans = sorted({(t.window[0].start, t.window[0].stop) for t in tiles})
    assert all(earlier[1] - later[0] >= overlap for earlier, later in pairwise(spans))


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(20, 100), st.integers(0, 9), st.data())
def test_every_pixel_has_one_owner_that_holds_it(height, width, tile, overlap, data):
    tiles = tile_grid((height, width), tile, overlap)
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, columns = tile_of(tiles, y, x).window
    assert rows.start <= y < rows.stop
    assert columns.start <= x < columns.stop
    assert tile_of(tuple(reversed(tiles)), y, x) == tile_of(tiles, y, x)
    covered = np.zeros((height, width), int)
    for each in tiles:
        covered[own_window(tiles, each)] += 1
    assert (covered == 1).all()
    rows, columns = own_window(tiles, tile_of(tiles, y, x))
    assert rows.start <= y < rows.stop
    assert columns.start <= x < columns.stop


def test_ids_are_unique_and_read_as_row_and_column():
    tiles = tile_grid((3000, 2000))
    assert tiles[0].id == "r000c000"
    assert tiles[1].id == "r000c001"
    assert len({tile.id for tile in tiles}) == len(tiles)


def test_an_image_that_is_not_larger_is_one_tile():
    (tile,) = tile_grid((1024, 700))
    assert tile.window == (slice(0, 1024), slice(0, 700))


def test_the_last_tile_ends_at_the_border():
    tiles = tile_grid((1024, 1100))
    assert [tile.window[1] for tile in tiles] == [slice(0, 1024), slice(76, 1100)]


def test_a_pixel_outside_the_image_has_no_owner():
    with pytest.raises(ValueError, match="outside"):
        tile_of(tile_grid((50, 50)), 50, 0)


def test_an_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="overlap"):
        tile_grid((50, 50), tile=10, overlap=10)
