"""A round brush stays where its class belongs; an unsteady hand strays as far as told."""

import numpy as np
import pytest

from histobridge.core.brush import shaken, sweep

BAR = np.zeros((60, 120), bool)
BAR[25:36, 10:110] = True


def test_a_straight_stroke_is_round_at_its_ends_and_as_long_as_its_way():
    stroke = sweep(BAR, BAR, 5)
    assert stroke.radius_px == 5
    assert not (stroke.footprint & ~BAR).any()
    assert not stroke.footprint[25, 10]
    assert stroke.footprint[30, 10]
    assert stroke.length_px == pytest.approx(100 - 11, abs=12), "from the area, so by some per cent"
    assert np.abs(stroke.direction) == pytest.approx([0, 1], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_stroke_stays_inside_and_reaches_nine_tenths_with_the_largest_brush_that_can(seed):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((80, 80)), 5)
    allowed = noise > 0
    wanted = allowed & (noise < 0.03)
    stroke = sweep(allowed, wanted, 8)
    assert not (stroke.footprint & ~allowed).any()
    assert np.count_nonzero(stroke.footprint & wanted) >= 0.9 * np.count_nonzero(wanted)
    y, x = np.mgrid[-8:9, -8:9]
    larger = np.hypot(y, x) <= 2 * stroke.radius_px
    if stroke.radius_px < 8:
        opened = ndimage.binary_opening(np.pad(allowed, 20, mode="constant"), larger)[20:-20, 20:-20]
        assert np.count_nonzero(opened & wanted) < 0.95 * np.count_nonzero(wanted)


def test_a_single_pixel_is_a_dab_of_the_finest_brush():
    pixel = np.zeros((9, 9), bool)
    pixel[4, 4] = True
    stroke = sweep(pixel, pixel, 8)
    np.testing.assert_array_equal(stroke.footprint, pixel)
    assert (stroke.radius_px, stroke.length_px) == (0.5, 0)
    assert not stroke.direction.any()


def test_where_the_class_belongs_everywhere_any_brush_fits():
    wanted = np.zeros((60, 60), bool)
    wanted[30, 30] = True
    stroke = sweep(np.ones_like(wanted), wanted, 6)
    assert stroke.radius_px == 6
    assert np.count_nonzero(stroke.footprint) == pytest.approx(np.pi * 36, rel=0.05)
    assert stroke.length_px == pytest.approx(0, abs=0.5)


def test_a_steady_hand_paints_the_footprint():
    stroke = sweep(BAR, BAR, 5)
    np.testing.assert_array_equal(shaken(stroke, 0, 0, 4, np.random.default_rng(0)), stroke.footprint)


def test_lag_moves_the_stroke_along_its_way_and_at_most_by_half_its_radius():
    stroke = sweep(BAR, BAR, 5)
    for lag, moved in ((2, 2), (20, 2.5)):
        painted = shaken(stroke, lag, 0, 4, np.random.default_rng(0))
        shift = np.argwhere(painted).mean(axis=0) - np.argwhere(stroke.footprint).mean(axis=0)
        assert np.abs(shift) == pytest.approx([0, moved], abs=0.3)


def test_the_outline_strays_by_the_noise_told_and_wavers_smoothly():
    bar = np.zeros((80, 1200), bool)
    bar[30:51, 20:1180] = True
    stroke = sweep(bar, bar, 10)
    painted = shaken(stroke, 0, 1.5, 4, np.random.default_rng(0))
    top = painted[:, 50:1150].argmax(axis=0)
    assert top.std() == pytest.approx(1.5, abs=0.4)
    assert top.mean() == pytest.approx(30, abs=0.5)
    assert np.abs(np.diff(top)).mean() < 0.5, "neighbours stray together"
