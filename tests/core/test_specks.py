"""Regions too small to be objects go to the class that comes second."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.specks import Specks


def field(mask: np.ndarray) -> np.ndarray:
    """Axon where the mask says so, with myelin second; background elsewhere."""
    axon = np.where(mask, 0.6, 0.1)
    myelin = np.where(mask, 0.3, 0.2)
    return np.stack([1 - axon - myelin, axon, myelin]).astype(np.float32)


def test_a_speck_becomes_the_second_class_and_an_object_stays():
    mask = np.zeros((40, 40), bool)
    mask[2:4, 2:4] = True
    mask[10:30, 10:30] = True
    probabilities = field(mask)
    Specks.of(1, 36.0).drop(probabilities)
    classes = probabilities.argmax(axis=0)
    assert (classes[2:4, 2:4] == 2).all()
    assert (classes[10:30, 10:30] == 1).all()
    assert probabilities[:, 2, 2].max() < 0.5


def test_the_limit_is_a_disc_of_a_sixth_of_the_diameter():
    assert 28 < Specks.of(1, 36.0).area_px < 28.5


def test_another_share_sets_another_limit_and_none_keeps_all():
    assert Specks.of(1, 36.0, 1 / 3).area_px == 4 * Specks.of(1, 36.0).area_px
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    probabilities = field(mask)
    Specks.of(1, 36.0, 0.0).drop(probabilities)
    assert np.array_equal(probabilities, field(mask))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), top=st.integers(0, 60), left=st.integers(0, 60), side=st.integers(1, 30))
def test_a_window_with_its_margin_shows_the_same_as_the_whole(seed, top, left, side):
    mask = np.random.default_rng(seed).random((90, 90)) < 0.45
    specks = Specks(1, 9.0)
    whole = field(mask)
    margin = specks.margin_px
    rows, columns = (slice(max(0, start - margin), start + side + margin) for start in (top, left))
    part = whole[:, rows, columns].copy()
    specks.drop(whole)
    specks.drop(part)
    inside = part[:, top - rows.start :, left - columns.start :][:, :side, :side]
    assert np.array_equal(inside, whole[:, top : top + side, left : left + side])
