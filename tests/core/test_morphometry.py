"""Diameters and g-ratios against scikit-image and rings of known size."""

import numpy as np
import pytest
from skimage.measure import regionprops_table

from histobridge.core.errors import InputError
from histobridge.core.fibres import derive_fibres
from histobridge.core.instances import match_instances
from histobridge.core.manifest import Manifest
from histobridge.core.morphometry import g_ratio_bias, measure_fibres

MANIFEST = Manifest(name="nerve")
SIZE_UM = 0.1
CENTRES = ((60, 60), (60, 180), (180, 60), (180, 180))


def rings(radii, centres=CENTRES, shape=(240, 240)):
    """Axons (1) in sheaths (2) of given (inner, outer) radii in pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    classes = np.zeros(shape, np.uint8)
    for (inner, outer), (row, column) in zip(radii, centres, strict=True):
        away = np.hypot(y - row, x - column)
        classes[away < outer] = 2
        classes[away < inner] = 1
    return classes


def measured(classes, ignore=None):
    fibres = derive_fibres(classes, MANIFEST)
    return fibres, measure_fibres(fibres, classes, 1, SIZE_UM, ignore)


def compare(predicted, true):
    (found, table), (wanted, true_table) = measured(predicted), measured(true)
    return g_ratio_bias(table, true_table, match_instances(found, wanted))


def test_rings_have_the_diameters_and_g_ratio_they_were_drawn_with():
    _, table = measured(rings([(30, 50), (20, 40), (24, 40), (10, 40)]))
    assert table.axon_diameter_um == pytest.approx([6, 4, 4.8, 2], rel=0.02)
    assert table.fibre_diameter_um == pytest.approx([10, 8, 8, 8], rel=0.01)
    assert table.sheath_thickness_um == pytest.approx([2, 2, 1.6, 3], rel=0.02)
    assert table.g_ratio == pytest.approx([0.6, 0.5, 0.6, 0.25], rel=0.02)
    assert not table.cut.any()


def test_diameters_agree_with_scikit_image():
    classes = rings([(30, 50), (20, 45), (13, 40), (24, 61)])
    fibres, table = measured(classes)
    axons = regionprops_table(
        np.where(classes == 1, fibres, 0).astype(int), properties=("label", "equivalent_diameter_area")
    )
    whole = regionprops_table(fibres.astype(int), properties=("equivalent_diameter_area",))
    assert table.ids.tolist() == axons["label"].tolist()
    assert table.axon_diameter_um == pytest.approx(SIZE_UM * axons["equivalent_diameter_area"])
    assert table.fibre_diameter_um == pytest.approx(SIZE_UM * whole["equivalent_diameter_area"])


def test_a_sheath_without_an_axon_is_no_fibre_and_an_axon_without_a_sheath_has_a_g_ratio_of_one():
    _, table = measured(rings([(30, 50), (0, 40), (24, 0), (20, 40)]))
    assert table.g_ratio == pytest.approx([0.6, 1, 0.5], rel=0.01)


def test_fibres_at_the_edge_or_beside_unlabelled_pixels_are_cut():
    classes = rings([(30, 50), (30, 50), (30, 50), (30, 50)], centres=(CENTRES[0], (60, 200), *CENTRES[2:]))
    classes[235:, :] = 255
    classes[200:210, 190:] = 255
    _, table = measured(classes, ignore=255)
    assert table.cut.tolist() == [False, True, False, True]


def test_the_bias_is_the_mean_difference_of_matched_fibres():
    true = rings([(30, 50), (25, 50), (20, 50), (30, 50)])
    predicted = rings([(35, 50), (30, 50), (10, 50), (0, 0)])
    bias = compare(predicted, true)
    assert bias.pairs == 3
    assert bias.mean == pytest.approx((0.1 + 0.1 - 0.2) / 3, abs=0.005)
    assert bias.mean_absolute == pytest.approx(0.4 / 3, abs=0.005)
    assert bias.of_medians == pytest.approx(0.6 - 0.55, abs=0.005)


def test_bare_axons_are_no_measure_of_a_sheath_unless_it_was_lost():
    true = rings([(28, 40), (28, 40), (37, 37), (37, 37)])
    thin = compare(rings([(37, 40), (37, 40), (37, 37), (37, 37)]), true)
    assert thin.pairs == 2
    assert thin.mean == pytest.approx(37 / 40 - 28 / 40, abs=0.01)
    assert thin.of_medians == pytest.approx(thin.mean, abs=0.01)
    lost = compare(rings([(28, 40), (40, 40), (37, 37), (37, 37)]), true)
    assert (lost.pairs, lost.mean) == (2, pytest.approx(0.15, abs=0.01))


def test_cut_fibres_do_not_enter_the_bias():
    centres = (CENTRES[0], (60, 200), *CENTRES[2:])
    true = rings([(30, 50)] * 4, centres)
    predicted = rings([(30, 50), (45, 50), (30, 50), (30, 50)], centres)
    bias = compare(predicted, true)
    assert (bias.pairs, bias.mean) == (3, 0)


def test_without_pairs_there_is_no_bias_but_never_a_nan():
    nothing, something = np.zeros((240, 240), np.uint8), rings([(30, 50)] * 4)
    assert compare(nothing, something) == compare(nothing, nothing)
    assert compare(nothing, something).mean is compare(nothing, something).of_medians is None
    assert compare(nothing, something).pairs == 0


def test_a_field_compared_with_itself_has_no_bias_and_turning_it_round_changes_the_sign():
    one, other = rings([(30, 50)] * 4), rings([(30, 50), (35, 50), (33, 50), (28, 50)])
    assert compare(one, one).mean == compare(one, one).mean_absolute == 0
    assert compare(one, other).mean == pytest.approx(-compare(other, one).mean)
    assert compare(one, other).mean_absolute == compare(other, one).mean_absolute


def test_a_pixel_size_of_nothing_is_refused():
    classes = rings([(30, 50)] * 4)
    with pytest.raises(InputError, match="pixel size"):
        measure_fibres(derive_fibres(classes, MANIFEST), classes, 1, 0)
