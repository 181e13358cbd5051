import numpy as np
import pytest

from histobridge.core.enclosure import certainty_of_prediction, enclosure_score

INNER, OUTER = 1, 2


def rings(size=120, step=40):
    """Discs of the inner class, each in a ring of the outer one."""
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y % step - step / 2, x % step - step / 2)
    return np.where(distance < 9, INNER, np.where(distance < 15, OUTER, 0)).astype(np.uint8)


def test_closed_rings_score_one():
    assert enclosure_score(rings(), INNER, OUTER) == 1


def test_swapped_classes_score_less():
    """Under the wrong polarity sheaths are taken for axons and what they hold for sheaths."""
    assert enclosure_score(rings(), OUTER, INNER) < 0.6


def test_rings_open_on_one_side_score_their_closed_share():
    half = rings()
    half[:, :] = np.where((half == OUTER) & (np.arange(120) % 40 < 20), 0, half)
    assert enclosure_score(half, INNER, OUTER) == pytest.approx(0.55, abs=0.1)


def test_a_thin_gap_between_object_and_ring_does_not_count():
    gap = rings()
    y, x = np.mgrid[:120, :120]
    distance = np.hypot(y % 40 - 20, x % 40 - 20)
    gap[(distance >= 9) & (distance < 10)] = 0
    assert enclosure_score(gap, INNER, OUTER) > 0.95


def test_little_of_a_class_counts_little():
    one = np.zeros((600, 600), np.uint8)
    one[100:220, 100:220] = rings()
    assert enclosure_score(one, INNER, OUTER) < 0.2


def test_nothing_seen_scores_nothing():
    assert enclosure_score(np.zeros((50, 50), np.uint8), INNER, OUTER) == 0
    assert enclosure_score(np.full((50, 50), OUTER, np.uint8), INNER, OUTER) == 0
    specks = np.zeros((50, 50), np.uint8)
    specks[::10, ::10] = INNER
    assert enclosure_score(specks, INNER, OUTER) == 0


def test_certainty_is_one_minus_entropy():
    sure = np.zeros((3, 4, 4), np.float32)
    sure[1] = 1
    assert certainty_of_prediction(sure) == pytest.approx(1, abs=1e-5)
    assert certainty_of_prediction(np.full((3, 4, 4), 1 / 3, np.float32)) == pytest.approx(0, abs=1e-5)
    half = np.zeros((4, 4, 4), np.float32)
    half[:2] = 0.5
    assert certainty_of_prediction(half) == pytest.approx(0.5, abs=1e-5)
