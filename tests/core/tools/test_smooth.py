import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from histobridge.core.tools.pick import accept_object
from histobridge.core.tools.result import ToolError, View
from histobridge.core.tools.smooth import smooth


def rough(tile, seed=0, share=0.4):
    """Let the outlines of all objects fray."""
    generator = np.random.default_rng(seed)
    for value in (tile.outer, tile.inner):
        mask = tile.classes == value
        rim = ndimage.binary_dilation(mask) & (tile.classes == (0 if value == tile.outer else tile.outer))
        tile.classes[rim & (generator.random(mask.shape) < share)] = value
    return tile


def outline_length(mask):
    return np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])


def unenclosed(view, classes):
    """Pixels of the enclosed class beside background."""
    return (classes == view.inner) & ndimage.binary_dilation(classes == 0)


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (6, 3)])
def test_both_outlines_of_a_fibre_become_smooth(scene, inner, outer):
    tile = rough(scene(inner=inner, outer=outer).fibre((40, 40), 15, 5))
    result = smooth(tile.view, (40, 40), 2)
    exact = scene(inner=inner, outer=outer).fibre((40, 40), 15.4, 5).classes
    assert np.count_nonzero(result.classes != exact) < np.count_nonzero(tile.classes != exact)
    for value in (inner, outer):
        assert outline_length(result.classes == value) < 0.9 * outline_length(tile.classes == value)
    assert not unenclosed(tile.view, result.classes).any()


def test_a_thin_sheath_opens_nowhere(scene):
    tile = rough(scene().fibre((40, 40), 15, 1.5), share=0.2)
    result = smooth(tile.view, (40, 40), 3)
    assert unenclosed(tile.view, result.classes).sum() <= unenclosed(tile.view, tile.classes).sum()


def test_what_touches_a_neighbour_stays_and_the_neighbour_too(scene):
    tile = rough(scene((80, 120)).fibre((40, 38), 15, 5).fibre((40, 77), 15, 5))
    mine, other = accept_object(tile.view, (40, 38)), accept_object(tile.view, (40, 77))
    result = smooth(tile.view, (40, 38), 3)
    np.testing.assert_array_equal(result.classes[other], tile.classes[other])
    contact = mine & ndimage.binary_dilation(other)
    assert contact.any()
    assert (result.classes[contact] > 0).all()


def test_neighbours_that_do_not_touch_stay_apart(scene):
    tile = rough(scene((80, 120), inner=0, outer=0))
    tile.classes[20:60, 20:58] = tile.classes[20:60, 60:100] = 3
    tile.classes[38:42, 58] = 3
    before = ndimage.label(tile.classes == 3)[1]
    result = smooth(tile.view, (40, 30), 3)
    assert ndimage.label(result.classes == 3)[1] == before == 2


def test_an_axon_without_a_sheath_stays_one(scene):
    tile = scene().axon((40, 40), 12)
    tile.classes[27:29, 40] = 1
    assert set(np.unique(smooth(tile.view, (40, 40), 2).classes)) == {0, 1}


def test_at_the_edge_of_the_tile_nothing_is_worn_off(scene):
    tile = rough(scene().fibre((40, 0), 15, 5))
    result = smooth(tile.view, (40, 3), 2)
    assert (result.classes[26:54, 0] == 1).all()


@pytest.mark.parametrize(("at", "radius"), [((5, 5), 2), ((40, 40), 0.1), ((40, 40), 30), ((99, 0), 2)])
def test_what_cannot_be_smoothed_is_refused(scene, at, radius):
    with pytest.raises(ToolError, match="Nothing was changed"):
        smooth(rough(scene().fibre((40, 40), 15, 5)).view, at, radius)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(0.5, 4), at=st.tuples(st.integers(0, 47), st.integers(0, 63)))
def test_only_the_object_and_background_change_and_no_axon_is_opened(seed, radius, at):
    generator = np.random.default_rng(seed)
    y, x = np.indices((48, 64))
    classes = np.zeros((48, 64), np.uint8)
    for _ in range(4):
        centre, size = generator.uniform(0, (48, 64)), generator.uniform(5, 14)
        distance = np.hypot(y - centre[0], x - centre[1]) + generator.normal(0, 0.7, y.shape)
        classes[distance < size + 4] = 7
        classes[distance < size] = 4
    classes[generator.random(classes.shape) < 0.01] = 255
    classes[generator.random(classes.shape) < 0.01] = 9
    view = View(classes, None, 4, 7)
    before = classes.copy()
    try:
        result = smooth(view, at, radius)
    except ToolError:
        result = None
    np.testing.assert_array_equal(classes, before)
    if result is not None:
        differ = result.classes != before
        assert (accept_object(view, at) | (before == 0))[differ].all()
        assert np.isin(result.classes[differ], (0, before[at], 4, 7)).all()
        opened = unenclosed(view, result.classes)
        assert not (opened & ~unenclosed(view, before) & (before != 0)).any() or before[at] == 9
        outside = differ.copy()
        outside[result.near] = False
        assert not outside.any()
