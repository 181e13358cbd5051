"""Metrics against MONAI, scikit-image, brute force and answers known by hand."""

import time

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from histobridge.core.errors import InputError
from histobridge.core.metrics import aggregate_g_ratio, dice, dice_of_shown, instance_f1, iou, mean_dice


@pytest.fixture
def masks():
    random = np.random.default_rng(0)
    return random.integers(0, 3, (40, 50), np.uint8), random.integers(0, 3, (40, 50), np.uint8)


def test_dice_and_iou_of_a_case_done_by_hand():
    prediction, truth = np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])
    assert dice(prediction, truth, 1) == pytest.approx(4 / 6)
    assert iou(prediction, truth, 1) == pytest.approx(2 / 4)


def test_dice_and_iou_agree_with_monai(masks):
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_dice, compute_iou

    def one_hot(mask):
        return torch.stack([torch.from_numpy(mask == value) for value in range(3)])[None].float()

    expected = compute_dice(one_hot(masks[0]), one_hot(masks[1]))[0].tolist()
    assert [dice(*masks, value) for value in range(3)] == pytest.approx(expected)
    expected = compute_iou(one_hot(masks[0]), one_hot(masks[1]))[0].tolist()
    assert [iou(*masks, value) for value in range(3)] == pytest.approx(expected)


def test_a_class_in_neither_mask_scores_one_and_in_only_one_scores_zero():
    nothing, something = np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)
    assert dice(nothing, nothing, 1) == iou(nothing, nothing, 1) == 1.0
    assert dice(something, nothing, 1) == iou(nothing, something, 1) == 0.0


def test_ignored_pixels_count_neither_way(masks):
    prediction, truth = masks
    holes = truth.copy()
    holes[:, 25:] = 255
    assert dice(prediction, holes, 1, ignore=255) == dice(prediction[:, :25], truth[:, :25], 1)
    assert iou(prediction, holes, 2, ignore=255) == iou(prediction[:, :25], truth[:, :25], 2)


def test_mean_dice_is_the_mean_over_the_classes_named(masks):
    assert mean_dice(*masks, (1, 2)) == pytest.approx((dice(*masks, 1) + dice(*masks, 2)) / 2)


def test_classes_count_in_the_images_that_show_them_and_no_stray_pixel_does():
    truth, found = np.zeros((50, 50), np.uint8), np.zeros((50, 50), np.uint8)
    truth[:20], found[:10] = 1, 1
    assert mean_dice(found, truth, (1, 2, 3)) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert dice_of_shown([found], [truth], (1, 2, 3)) == pytest.approx(2 / 3)
    found[40, :4] = 3
    assert dice_of_shown([found], [truth], (1, 2, 3)) == pytest.approx(2 / 3), "four pixels of 2500"
    found[40, :5] = 3
    assert dice_of_shown([found], [truth], (1, 2, 3)) == pytest.approx(1 / 3), "found where it is not"
    assert dice_of_shown([np.zeros_like(truth)], [truth], (1, 2, 3)) == 0, (
        "nothing found is nothing, however many classes"
    )


def test_an_image_that_shows_no_class_says_nothing():
    empty, truth = np.zeros((50, 50), np.uint8), np.zeros((50, 50), np.uint8)
    truth[:20] = 1
    assert dice_of_shown([truth, empty], [truth, empty], (1,)) == 1
    assert dice_of_shown([empty, empty], [truth, empty], (1,)) == 0
    assert dice_of_shown([empty], [empty], (1, 2)) is None
    hidden = np.where(truth == 1, np.uint8(255), truth)
    assert dice_of_shown([truth], [hidden], (1,), ignore=255) is None


def test_masks_of_different_shape_are_refused():
    with pytest.raises(InputError, match=r"\(2, 2\).*\(3, 3\)"):
        dice(np.zeros((2, 2), int), np.zeros((3, 3), int), 1)


def brute_force_f1(prediction, truth, threshold):
    predicted, true = (ids[ids > 0] for ids in (np.unique(prediction), np.unique(truth)))
    scores = np.array([[iou(prediction == p, truth == t, True) for p in predicted] for t in true])
    # Count first, overlap second: a pair over the threshold is worth more than any sum of overlaps below.
    pairs = linear_sum_assignment(-((scores >= threshold) * 1000 + scores))
    return 2 * (scores[pairs] >= threshold).sum() / (len(predicted) + len(true))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 1.0])
def test_instance_f1_agrees_with_an_optimal_assignment(threshold):
    random = np.random.default_rng(4)
    for _ in range(5):
        truth = np.kron(random.integers(0, 12, (6, 6)), np.ones((5, 5), int)) * 7
        prediction = np.roll(truth, random.integers(0, 3, 2), axis=(0, 1))
        prediction[random.random(truth.shape) < 0.2] = 99
        assert instance_f1(prediction, truth, threshold) == pytest.approx(brute_force_f1(prediction, truth, threshold))


def test_instance_f1_counts_missed_and_invented_objects():
    truth = np.zeros((10, 20), int)
    truth[2:5, 2:5], truth[2:5, 12:15] = 1, 2
    prediction = np.zeros_like(truth)
    prediction[2:5, 2:5], prediction[7:9, 7:9] = 40, 50
    assert instance_f1(prediction, truth) == pytest.approx(2 * 1 / 4)
    assert instance_f1(truth * 3, truth) == 1.0
    assert instance_f1(truth * 0, truth) == 0.0
    assert instance_f1(truth * 0, truth * 0) == 1.0


def test_instance_f1_of_2500_objects_is_quick():
    truth = np.kron(np.arange(2500).reshape(50, 50) + 1, np.ones((20, 20), int))
    start = time.process_time()
    assert instance_f1(np.roll(truth, 2, axis=1), truth) > 0.9
    assert time.process_time() - start < 3


@pytest.mark.parametrize("threshold", [0, 1.5])
def test_instance_f1_refuses_a_threshold_out_of_range(threshold):
    with pytest.raises(InputError, match="threshold"):
        instance_f1(np.zeros((2, 2), int), np.zeros((2, 2), int), threshold)


def test_aggregate_g_ratio_of_a_disk_in_a_disk_is_the_ratio_of_diameters():
    y, x = np.mgrid[-200:201, -200:201]
    radius = np.hypot(y, x)
    classes = np.select([radius < 90, radius < 150], [1, 2], 0)
    assert aggregate_g_ratio(classes) == pytest.approx(0.6, abs=0.002)


def test_aggregate_g_ratio_of_nothing_is_none():
    assert aggregate_g_ratio(np.zeros((5, 5), np.uint8)) is None
