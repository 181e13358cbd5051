from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.tools.result import ToolError, View
from histobridge.core.tools.snap import snap

EMPTY = np.zeros((100, 100), np.uint8)
Y, X = np.indices((100, 100))


def shown(image):
    return View(EMPTY, image, 1, 2)


def circle(centre, radius, count=40):
    turn = np.linspace(0, 2 * np.pi, count)
    return np.stack((centre[0] + radius * np.sin(turn), centre[1] + radius * np.cos(turn)), axis=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("contrast", [(60, 180), (180, 60)])
def test_a_stroke_moves_onto_the_edge(dtype, contrast):
    image = np.where(X < 50, *contrast).astype(dtype)
    stroke = np.stack((np.linspace(10, 90, 9), np.linspace(46, 53, 9)), axis=1)
    snapped = snap(shown(image), stroke, 8)
    np.testing.assert_allclose(snapped[5:-5, 1], 49.5, atol=0.8)
    np.testing.assert_allclose(snapped[[0, -1], 0], [10, 90], atol=1.5)


def test_a_closed_stroke_stays_closed_on_its_circle():
    noise = np.random.default_rng(0).normal(0, 10, (100, 100))
    image = (np.where(np.hypot(Y - 50, X - 50) < 25, 60, 150) + noise).clip(0, 255).astype(np.uint8)
    shaky = circle((51, 49), 27) + np.random.default_rng(1).normal(0, 1, (40, 2))
    snapped = snap(shown(image), shaky, 8)
    np.testing.assert_array_equal(snapped[0], snapped[-1])
    radius = np.hypot(*(snapped - 50).T)
    assert abs(radius - 24.5).mean() < 0.7


def test_it_does_not_jump_to_the_other_side_of_a_dark_band():
    """Both borders of a sheath are edges, one dark inside, one dark outside: the stroke stays on one of them."""
    distance = np.hypot(Y - 50, X - 50)
    image = np.where((distance > 20) & (distance < 27), 40, 160).astype(np.uint8)
    radius = np.hypot(*(snap(shown(image), circle((50, 50), 21), 10) - 50).T)
    assert np.ptp(radius) < 2.5
    assert abs(radius.mean() - 20) < 1


def test_an_edge_out_of_reach_does_not_pull():
    image = np.where(X < 70, 60, 180).astype(np.uint8)
    stroke = np.stack((np.linspace(10, 90, 30), np.full(30, 40.0)), axis=1)
    np.testing.assert_allclose(snap(shown(image), stroke, 6)[:, 1], 40, atol=0.01)


def test_where_there_is_no_edge_the_stroke_stays():
    stroke = np.stack((np.linspace(10, 90, 30), np.full(30, 40.0)), axis=1)
    np.testing.assert_allclose(snap(shown(np.full((100, 100), 90, np.uint8)), stroke, 6)[:, 1], 40)


@pytest.mark.parametrize(
    ("image", "path", "reach"),
    [
        (None, [(1, 1), (50, 50)], 5),
        (EMPTY, [(5, 5), (5, 5)], 5),
        (EMPTY, [(1, 1), (50, 50)], 0),
        (EMPTY, [(500, 500), (500, 600)], 5),
        (EMPTY, [], 5),
    ],
)
def test_what_cannot_be_snapped_is_refused(image, path, reach):
    with pytest.raises(ToolError, match="Nothing was changed"):
        snap(View(EMPTY, image, 1, 2), np.array(path, float), reach)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    points=st.lists(st.tuples(st.floats(0, 99), st.floats(0, 99)), min_size=2, max_size=4),
    reach=st.floats(1, 12),
)
def test_nothing_moves_farther_than_the_reach_or_out_of_the_tile(seed, points, reach):
    image = np.random.default_rng(seed).integers(0, 255, (100, 100), dtype=np.uint8)
    path = np.array(points)
    before = path.copy()
    try:
        snapped = snap(shown(image), path, reach)
    except ToolError:
        return
    np.testing.assert_array_equal(path, before)
    assert snapped.min() >= 0
    assert snapped.max() <= 99
    dense = np.concatenate([np.linspace(a, b, 100) for a, b in pairwise([*path, path[0]])])
    nearest = np.hypot(*(snapped[:, None] - dense).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() <= reach + 1
