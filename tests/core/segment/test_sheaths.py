"""Sheaths of training images made thinner and thicker."""

import numpy as np
import pytest

from histobridge.core.metrics import aggregate_g_ratio
from histobridge.core.segment.crops import Field
from histobridge.core.segment.sheaths import vary_sheaths


def rings(inner: float = 14, outer: float = 20) -> Field:
    y, x = np.mgrid[:96, :160].astype(np.float32)
    labels = np.zeros(y.shape, np.uint8)
    for centre in (48, 112):
        radius = np.hypot(y - 48, x - centre)
        labels[radius < outer] = 2
        labels[radius < inner] = 1
    return Field(np.array([0.0, -0.8, 0.8], np.float32)[labels], labels)


def test_g_ratios_spread_to_both_sides_and_the_outer_border_stays():
    varied = vary_sheaths([rings()], (1, 2), 2.0)
    ratios = [aggregate_g_ratio(field.labels) for field in varied[1:]]
    assert ratios == sorted(ratios, reverse=True)
    # Sheaths of 3 and of 12 instead of 6 px around axons whose fibre has a radius of 20 px.
    assert ratios[0] == pytest.approx(17 / 20, abs=0.03)
    assert ratios[-1] == pytest.approx(max(20 - 12, 14 * 0.4) / 20, abs=0.06)
    fibre = (rings().labels > 0).sum()
    for field in varied[1:]:
        assert (field.labels > 0).sum() == pytest.approx(fibre, rel=0.03)


def test_image_and_labels_move_together():
    shown = np.array([0.0, -0.8, 0.8], np.float32)
    for field in vary_sheaths([rings()], (1, 2), 2.0):
        nearest = np.abs(field.image[..., None] - shown).argmin(axis=-1)
        assert (nearest == field.labels).mean() > 0.97


def test_touching_sheaths_keep_their_common_border():
    y, x = np.mgrid[:96, :160].astype(np.float32)
    labels = np.zeros(y.shape, np.uint8)
    for centre in (62, 98):
        radius = np.hypot(y - 48, x - centre)
        labels[(radius < 18) & (labels == 0)] = 2
        labels[radius < 12] = 1
    thick = vary_sheaths([Field(labels.astype(np.float32) / 2, labels)], (1, 2), 1.5)[-1]
    left, right = (thick.labels[48, :80] == 1).sum(), (thick.labels[48, 80:] == 1).sum()
    assert 12 <= left <= 21
    assert abs(int(left) - int(right)) <= 2


def test_unlabelled_pixels_stay_unlabelled():
    field = rings()
    field.labels[:20] = 255
    for varied in vary_sheaths([field], (1, 2), 2.0):
        assert (varied.labels[:20] == 255).all()


@pytest.mark.parametrize(("pair", "variation"), [(None, 2.0), ((1, 2), 1.0)])
def test_nothing_is_added_where_nothing_varies(pair, variation):
    fields = [rings()]
    assert vary_sheaths(fields, pair, variation) == fields


def test_a_field_without_axons_stays_as_it_is():
    field = Field(np.zeros((32, 32), np.float32), np.full((32, 32), 2, np.uint8))
    for varied in vary_sheaths([field], (1, 2), 2.0):
        assert np.array_equal(varied.labels, field.labels)
