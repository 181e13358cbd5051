"""The rules of myelinated fibres, and that checking nearby tells the same as checking all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.delta import Owner
from histobridge.core.rules import check_rules
from histobridge.core.synthetic import two_modalities
from histobridge.core.tools.result import View

PAIRS = [(1, 2), (7, 200)]
FIELD = two_modalities(1, 256, seed=4)[0].classes


def view_of(classes, pair=(1, 2), **more):
    return View(classes, None, *pair, **more)


def disc(shape, centre, radius):
    return np.hypot(*(grid - place for grid, place in zip(np.indices(shape), centre, strict=True))) <= radius


def fibre(classes, centre, radius=9, thickness=4, pair=(1, 2)):
    classes[disc(classes.shape, centre, radius + thickness) & (classes != pair[0])] = pair[1]
    classes[disc(classes.shape, centre, radius)] = pair[0]
    return classes


def field(*centres, pair=(1, 2)):
    classes = np.zeros((100, 120), np.uint8)
    for centre in centres:
        fibre(classes, centre, pair=pair)
    return classes


def told(classes, pair=(1, 2), **more):
    return [(each.kind, each.at) for each in check_rules(view_of(classes, pair, **more))]


def only(classes, pair=(1, 2), **more):
    (found,) = check_rules(view_of(classes, pair, **more))
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_whole_fibres_that_touch_or_not_break_no_rule(pair):
    assert told(field((40, 30), (40, 54), (75, 90), pair=pair), pair) == []


@pytest.mark.parametrize("pair", PAIRS)
def test_an_open_sheath_is_marked_at_its_gap(pair):
    classes = field((40, 30), (70, 80), pair=pair)
    classes[38:43, 40:48] = 0
    found = only(classes, pair)
    assert found.kind == "open"
    assert np.hypot(found.at[0] - 40, found.at[1] - 40) < 4
    assert found.window == (slice(31, 50), slice(21, 40))
    assert "open" in found.words


def test_a_gap_that_only_a_corner_closes_is_none():
    classes = field((40, 30))
    classes[disc(classes.shape, (40, 30), 13) & ~disc(classes.shape, (40, 30), 12)] = 2
    assert told(classes) == []
    one_wide = np.zeros((30, 30), np.uint8)
    one_wide[5:25, 5:25] = 2
    one_wide[6:24, 6:24] = 1
    one_wide[5, 5] = 0
    assert told(one_wide) == []


def test_an_axon_without_a_sheath_is_marked_inside():
    classes = field((40, 30))
    classes[disc(classes.shape, (70, 80), 6)] = 1
    found = only(classes)
    assert found.kind == "bare"
    assert classes[found.at] == 1


def test_free_space_inside_a_closed_sheath_is_no_gap():
    classes = field((40, 30))
    classes[disc(classes.shape, (40, 30), 9) & ~disc(classes.shape, (40, 30), 8)] = 0
    assert told(classes) == []


def test_two_axons_in_one_sheath_are_marked_once():
    classes = fibre(np.zeros((80, 80), np.uint8), (40, 40), 16, 5)
    classes[24:57, 39:42] = 0
    found = only(classes)
    assert (found.kind, found.words) == ("shared", "2 axons in one sheath")
    assert classes[found.at] == 1


def test_a_wall_of_sheath_between_two_axons_is_enough():
    classes = fibre(np.zeros((80, 80), np.uint8), (40, 40), 16, 5)
    classes[24:57, 39:42] = 2
    assert told(classes) == []


def test_a_sheath_without_an_axon_is_marked_unless_it_was_given_to_one_or_is_a_speck():
    classes = field((40, 30))
    classes[80:90, 60:70] = 2
    classes[5:8, 100:103] = 2
    found = only(classes)
    assert found.kind == "empty"
    assert classes[found.at] == 2
    assert found.window == (slice(80, 90), slice(60, 70))
    owner = Owner((40, 30), found.window, np.ones((10, 10), bool))
    assert told(classes, owners=(owner,)) == []


def test_a_sheath_given_away_is_marked_at_the_axon_that_lost_it():
    classes = field((40, 30), (40, 54))
    everything = Owner((40, 30), (slice(25, 56), slice(45, 70)), np.ones((31, 25), bool))
    found = only(classes, owners=(everything,))
    assert found.kind == "taken"
    assert found.at == (40, 54)
    border = Owner((40, 30), (slice(25, 56), slice(41, 44)), np.ones((31, 3), bool))
    assert told(classes, owners=(border,)) == []


@pytest.mark.parametrize("centre", [(40, 5), (40, 11), (92, 60), (2, 100)])
def test_fibres_cut_by_the_edge_of_the_tile_are_not_judged(centre):
    classes = field(centre)
    classes[centre[0] - 1 : centre[0] + 2, centre[1] + 10 : centre[1] + 15] = 0
    assert told(classes) == []


def test_beside_ignored_pixels_nothing_is_judged():
    classes = field((40, 30))
    classes[38:43, 40:48] = 0
    classes[30:50, 42:50] = 255
    assert told(classes) == []


def test_class_sets_without_a_nested_pair_have_no_rules():
    classes = field((40, 30))
    classes[38:43, 40:48] = 0
    assert told(classes, (0, 0)) == []


def test_an_empty_tile_breaks_no_rule():
    assert told(np.zeros((30, 40), np.uint8)) == []
    assert told(np.full((30, 40), 2, np.uint8)) == []


def test_a_mended_sheath_is_no_longer_marked_and_the_other_mark_stays():
    classes = field((40, 30), (40, 90))
    classes[39:42, 40:44], classes[39:42, 100:104] = 0, 0
    before = check_rules(view_of(classes))
    assert len(before) == 2
    mended = classes.copy()
    mended[39:42, 40:44] = 2
    after = check_rules(view_of(mended), (slice(39, 42), slice(40, 44)), before)
    assert [each.window[1] for each in after] == [slice(81, 100)]


STROKE = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(1, 25), st.sampled_from([0, 1, 2, 255]))


def painted(classes, strokes):
    """Paint discs (y, x, radius, value) one after the other; the classes, and what checking near each of them found."""
    known = check_rules(view_of(classes))
    for y, x, radius, value in strokes:
        classes = np.where(disc(classes.shape, (y, x), radius), value, classes).astype(np.uint8)
        near = (slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
        known = check_rules(view_of(classes), near, known)
    return classes, sorted(map(str, known))


def test_a_gap_that_is_not_seen_from_nearby_is_looked_for_in_the_whole_tile():
    classes, known = painted(FIELD, [(131, 33, 16, 1), (0, 0, 1, 0), (6, 0, 25, 0)])
    assert known == sorted(map(str, check_rules(view_of(classes))))


@settings(max_examples=25, deadline=None)
@given(strokes=st.lists(STROKE, min_size=1, max_size=4))
def test_checking_nearby_tells_the_same_as_checking_all(strokes):
    classes, known = painted(FIELD, strokes)
    assert known == sorted(map(str, check_rules(view_of(classes))))
