import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.tools.pick import accept_object
from histobridge.core.tools.result import ToolError, View
from histobridge.core.tools.sheath import grow_sheath


def grown(view, result):
    """Pixels that became sheath; nothing else may have changed."""
    differ = result.classes != view.classes
    assert (view.classes[differ] == 0).all()
    assert (result.classes[differ] == view.outer).all()
    outside = differ.copy()
    outside[result.near] = False
    assert not outside.any()
    return differ


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (8, 5)])
@pytest.mark.parametrize("thickness", [3, 6])
def test_the_thickness_is_that_of_the_neighbours(scene, inner, outer, thickness):
    tile = scene((100, 140), inner, outer)
    tile.fibre((30, 30), 12, thickness).fibre((72, 30), 9, thickness).fibre((70, 110), 10, thickness)
    tile.axon((30, 90), 11)
    new = grown(tile.view, grow_sheath(tile.view, (30, 90)))
    expected = scene((100, 140)).ring((30, 90), 11, thickness).classes > 0
    assert abs(new.sum() / expected.sum() - 1) < 0.2
    distance = tile.distance((30, 90))[new]
    assert distance.min() < 12
    assert distance.max() < 11 + thickness + 1


def test_the_thickness_given_is_taken(scene):
    tile = scene().axon((40, 40), 10)
    new = grown(tile.view, grow_sheath(tile.view, (40, 40), 5))
    np.testing.assert_allclose(new.sum(), np.pi * (15**2 - 10**2), rtol=0.08)


def test_what_there_is_of_its_own_sheath_counts_before_the_neighbours(scene):
    tile = scene((80, 120)).fibre((40, 30), 12, 3).fibre((40, 80), 14, 7)
    tile.classes[40:, 60:] = np.where(tile.classes[40:, 60:] == 2, 0, tile.classes[40:, 60:])
    whole = scene((80, 120)).fibre((40, 30), 12, 3).fibre((40, 80), 14, 7).classes
    result = grow_sheath(tile.view, (40, 80))
    grown(tile.view, result)
    assert np.count_nonzero(result.classes != whole) < 0.12 * np.count_nonzero(whole[:, 60:] == 2)


def test_two_bare_axons_share_the_space_between(scene):
    tile = scene((80, 120)).axon((40, 40), 15).axon((40, 74), 15)
    tile.classes = grow_sheath(tile.view, (40, 40), 6).classes
    assert tile.classes[40, 56] == 2
    assert tile.classes[40, 58] == 0
    second = grow_sheath(tile.view, (40, 74), 6)
    assert second.classes[40, 58] == 2
    new = accept_object(View(second.classes, None, 1, 2), (40, 74))
    assert new[40, 58]
    assert not new[40, 56]


def test_a_sheath_never_runs_over_a_neighbour(scene):
    tile = scene((80, 120)).fibre((40, 40), 14, 5)
    tile.axon((40, 72), 10)
    other = accept_object(tile.view, (40, 40))
    new = grown(tile.view, grow_sheath(tile.view, (40, 72)))
    assert not (new & other).any()
    assert new[40, 83:86].all()


def test_the_axon_beside_the_click_is_meant(scene):
    tile = scene().axon((40, 40), 10)
    np.testing.assert_array_equal(
        grow_sheath(tile.view, (40, 53), 4).classes, grow_sheath(tile.view, (40, 40), 4).classes
    )


def test_an_axon_cut_by_the_edge_of_the_tile_gets_its_part(scene):
    tile = scene().axon((40, 0), 12)
    new = grown(tile.view, grow_sheath(tile.view, (40, 3), 4))
    np.testing.assert_array_equal(new.any(axis=1), tile.distance((40, 0)).min(axis=1) < 16)


@pytest.mark.parametrize(
    ("at", "thickness", "reason"),
    [
        ((40, 40), None, "no sheath nearby"),
        ((5, 5), 4, "no axon"),
        ((40, 40), 0.2, "at least 1 px"),
        ((90, 5), 4, "outside"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(scene, at, thickness, reason):
    with pytest.raises(ToolError, match=reason):
        grow_sheath(scene().axon((40, 40), 10).view, at, thickness)


def test_a_whole_sheath_is_left_alone(scene):
    with pytest.raises(ToolError, match="so already"):
        grow_sheath(scene().fibre((40, 40), 12, 5).view, (40, 40), 3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), thickness=st.one_of(st.none(), st.floats(1, 9)))
def test_only_background_near_the_axon_becomes_sheath(seed, thickness):
    generator = np.random.default_rng(seed)
    y, x = np.indices((48, 64))
    classes = np.zeros((48, 64), np.uint8)
    for _ in range(5):
        centre, radius = generator.uniform(0, (48, 64)), generator.uniform(3, 9)
        distance = np.hypot(y - centre[0], x - centre[1])
        classes[distance < radius + generator.integers(0, 5)] = 7
        classes[distance < radius] = 4
    classes[generator.random(classes.shape) < 0.02] = 255
    classes[generator.random(classes.shape) < 0.02] = 9
    view = View(classes, None, 4, 7)
    before = classes.copy()
    try:
        result = grow_sheath(view, (24, 32), thickness)
    except ToolError:
        result = None
    np.testing.assert_array_equal(classes, before)
    if result is not None:
        new = grown(view, result)
        assert new.any()
        if thickness is not None:
            ys, xs = np.nonzero(new)
            axon = np.argwhere(classes == 4)
            nearest = np.sqrt(((np.stack((ys, xs), 1)[:, None] - axon) ** 2).sum(axis=2)).min(axis=1)
            assert nearest.max() <= thickness + 0.5
