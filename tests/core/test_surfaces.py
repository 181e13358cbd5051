"""Outlines against MONAI, brute force and answers known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion

from histobridge.core.errors import InputError
from histobridge.core.surfaces import assd_um, boundary_iou, hd95_um, surface_dice, surface_distances

SIZE_UM = 0.18
MAPS = arrays(np.uint8, (9, 11), elements=st.integers(0, 2))

OLD_ARGUMENT = pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")
"""MONAI 1.6 calls itself with an argument that it has deprecated."""


def blobs(seed: int) -> np.ndarray:
    """Disks of two classes, some of them cut by the edge."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :80]
    classes = np.zeros((60, 80), np.uint8)
    for value in (2, 1, 2, 1, 2, 1):
        centre = random.uniform((0, 0), (60, 80))
        classes[np.hypot(y - centre[0], x - centre[1]) < random.uniform(5, 14)] = value
    return classes


@pytest.fixture(params=range(4))
def pair(request):
    return blobs(request.param), np.roll(blobs(request.param), (1, 3), (0, 1)) | blobs(request.param + 10)


def one_hot(classes):
    import torch

    return torch.stack([torch.from_numpy(classes == value) for value in range(3)])[None].float()


@OLD_ARGUMENT
@pytest.mark.parametrize("spacing", [SIZE_UM, (0.3, 0.1)])
def test_distances_agree_with_monai(pair, spacing):
    pytest.importorskip("torch")
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    hot = [one_hot(classes) for classes in pair]
    assd = compute_average_surface_distance(*hot, symmetric=True, spacing=spacing)[0]
    hd95 = compute_hausdorff_distance(*hot, percentile=95, spacing=spacing)[0]
    assert [assd_um(*pair, value, spacing) for value in (1, 2)] == pytest.approx(assd.tolist(), rel=1e-5)
    assert [hd95_um(*pair, value, spacing) for value in (1, 2)] == pytest.approx(hd95.tolist(), rel=1e-5)


@OLD_ARGUMENT
@pytest.mark.parametrize("tolerance_px", [0, 1, 2.5])
def test_surface_dice_agrees_with_monai(pair, tolerance_px):
    pytest.importorskip("torch")
    from monai.metrics import compute_surface_dice

    expected = compute_surface_dice(*(one_hot(classes) for classes in pair), [tolerance_px] * 2)[0].tolist()
    assert [surface_dice(*pair, value, tolerance_px, 1) for value in (1, 2)] == pytest.approx(expected)


def test_distances_of_two_squares_done_by_hand():
    prediction, truth = np.zeros((2, 9, 20), np.uint8)
    prediction[4, 5], truth[4, 9] = 1, 1
    assert assd_um(prediction, truth, 1, SIZE_UM) == pytest.approx(4 * SIZE_UM)
    assert hd95_um(prediction, truth, 1, (7, SIZE_UM)) == pytest.approx(4 * SIZE_UM)


def test_a_tolerance_of_two_pixels_takes_in_two_pixels_whatever_their_size():
    prediction, truth = np.zeros((2, 9, 20), np.uint8)
    prediction[4, 5], truth[4, 7] = 1, 1
    for size in (0.18, 0.093, 0.1, 1 / 3):
        assert surface_dice(prediction, truth, 1, 2 * size, size) == 1
        assert surface_dice(prediction, truth, 1, 1.99 * size, size) == 0


@pytest.mark.parametrize("width_px", [1, 2, 4])
def test_boundary_iou_agrees_with_repeated_erosion(pair, width_px):
    for value in (1, 2):
        rims = [
            mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=width_px)
            for mask in (classes == value for classes in pair)
        ]
        expected = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
        assert boundary_iou(*pair, value, width_px) == pytest.approx(expected)


def test_a_class_in_neither_mask_is_perfect_and_in_only_one_as_far_off_as_the_image_is_wide():
    nothing, something = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    something[3:6, 3:6] = 1
    assert assd_um(nothing, nothing, 1, SIZE_UM) == hd95_um(nothing, nothing, 1, SIZE_UM) == 0
    assert surface_dice(nothing, nothing, 1, 1, SIZE_UM) == boundary_iou(nothing, nothing, 1) == 1
    for one, other in ((nothing, something), (something, nothing)):
        assert assd_um(one, other, 1, SIZE_UM) == hd95_um(one, other, 1, SIZE_UM) == pytest.approx(50 * SIZE_UM)
        assert surface_dice(one, other, 1, 1e9, SIZE_UM) == boundary_iou(one, other, 1) == 0


def test_unlabelled_pixels_count_neither_way_and_their_rim_is_no_outline():
    truth = np.zeros((20, 30), np.uint8)
    truth[5:15, 5:25] = 1
    prediction = truth.copy()
    prediction[8:12, 20:30] = 2  # wrong, where nobody knows
    truth[:, 18:] = 255
    assert assd_um(prediction, truth, 1, SIZE_UM, 255) == 0
    assert boundary_iou(prediction, truth, 1, 3, 255) == surface_dice(prediction, truth, 1, 0, SIZE_UM, 255) == 1
    distances = surface_distances(prediction, truth, 1, 1, 255)
    assert len(distances.to_true) == len(distances.to_predicted) == 2 * 13 + 8  # three sides of the square


@settings(deadline=None, max_examples=60)
@given(prediction=MAPS, truth=MAPS, value=st.integers(1, 2), ignore=st.sampled_from([None, 0]))
def test_outlines_are_symmetric_in_range_and_perfect_for_the_same_mask(prediction, truth, value, ignore):
    distances = surface_distances(prediction, truth, value, SIZE_UM, ignore)
    scores = [distances.mean, distances.percentile(100), distances.within(SIZE_UM)]
    overlap = boundary_iou(prediction, truth, value, 2, ignore)
    assert np.isnan(overlap) <= distances.unknown  # a rim of two pixels reaches at least as far as an outline
    assert np.isnan(overlap) or 0 <= overlap <= 1
    assert np.isnan(scores).all() if distances.unknown else not np.isnan(scores).any()
    if distances.unknown:
        assert ignore is not None
        assert ((prediction == value) != (truth == value))[truth != ignore].any()
    else:
        assert 0 <= distances.mean <= distances.percentile(100) <= distances.largest
        assert 0 <= distances.within(SIZE_UM) <= 1
    assert assd_um(truth, truth, value, SIZE_UM, ignore) == 0
    assert boundary_iou(truth, truth, value, 2, ignore) == 1
    if ignore is None:
        assert assd_um(truth, prediction, value, SIZE_UM) == pytest.approx(distances.mean)
        assert hd95_um(truth, prediction, value, SIZE_UM) == pytest.approx(distances.percentile(95))
        assert boundary_iou(truth, prediction, value) == boundary_iou(prediction, truth, value)


@settings(deadline=None, max_examples=30)
@given(prediction=MAPS, truth=MAPS)
def test_distances_agree_with_every_pair_of_outline_pixels(prediction, truth):
    places = [np.argwhere(mask & ~binary_erosion(mask)).astype(float) for mask in (prediction == 1, truth == 1)]
    if not all(map(len, places)):
        return
    apart = SIZE_UM * np.hypot(*np.moveaxis(places[0][:, None] - places[1][None], -1, 0))
    nearest = apart.min(axis=1), apart.min(axis=0)
    assert assd_um(prediction, truth, 1, SIZE_UM) == pytest.approx(np.concatenate(nearest).mean())
    assert hd95_um(prediction, truth, 1, SIZE_UM) == pytest.approx(max(np.percentile(part, 95) for part in nearest))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda m: assd_um(m, m[1:], 1, SIZE_UM), "shape"),
        (lambda m: hd95_um(m, m, 1, 0), "pixel size must be above 0 µm; got 0"),
        (lambda m: surface_dice(m, m, 1, -1, SIZE_UM), "tolerance.*got -1"),
        (lambda m: boundary_iou(m, m, 1, 0), "at least 1 pixel wide; got 0"),
    ],
)
def test_wrong_arguments_are_named(wrong, told):
    with pytest.raises(InputError, match=told):
        wrong(np.zeros((4, 4), np.uint8))


def test_where_labels_end_inside_an_object_one_missed_pixel_is_no_distance():
    """Sparse labels: all that is known is myelin, so that the truth has no outline."""
    truth = np.full((20, 20), 255, np.uint8)
    truth[5:15, 5:15] = 2
    missed = truth.copy()
    missed[10, 10] = 0
    found = surface_distances(missed, truth, 2, 1, 255)
    assert found.unknown
    assert np.isnan([found.mean, found.percentile(95), found.within(2), boundary_iou(missed, truth, 2, 2, 255)]).all()
    lost = np.zeros_like(truth)
    truth[10, 10] = 0  # an outline
    assert hd95_um(lost, truth, 2, 1, 255) == pytest.approx(np.hypot(20, 20)), "the class itself is lost"
    assert boundary_iou(lost, truth, 2, 2, 255) == 0


def test_masks_that_differ_without_any_outline_are_not_perfect():
    truth = np.zeros((9, 11), np.uint8)
    truth[1, 1], truth[4, 2] = 1, 2
    prediction = np.zeros_like(truth)
    prediction[1, 1] = 2
    found = surface_distances(prediction, truth, 2, 1, ignore=0)
    assert found.unknown
    assert not surface_distances(truth, truth, 2, 1, ignore=0).unknown
