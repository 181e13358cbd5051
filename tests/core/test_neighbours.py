"""What is drawn around a tile, and windows that hold a fibre whole."""

import numpy as np
import pytest

from histobridge.core.neighbours import LARGEST_PX, MARGIN_PX, outlines, shown, surroundings, whole_window, window_at
from histobridge.core.states import CORRECTED, IGNORED, MODEL
from histobridge.core.tiles import tile_grid


class Kept:
    """Labels in memory."""

    def __init__(self, classes, state=None):
        self.shape = classes.shape
        self._arrays = classes, np.full(classes.shape, CORRECTED, np.uint8) if state is None else state

    def read(self, window):
        return tuple(array[window].copy() for array in self._arrays)


def disc(shape, middle, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (np.hypot(y - middle[0], x - middle[1]) <= radius).astype(np.uint8)


def test_decided_pixels_are_shown_as_stored_and_all_others_as_proposed():
    state = np.array([[MODEL, CORRECTED, IGNORED]], np.uint8)
    store = Kept(np.full((1, 3), 1, np.uint8), state)
    window = (slice(0, 1), slice(0, 3))
    assert shown(store, np.full((1, 3), 2, np.uint8), window).tolist() == [[2, 1, 255]]
    assert shown(store, None, window).tolist() == [[1, 1, 255]]


def test_an_outline_is_two_pixels_wide_inside_its_region():
    classes = np.zeros((20, 20), np.uint8)
    classes[5:15, 5:15] = 3
    expected = classes.copy()
    expected[7:13, 7:13] = 0
    np.testing.assert_array_equal(outlines(classes), expected)


def test_the_tile_stays_free_and_what_lies_around_it_is_outlined():
    classes = np.zeros((100, 100), np.uint8)
    classes[40:60, 10:90] = 1
    window = (slice(30, 70), slice(30, 70))
    drawn, outer = surroundings(Kept(classes), None, window, margin=20)
    assert outer == (slice(10, 90), slice(10, 90))
    assert not drawn[20:60, 20:60].any()
    assert (drawn[30, 2:15] == 1).all()
    assert not drawn[35:45, 5:15].any()
    assert (drawn[19, 20:60] == 255).all()
    assert not drawn[5, 5:75].any()


def test_a_tile_that_is_the_whole_image_has_no_surroundings():
    store = Kept(np.ones((64, 64), np.uint8))
    (tile,) = tile_grid(store.shape)
    assert surroundings(store, None, tile.window) is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [((50, 50), (slice(30, 70), slice(30, 70))), ((0, 99), (slice(0, 40), slice(60, 100)))],
)
def test_a_window_lies_around_a_pixel_and_inside_the_image(at, expected):
    assert window_at(at, (40, 40), (100, 100)) == expected


def test_a_fibre_across_the_border_lies_whole_in_the_window():
    fibre = disc((1200, 1200), (600, 500), 150)
    window = whole_window(Kept(fibre), None, (600, 640), (400, 400))
    assert fibre[window].sum() == fibre.sum()
    assert window[0].stop - window[0].start == 301 + MARGIN_PX
    assert window[1].start + window[1].stop == 1001


def test_a_proposed_fibre_is_found_where_nothing_is_stored():
    fibre = disc((700, 700), (300, 400), 100)
    nothing = np.zeros_like(fibre)
    window = whole_window(Kept(nothing, nothing), fibre, (300, 310), (128, 128))
    assert fibre[window].sum() == fibre.sum()


def test_background_and_fibres_without_end_are_seen_around_the_pixel():
    classes = np.zeros((100, 3 * LARGEST_PX), np.uint8)
    classes[40:60] = 1
    for at in ((10, 3000), (50, 3000)):
        assert whole_window(Kept(classes), None, at, (80, 80))[1] == slice(2960, 3040)
