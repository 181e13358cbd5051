"""Objects matched by overlap, against MONAI, an optimal assignment and answers known by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from histobridge.core.errors import InputError
from histobridge.core.instances import match_instances

MAPS = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


def jittered(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Objects on a grid, and the same moved and eaten into."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.permutation(49).reshape(7, 7), np.ones((6, 6), int)) * 3
    prediction = np.roll(truth, random.integers(0, 3, 2), axis=(0, 1))
    prediction[random.random(truth.shape) < 0.1] = 0
    prediction[:7, :7] = 500
    return prediction, truth


@pytest.mark.parametrize("seed", range(4))
def test_panoptic_quality_agrees_with_monai(seed):
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_panoptic_quality

    prediction, truth = jittered(seed)
    found = match_instances(prediction, truth)
    hot = torch.from_numpy(prediction), torch.from_numpy(truth)
    expected = {name: compute_panoptic_quality(*hot, metric_name=name).item() for name in ("pq", "sq", "rq")}
    assert len(found.ious)
    assert found.panoptic_quality == pytest.approx(expected["pq"], abs=1e-5)
    assert found.segmentation_quality == pytest.approx(expected["sq"], abs=1e-5)
    assert found.f1 == pytest.approx(expected["rq"], abs=1e-5)


def assigned(prediction, truth, threshold):
    """Most pairs, then largest sum of IoU, from masks of every pair."""
    predicted, true = (ids[ids > 0] for ids in (np.unique(prediction), np.unique(truth)))
    masks = [(prediction == p, truth == t) for t in true for p in predicted]
    scores = np.array([(p & t).sum() / (p | t).sum() for p, t in masks]).reshape(len(true), len(predicted))
    gains = np.where(scores >= threshold, scores + 1000, 0)
    pairs = linear_sum_assignment(-gains)
    return scores[pairs][gains[pairs] > 0]


@settings(deadline=None, max_examples=150)
@given(prediction=MAPS, truth=MAPS, threshold=st.sampled_from([0.01, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
def test_matching_agrees_with_an_optimal_assignment_and_is_symmetric(prediction, truth, threshold):
    found, expected = match_instances(prediction, truth, threshold), assigned(prediction, truth, threshold)
    assert len(found.ious) == len(expected)
    assert found.ious.sum() == pytest.approx(expected.sum())
    assert len(set(found.true)) == len(set(found.predicted)) == len(found.ious)
    assert 0 <= found.panoptic_quality <= found.f1 <= 1
    for predicted, true, iou in zip(found.predicted, found.true, found.ious, strict=True):
        p, t = prediction == predicted, truth == true
        assert (p & t).sum() / (p | t).sum() == pytest.approx(iou)
    turned = match_instances(truth, prediction, threshold)
    assert turned.panoptic_quality == pytest.approx(found.panoptic_quality)


@settings(deadline=None, max_examples=40)
@given(truth=MAPS)
def test_objects_match_themselves_whatever_their_numbers(truth):
    found = match_instances((truth * 7) % 30, truth)
    assert found.f1 == found.segmentation_quality == found.panoptic_quality == 1


def test_nothing_found_and_nothing_there_are_told_apart():
    nothing, something = np.zeros((5, 5), int), np.ones((5, 5), int)
    assert match_instances(nothing, nothing).panoptic_quality == 1
    for pair in ((nothing, something), (something, nothing)):
        assert match_instances(*pair).f1 == match_instances(*pair).segmentation_quality == 0


def test_what_is_found_where_nobody_has_labelled_is_no_mistake():
    prediction = np.zeros((10, 40), int)
    for number, start in enumerate((0, 8, 16, 24), 1):
        prediction[2:8, start : start + 6] = number
    truth = np.where(prediction == 1, 9, 0)
    unlabelled = np.zeros(truth.shape, bool)
    unlabelled[:, 18:] = True
    found = match_instances(prediction, truth, unlabelled=unlabelled)
    # The second is invented; the third lies mostly and the fourth wholly in the unlabelled.
    assert (found.true_count, found.predicted_count, len(found.ious)) == (1, 2, 1)


def test_an_object_cut_by_the_unlabelled_is_compared_where_it_is_known():
    prediction, truth = np.ones((4, 10), int), np.full((4, 10), 5)
    unlabelled = np.zeros(truth.shape, bool)
    unlabelled[:, 2:] = True
    found = match_instances(prediction, truth, unlabelled=unlabelled)
    assert found.ious.tolist() == [1]
    assert found.panoptic_quality == 1


@pytest.mark.parametrize("threshold", [0.5, 0.05])
def test_2500_objects_are_matched_within_seconds(threshold):
    truth = np.kron(np.arange(2500).reshape(50, 50) + 1, np.ones((20, 20), int))
    start = time.process_time()
    found = match_instances(np.roll(truth, (2, 3), axis=(0, 1)), truth, threshold)
    assert time.process_time() - start < 5
    assert found.f1 > 0.9


@pytest.mark.parametrize("threshold", [0, 1.5])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(InputError, match="threshold"):
        match_instances(np.zeros((2, 2), int), np.zeros((2, 2), int), threshold)
