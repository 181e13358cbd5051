import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from histobridge.core.tools.fill import fill_inner
from histobridge.core.tools.result import ToolError, View
from histobridge.core.tools.ring import close_ring

CENTRE = (40, 40)


def joined(view, result):
    """Pixels that became sheath; nothing else may have changed, and nothing outside `near`."""
    differ = result.classes != view.classes
    assert (view.classes[differ] == 0).all()
    assert (result.classes[differ] == view.outer).all()
    differ_outside = differ.copy()
    differ_outside[result.near] = False
    assert not differ_outside.any()
    return differ


def overlap(first, second):
    """Share of both masks that lies in the other or beside it."""
    wide = [ndimage.binary_dilation(mask) for mask in (first, second)]
    return ((first & wide[1]).sum() + (second & wide[0]).sum()) / (first.sum() + second.sum())


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (9, 4)])
@pytest.mark.parametrize("gap", [1, 7, 15])
@pytest.mark.parametrize("at", [(40, 38), (40, 22), (25, 40)])
def test_a_gap_is_closed_along_the_arc_as_thick_as_the_ring(scene, inner, outer, gap, at):
    tile = scene(inner=inner, outer=outer).ring(CENTRE, 15, 5, gap)
    new = joined(tile.view, close_ring(tile.view, at))
    missing = scene().ring(CENTRE, 15, 5).classes.astype(bool) & (tile.classes == 0)
    assert overlap(new, missing) > 0.9
    closed = View(np.where(new, outer, tile.classes).astype(np.uint8), None, inner, outer)
    assert (fill_inner(closed, CENTRE).classes[tile.distance(CENTRE) < 13] == inner).all()


def test_all_gaps_are_closed_at_once(scene):
    tile = scene().ring(CENTRE, 15, 5, 8)
    tile.classes[:30, 38:43] = tile.classes[37:43, :30] = 0
    tile.classes = close_ring(tile.view, CENTRE).classes
    assert (fill_inner(tile.view, CENTRE).classes == 1).sum() == pytest.approx(np.pi * 15**2, rel=0.05)


def test_a_gap_around_an_axon_is_closed_around_it(scene):
    whole = scene((60, 100)).fibre((30, 30), 15, 5).fibre((30, 71), 15, 5)
    tile = scene((60, 100)).fibre((30, 30), 15, 5, 14).fibre((30, 71), 15, 5)
    tile.axon((30, 30), 15)
    new = joined(tile.view, close_ring(tile.view, (30, 30)))
    assert overlap(new, whole.classes != tile.classes) > 0.9
    assert not new[:, 51:].any()


def test_the_image_shows_where_the_ring_goes_on(scene):
    """The sheath runs outside the circle of the rest of the ring, which only the image knows."""
    tile = scene((100, 100)).ring((50, 50), 20, 4, 24)
    bulge = scene((100, 100)).ring((50, 65), 12, 4).classes == 2
    bulge &= (tile.classes == 0) & (np.indices((100, 100))[1] > 66)
    image = np.full((100, 100), 200, np.uint8)
    image[(tile.classes == 2) | bulge] = 40
    blind = joined(tile.view, close_ring(tile.view, (50, 50)))
    tile.image = image
    seeing = joined(tile.view, close_ring(tile.view, (50, 50)))
    assert overlap(seeing, bulge) > overlap(blind, bulge) + 0.1


def test_a_ring_cut_by_the_edge_of_the_tile_is_closed_inside_it(scene):
    tile = scene().ring((40, 6), 18, 5, 10)
    new = joined(tile.view, close_ring(tile.view, (40, 8)))
    assert new[40, 26]
    assert not new[:, :15].any()
    tile.classes[new] = 2
    assert (fill_inner(tile.view, (40, 8)).classes[tile.distance((40, 6)) < 16] == 1).all()


def test_a_large_ring_is_closed_too(scene):
    tile = scene((560, 560)).ring((280, 280), 220, 14, 40)
    new = joined(tile.view, close_ring(tile.view, (280, 270)))
    missing = scene((560, 560)).ring((280, 280), 220, 14).classes.astype(bool) & (tile.classes == 0)
    assert overlap(new, missing) > 0.85


@pytest.mark.parametrize("at", [CENTRE, (40, 22)])
def test_a_closed_ring_is_left_alone(scene, at):
    with pytest.raises(ToolError, match="closed already"):
        close_ring(scene().fibre(CENTRE, 15, 5).view, at)


def test_a_gap_too_wide_is_not_guessed(scene):
    tile = scene().ring(CENTRE, 15, 5)
    tile.classes[:, 36:] = 0
    with pytest.raises(ToolError, match="Nothing was changed"):
        close_ring(tile.view, (40, 34))


@pytest.mark.parametrize("at", [(4, 4), (40, 70), (-1, 0)])
def test_without_a_ring_around_the_click_nothing_is_done(scene, at):
    with pytest.raises(ToolError, match="Nothing was changed"):
        close_ring(scene().ring(CENTRE, 15, 5, 6).view, at)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    radius=st.floats(8, 14),
    thickness=st.floats(2, 6),
    at=st.tuples(st.integers(0, 47), st.integers(0, 47)),
)
def test_only_background_becomes_sheath_and_then_the_ring_is_closed(seed, radius, thickness, at):
    generator = np.random.default_rng(seed)
    y, x = np.indices((48, 48))
    distance, angle = np.hypot(y - 24, x - 24), np.arctan2(y - 24, x - 24)
    classes = np.where((distance >= radius) & (distance < radius + thickness), 6, 0)
    for _ in range(generator.integers(1, 4)):
        turn = generator.uniform(-np.pi, np.pi)
        classes[(np.cos(angle - turn) > np.cos(generator.uniform(0.05, 0.3))) & (classes == 6)] = 0
    classes[generator.random((48, 48)) < 0.01] = 255
    classes[generator.random((48, 48)) < 0.01] = 3
    view = View(classes.astype(np.uint8), None, 5, 6)
    before = view.classes.copy()
    try:
        result = close_ring(view, at)
    except ToolError:
        result = None
    np.testing.assert_array_equal(view.classes, before)
    if result is not None:
        assert joined(view, result).any()
        if np.hypot(at[0] - 24, at[1] - 24) < radius - 1:
            with pytest.raises(ToolError, match="closed already"):
                close_ring(View(result.classes, None, 5, 6), at)
