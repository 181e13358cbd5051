"""Cut touching fibres apart, and join fragments."""

import numpy as np
import pytest
from fibre_fields import PAIRS, fibre, touching, view_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from histobridge.core.delta import Owner
from histobridge.core.fibres import number_fibres
from histobridge.core.synthetic import two_modalities
from histobridge.core.tools.cut import cut
from histobridge.core.tools.merge import merge
from histobridge.core.tools.result import ToolError

BETWEEN = np.array([[5.0, 40.0], [55.0, 40.0]])
FIELDS = two_modalities(1, 160, seed=2)


def masses(classes, place, other):
    """Whether two places hang together over labels."""
    regions, _ = ndimage.label((classes != 0) & (classes != 255), np.ones((3, 3)))
    return regions[place] == regions[other]


def fibres_of(classes, result, pair=(1, 2)):
    return number_fibres(result.classes, pair, [], result.owners)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_stroke_parts_two_fibres_by_a_line_one_pixel_wide(pair):
    classes = touching(pair)
    result = cut(view_of(classes, pair), BETWEEN)
    assert not masses(result.classes, (30, 25), (30, 55))
    changed = result.classes != classes
    assert (result.classes[changed] == 0).all()
    assert changed.sum(axis=1).max() == 1
    fibres = fibres_of(classes, result, pair)
    assert set(fibres[:, :40][result.classes[:, :40] != 0]) == {fibres[30, 25]}
    assert set(fibres[:, 41:75][result.classes[:, 41:75] != 0]) == {fibres[30, 55]}
    assert "each side" in result.message


def test_off_the_middle_each_side_still_belongs_to_its_axon():
    classes = touching()
    result = cut(view_of(classes), BETWEEN + np.array([0.0, 4.0]))
    fibres = fibres_of(classes, result)
    assert fibres[30, 43] == fibres[30, 25] != fibres[30, 45]
    assert fibres[30, 45] == fibres[30, 55]


def test_a_cut_overrules_what_was_owned_before():
    classes = touching()
    owner = Owner((30, 25), (slice(20, 41), slice(40, 46)), np.ones((21, 6), bool))
    result = cut(view_of(classes, owners=(owner,)), BETWEEN)
    fibres = number_fibres(result.classes, (1, 2), [], (owner, *result.owners))
    assert fibres[30, 43] == fibres[30, 55]


def test_without_width_only_ownership_changes():
    classes = touching()
    result = cut(view_of(classes), BETWEEN + np.array([0.0, 4.0]), width_px=0)
    np.testing.assert_array_equal(result.classes, classes)
    fibres = fibres_of(classes, result)
    assert fibres[30, 43] == fibres[30, 25]
    assert fibres[30, 46] == fibres[30, 55]
    assert result.owners


def wide():
    return fibre(fibre(np.zeros((90, 110), np.uint8), (45, 30), 10, 30), (45, 75), 10, 30)


def test_a_stroke_without_width_has_to_go_all_the_way():
    with pytest.raises(ToolError, match="right through"):
        cut(view_of(wide()), np.array([[40.0, 56.0], [50.0, 56.0]]), width_px=0)


def test_an_end_that_stops_short_is_drawn_on_to_the_background():
    classes = touching()
    rows = np.flatnonzero(classes[:, 40])
    short = np.array([[rows[0] + 4.0, 40.0], [rows[-1] - 4.0, 40.0]])
    assert not masses(cut(view_of(classes), short).classes, (30, 25), (30, 55))


def test_a_stroke_that_does_not_part_them_says_so():
    classes = wide()
    result = cut(view_of(classes), np.array([[40.0, 52.0], [50.0, 52.0]]))
    assert "still touch" in result.message
    assert masses(result.classes, (45, 30), (45, 75))


def test_a_broad_line_is_as_wide_as_asked():
    classes = touching()
    changed = cut(view_of(classes), BETWEEN, width_px=5).classes != classes
    assert changed[30].sum() == 5


def test_an_axon_is_spared_unless_the_stroke_divides_it():
    classes = touching()
    graze = np.array([[5.0, 33.0], [55.0, 33.0]])
    np.testing.assert_array_equal(cut(view_of(classes), graze).classes == 1, classes == 1)
    through = cut(view_of(classes), np.array([[5.0, 25.0], [55.0, 25.0]]))
    assert ndimage.label(through.classes == 1)[1] == 4
    assert "in two" in through.message


def test_a_fibre_that_the_stroke_does_not_cross_keeps_every_pixel():
    classes = touching()
    other = number_fibres(classes, (1, 2), [])
    result = cut(view_of(classes), np.array([[5.0, 30.0], [55.0, 30.0]]), width_px=25)
    assert (result.classes == classes)[other == other[30, 55]].all()


def test_other_classes_are_cut_too():
    classes = np.zeros((20, 20), np.uint8)
    classes[5:15, 2:18] = 9
    result = cut(view_of(classes, (0, 0)), np.array([[2.0, 10.0], [18.0, 10.0]]))
    assert not result.classes[:, 10].any()
    assert (result.classes != classes).sum() == 10


@pytest.mark.parametrize(
    ("path", "why"),
    [([[1, 1], [3, 3]], "no label"), ([[-9, -9], [-5, -5]], "outside"), ([[30, 25], [30, 26]], "enters")],
)
def test_a_stroke_that_cuts_nothing_says_so(path, why):
    with pytest.raises(ToolError, match=why):
        cut(view_of(touching()), np.array(path, float))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_cut_only_makes_background_and_leaves_ignored_pixels(data):
    classes = FIELDS[data.draw(st.sampled_from([0, 1]))].classes.copy()
    classes[60:90, 60:90] = 255
    path = np.array(data.draw(st.lists(st.tuples(st.floats(-20, 180), st.floats(-20, 180)), min_size=1, max_size=3)))
    try:
        result = cut(view_of(classes), path, width_px=data.draw(st.sampled_from([0, 1, 3])))
    except ToolError:
        return
    changed = result.classes != classes
    assert (result.classes[changed] == 0).all()
    assert not changed[classes == 255].any()
    outside = np.ones(classes.shape, bool)
    outside[result.near] = False
    assert not changed[outside].any()
    for owner in result.owners:
        assert result.classes[owner.axon] == 1
        assert (result.classes[owner.window][owner.mask] == 2).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_two_halves_of_a_fibre_become_one_with_one_owner(pair):
    whole = fibre(np.zeros((60, 60), np.uint8), (30, 30), 10, 8, pair)
    classes = whole.copy()
    classes[28:33] = 0
    result = merge(view_of(classes, pair), (24, 30), (36, 30))
    axons, count = ndimage.label(result.classes == pair[0])
    assert count == 1
    fibres = fibres_of(classes, result, pair)
    assert len(np.unique(fibres)) == 2
    grown = ndimage.binary_dilation(axons > 0)
    bridge = (result.classes == pair[0]) & (classes == 0)
    assert bridge.any()
    assert (result.classes[ndimage.binary_dilation(bridge) & grown] != 0).all(), "the bridge has a sheath"


def test_a_loose_piece_of_sheath_joins_the_fibre_and_belongs_to_its_axon():
    classes = np.zeros((60, 90), np.uint8)
    fibre(classes, (30, 25), 8, 6)
    fibre(classes, (30, 75), 8, 6)
    classes[20:40, 45:52] = 2
    result = merge(view_of(classes), (30, 48), (30, 75))
    np.testing.assert_array_equal(result.classes == 1, classes == 1)
    fibres = fibres_of(classes, result)
    assert (fibres[20:40, 45:52] == fibres[30, 75]).all()
    assert fibres[30, 25] not in fibres[20:40, 45:52]
    assert masses(result.classes, (30, 48), (30, 75))


def test_the_bridge_goes_round_other_objects_and_never_through_them():
    classes = np.zeros((60, 60), np.uint8)
    classes[28:32, 5:10], classes[28:32, 50:55], classes[10:50, 30] = 4, 4, 6
    result = merge(view_of(classes, (0, 0)), (30, 6), (30, 52))
    assert (result.classes[10:50, 30] == 6).all()
    assert ndimage.label(result.classes == 4)[1] == 1
    classes[:, 30] = 6
    with pytest.raises(ToolError, match="another object"):
        merge(view_of(classes, (0, 0)), (30, 6), (30, 52))


@pytest.mark.parametrize(
    ("second", "why"), [((1, 1), "both fragments"), ((30, 26), "one object already"), ((65, 50), "different classes")]
)
def test_what_cannot_be_joined_says_so(second, why):
    classes = touching()
    classes[64:67, 45:60] = 9
    with pytest.raises(ToolError, match=why):
        merge(view_of(classes), (30, 25), second)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_merge_keeps_all_other_fibres_and_ignored_pixels(data):
    classes = FIELDS[data.draw(st.sampled_from([0, 1]))].classes.copy()
    classes[70:76, 70:90] = 255
    fibres = number_fibres(classes, (1, 2), [])
    labelled = np.argwhere(fibres)
    one, two = (tuple(labelled[data.draw(st.integers(0, len(labelled) - 1))]) for _ in range(2))
    try:
        result = merge(view_of(classes, fibres=fibres.astype(np.uint32)), one, two)
    except ToolError:
        return
    changed = result.classes != classes
    assert np.isin(fibres[changed], (0, fibres[one], fibres[two])).all()
    assert not changed[classes == 255].any()
    assert (result.classes[changed] != 0).all()
