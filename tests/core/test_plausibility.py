import numpy as np
import pytest

from histobridge.core.manifest import ClassSpec, Manifest
from histobridge.core.plausibility import find, g_ratio_plausibility, size_overlap

FIBRES = Manifest(name="fibres")
PLAIN = Manifest(name="plain", classes=(ClassSpec(name="nucleus", value=1, color="#000000"),))


def discs(inner, outer, side=240, count=3):
    """Rings of radius `outer` around discs of radius `inner`, apart from each other and from the border."""
    classes = np.zeros((side, side), np.uint8)
    y, x = np.indices(classes.shape)
    for row in range(count):
        for column in range(count):
            centre = ((np.array([row, column]) + 0.5) * side / count).astype(int)
            distance = np.hypot(y - centre[0], x - centre[1])
            classes[distance < outer] = 2
            classes[distance < inner] = 1
    return classes


def test_findings_of_rings_are_their_diameters_closed_rims_and_g_ratios():
    found = find([discs(12, 20), discs(12, 20)], FIBRES)
    assert len(found.diameters) == 18
    assert found.diameters == pytest.approx(24, abs=0.5)
    assert found.enclosure > 0.95
    assert found.g_ratios == pytest.approx((0.6, 0.6), abs=0.01)


def test_without_a_nested_pair_only_sizes_are_found():
    found = find([np.minimum(discs(12, 20), 1)], PLAIN)
    assert len(found.diameters) == 9
    assert (found.enclosure, found.g_ratios) == (None, ())


def test_nothing_found_is_told_by_zeros():
    found = find([np.zeros((64, 64), np.uint8)], FIBRES)
    assert (len(found.diameters), found.enclosure, found.g_ratios) == (0, 0.0, ())
    assert size_overlap(found.diameters, np.array([30.0])) == 0
    assert g_ratio_plausibility(found.g_ratios, (0.6, 0.6)) == 0


def test_overlap_of_sizes_counts_objects_by_their_area():
    assert size_overlap(np.array([20.0, 40.0]), np.array([20.0, 40.0])) == pytest.approx(1)
    assert size_overlap(np.full(5, 20.0), np.full(9, 60.0)) == 0
    # The specks cover 27 * 4 ** 2 = 432 and so does the disc.
    assert size_overlap(np.array([*[4.0] * 27, 432**0.5]), np.array([432**0.5])) == pytest.approx(0.5)


@pytest.mark.parametrize(("difference", "score"), [(0.0, 1), (0.1, 1), (0.2, 0.5), (0.3, 0), (0.5, 0)])
def test_g_ratios_are_plausible_within_a_broad_tolerance(difference, score):
    assert g_ratio_plausibility((0.5 + difference,), (0.5,)) == pytest.approx(score, abs=1e-9)


def test_any_g_ratio_is_plausible_where_none_is_expected():
    assert g_ratio_plausibility((0.9, 0.9), ()) == 1
