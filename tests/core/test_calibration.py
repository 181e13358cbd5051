"""Calibration error against MONAI and answers known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histobridge.core.calibration import calibration_error, expected_calibration_error
from histobridge.core.errors import InputError


def test_being_sure_and_half_right_is_off_by_a_half():
    assert expected_calibration_error(np.ones(10), np.arange(10) < 5) == pytest.approx(0.5)
    assert expected_calibration_error(np.full(10, 0.5), np.arange(10) < 5) == pytest.approx(0)


def test_two_bins_done_by_hand():
    confidence, correct = np.array([0.4, 0.4, 0.9, 0.9]), np.array([0, 0, 1, 0])
    # Bin (0, 1/2]: |0 - 0.4|, bin (1/2, 1]: |0.5 - 0.9|.
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(0.4)
    # In one bin the errors would cancel only if they had different signs.
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.65 - 0.25)


@pytest.mark.parametrize("bins", [5, 15])
def test_calibration_error_agrees_with_monai(bins):
    torch = pytest.importorskip("torch")
    from monai.metrics import CalibrationErrorMetric

    random = np.random.default_rng(3)
    probabilities = random.dirichlet((1, 2, 1), (30, 40)).transpose(2, 0, 1).astype(np.float32)
    truth = np.array([0, 4, 9], np.uint8)[random.integers(0, 3, (30, 40))]
    correct = np.array([0, 4, 9])[probabilities.argmax(axis=0)] == truth
    # MONAI bins each channel for itself; the error of the most probable class is that of a single channel.
    metric = CalibrationErrorMetric(num_bins=bins)
    metric(
        y_pred=torch.from_numpy(probabilities.max(axis=0))[None, None], y=torch.from_numpy(correct)[None, None].float()
    )
    found = calibration_error(probabilities, truth, (4, 9), bins=bins)
    assert found == pytest.approx(metric.aggregate().item(), abs=1e-5)


def test_unlabelled_pixels_do_not_count():
    probabilities = np.zeros((2, 1, 4), np.float32)
    probabilities[1] = 1
    assert calibration_error(probabilities, np.array([[1, 1, 255, 255]], np.uint8), (1,), ignore=255) == 0
    assert calibration_error(probabilities, np.full((1, 4), 255, np.uint8), (1,), ignore=255) == 0


@settings(deadline=None, max_examples=60)
@given(confidence=arrays(np.float32, 12, elements=st.floats(0, 1, width=32)), correct=arrays(bool, 12))
def test_the_error_is_in_range_and_at_least_that_of_one_bin(confidence, correct):
    error = expected_calibration_error(confidence, correct)
    assert abs(correct.mean() - confidence.mean(dtype=float)) - 1e-9 <= error <= 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: expected_calibration_error(np.array([1.2]), np.array([True])), r"\[0, 1\]; got 1.2"),
        (lambda: expected_calibration_error(np.array([np.nan]), np.array([True])), "got nan"),
        (lambda: expected_calibration_error(np.ones(3), np.ones(2, bool)), "3 pixels and correctness of 2"),
        (lambda: expected_calibration_error(np.ones(3), np.ones(3, bool), 0), "at least 1 bin"),
        (lambda: calibration_error(np.ones((2, 4, 4)), np.zeros((4, 4), np.uint8), (1, 2)), r"expected \(3, 4, 4\)"),
    ],
)
def test_wrong_arguments_of_calibration_are_named(wrong, told):
    with pytest.raises(InputError, match=told):
        wrong()
