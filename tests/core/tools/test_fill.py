import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.tools.fill import fill_inner, preview_fill
from histobridge.core.tools.result import ToolError, View

CENTRE = (40, 40)


def changed(view, result):
    """Pixels that changed; all of them must lie in `near`."""
    differ = result.classes != view.classes
    outside = differ.copy()
    outside[result.near] = False
    assert not outside.any()
    return differ


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (7, 3), (254, 100)])
def test_a_closed_ring_is_filled_to_its_inner_outline(scene, inner, outer):
    tile = scene(inner=inner, outer=outer).ring(CENTRE, 15, 4)
    result = fill_inner(tile.view, (44, 35))
    np.testing.assert_array_equal(changed(tile.view, result), tile.distance(CENTRE) < 15)
    assert (result.classes[tile.distance(CENTRE) < 15] == inner).all()
    assert result.leak is None


def test_what_an_axon_leaves_of_its_ring_is_filled(scene):
    tile = scene().ring(CENTRE, 15, 4).axon((40, 36), 8)
    result = fill_inner(tile.view, (40, 36))
    assert (result.classes[tile.distance(CENTRE) < 15] == 1).all()


def test_a_ring_of_single_corners_is_tight(scene):
    tile = scene()
    tile.classes[abs(np.indices((80, 80)) - 40).sum(axis=0) == 10] = 2
    assert (changed(tile.view, fill_inner(tile.view, CENTRE))).sum() == 181


@pytest.mark.parametrize("gap", [1, 4, 9])
def test_an_open_ring_is_not_filled_and_its_gap_is_shown(scene, gap):
    tile = scene().ring(CENTRE, 15, 4, gap)
    preview = preview_fill(tile.view, CENTRE)
    assert not changed(tile.view, preview).any()
    y, x = np.nonzero(preview.leak)
    assert abs(y - 40).max() <= 14
    assert x.min() > 50
    assert x.max() < 75
    assert preview.leak[40, 60]
    assert (tile.classes[preview.leak] == 0).all()
    with pytest.raises(ToolError, match=r"gap of about \d+ px"):
        fill_inner(tile.view, CENTRE)


def test_both_gaps_are_shown(scene):
    tile = scene().ring(CENTRE, 15, 4, 3)
    tile.classes[39:42, :40] = 0
    leak = preview_fill(tile.view, CENTRE).leak
    assert leak[40, 62]
    assert leak[40, 18]


def test_an_open_place_has_no_gap(scene):
    preview = preview_fill(scene().ring(CENTRE, 10, 3).view, (5, 5))
    assert "no ring" in preview.message
    assert preview.leak[5, 5]


def test_an_axon_cut_by_the_edge_of_the_tile_is_filled(scene):
    tile = scene().ring((40, 4), 15, 4)
    result = fill_inner(tile.view, (40, 2))
    np.testing.assert_array_equal(changed(tile.view, result), tile.distance((40, 4)) < 15)
    corner = scene().ring((2, 2), 15, 4)
    np.testing.assert_array_equal(changed(corner.view, fill_inner(corner.view, (0, 0))), corner.distance((2, 2)) < 15)


def test_background_between_two_fibres_at_the_edge_is_open(scene):
    tile = scene().fibre((12, 20), 14, 6).fibre((12, 59), 14, 6)
    with pytest.raises(ToolError):
        fill_inner(tile.view, (2, 40))


def test_an_axon_that_reaches_the_edge_leaves_its_ring_closed(scene):
    tile = scene().ring((40, 4), 15, 4)
    tile.classes[:, :2][tile.classes[:, :2] == 0] = 1
    tile.classes[:20, :2] = tile.classes[61:, :2] = 0
    assert (fill_inner(tile.view, (40, 10)).classes[tile.distance((40, 4)) < 15] == 1).all()


def test_other_classes_and_ignored_pixels_inside_stay(scene):
    tile = scene().ring(CENTRE, 15, 4)
    tile.classes[38:42, 38:42] = 9
    tile.classes[30, 38:42] = 255
    result = fill_inner(tile.view, (45, 45))
    assert (changed(tile.view, result) <= (tile.classes == 0)).all()
    assert changed(tile.view, result).sum() == (tile.distance(CENTRE) < 15).sum() - 20


@pytest.mark.parametrize("at", [(40, 56), (40, 40), (-1, 3), (80, 3)])
def test_a_click_that_makes_no_sense_is_refused(scene, at):
    with pytest.raises(ToolError, match="Nothing was changed"):
        fill_inner(scene().fibre(CENTRE, 15, 4).view, at)


def test_classes_of_which_none_encloses_another_are_refused(scene):
    with pytest.raises(ToolError, match="lies inside"):
        fill_inner(scene(inner=0, outer=0).view, CENTRE)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), at=st.tuples(st.integers(0, 23), st.integers(0, 23)), share=st.floats(0.05, 0.6))
def test_only_background_ever_becomes_the_enclosed_class(seed, at, share):
    generator = np.random.default_rng(seed)
    classes = generator.choice([0, 4, 2, 9, 255], (24, 24), p=[1 - share, 0.02, share - 0.04, 0.01, 0.01])
    view = View(classes.astype(np.uint8), None, 4, 2)
    before = view.classes.copy()
    try:
        result = preview_fill(view, at)
    except ToolError:
        result = None
    np.testing.assert_array_equal(view.classes, before)
    if result is not None:
        differ = changed(view, result)
        assert (before[differ] == 0).all()
        assert (result.classes[differ] == 4).all()
        assert differ.any() == (result.leak is None)
        assert result.leak is None or not result.leak[before == 2].any()
