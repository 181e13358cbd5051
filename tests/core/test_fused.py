import numpy as np
import pytest

from histobridge.core.fused import FusedPrediction, fuse
from histobridge.core.target_model import TargetModel


def pixel(*probabilities):
    return np.array(probabilities, np.float32)[:, None, None]


def test_the_class_is_that_of_the_mean_and_confidence_its_mean_where_both_prefer_it():
    channels, confidence = fuse(pixel(0.1, 0.6, 0.3), pixel(0.0, 0.9, 0.1))
    assert channels == 1
    assert confidence == pytest.approx(0.75)


def test_where_they_prefer_different_classes_confidence_falls_by_what_they_do_not_share():
    channels, confidence = fuse(pixel(0.0, 0.7, 0.3), pixel(0.1, 0.3, 0.6))
    assert channels == 1
    # The mean is 0.5, and 0.0 + 0.3 + 0.3 is shared.
    assert confidence == pytest.approx(0.5 * 0.6)


def test_two_sure_models_that_contradict_each_other_give_no_confidence():
    assert fuse(pixel(0.0, 1.0, 0.0), pixel(0.0, 0.0, 1.0))[1] == 0


class Known:
    """Stands for a prediction whose probabilities are known."""

    def __init__(self, values, *probabilities):
        self.values, self._probabilities = np.array(values, np.uint8), pixel(*probabilities)

    def probabilities(self, window):
        return self._probabilities


def test_channels_are_told_by_the_values_of_the_classes():
    one, other = Known((0, 9, 2, 1), 0.1, 0.2, 0.1, 0.6), Known((0, 1, 2), 0.1, 0.8, 0.1)
    classes, confidence = FusedPrediction(one, other).labels((slice(0, 1), slice(0, 1)))
    assert classes == 1
    assert confidence == pytest.approx(0.7 * 255, abs=1)


def test_a_model_fused_with_itself_is_that_model(sample_loop):
    model = TargetModel.load(sample_loop.project, sample_loop.project.run(sample_loop.tutored).path)
    image_id = sample_loop.targets[0]
    alone, twice = (model.prediction(image_id, flips=False) for _ in range(2))
    for one, other in zip(
        FusedPrediction(alone, twice).labels(sample_loop.whole), alone.labels(sample_loop.whole), strict=True
    ):
        assert np.array_equal(one, other)


def test_a_window_of_a_fused_prediction_is_that_part_of_the_whole(sample_loop):
    runs = [sample_loop.project.run(run) for run in (sample_loop.tutored, sample_loop.adapted)]
    parts = [
        TargetModel.load(sample_loop.project, run.path).prediction(sample_loop.targets[0], flips=False) for run in runs
    ]
    window = (slice(40, 120), slice(70, 192))
    whole = FusedPrediction(*parts).labels(sample_loop.whole)
    for part, all_of_it in zip(FusedPrediction(*parts).labels(window), whole, strict=True):
        assert np.array_equal(part, all_of_it[window])
