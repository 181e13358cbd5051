import numpy as np
import pytest

from histobridge.core.fused import FusedPrediction, fuse
from histobridge.core.images.pyramid import Pyramid
from histobridge.core.images.working import WorkingImage
from histobridge.core.segment.predict import TiledPrediction
from histobridge.core.specks import Specks
from histobridge.core.target_model import NativePrediction, TargetModel


def pixel(*probabilities):
    return np.array(probabilities, np.float32)[:, None, None]


def test_both_count_alike_and_where_they_prefer_one_class_all_is_shared():
    mean, shared = fuse(pixel(0.1, 0.6, 0.3), pixel(0.0, 0.9, 0.1))
    assert mean.ravel() == pytest.approx([0.05, 0.75, 0.2])
    assert shared == 1


def test_where_they_prefer_different_classes_their_distributions_share_little():
    mean, shared = fuse(pixel(0.0, 0.7, 0.3), pixel(0.1, 0.3, 0.6))
    assert mean.argmax() == 1
    assert shared == pytest.approx(0.0 + 0.3 + 0.3)


def test_two_sure_models_that_contradict_each_other_share_nothing():
    assert fuse(pixel(0.0, 1.0, 0.0), pixel(0.0, 0.0, 1.0))[1] == 0


def known(values, probabilities, specks=None):
    """A prediction that says the same of every pixel, or what a map of axons says."""
    import torch

    image = WorkingImage(Pyramid([np.zeros((48, 48), np.uint8)], [1.0]), 1.0)
    channels = len(values)
    said = np.asarray(probabilities, np.float32).reshape(channels, -1, 1)
    maps = torch.from_numpy(np.broadcast_to(said, (channels, 48, 48)).copy())
    tiled = TiledPrediction(lambda tensor: maps[None], image.read, image.shape, tile=48, overlap=0)
    return NativePrediction(tiled, image, values[1:], (True,) * (channels - 1), specks)


WINDOW = (slice(0, 48), slice(0, 48))


def test_channels_are_told_by_the_values_of_the_classes():
    one, other = known((0, 9, 2, 1), (0.1, 0.2, 0.1, 0.6)), known((0, 1, 2), (0.1, 0.8, 0.1))
    classes, confidence = FusedPrediction(one, other).labels(WINDOW)
    assert (classes == 1).all()
    assert confidence == pytest.approx(0.7 * 255, abs=1)


def test_specks_of_the_mean_are_dropped_not_those_of_each_part():
    """Rows of axon in one part make a whole axon with the other, which is for axons everywhere."""
    stripes = np.where(np.arange(48) % 4 < 2, 0.9, 0.4)
    one = known((0, 1), np.stack([1 - stripes, stripes]), Specks(1, 200.0))
    other = known((0, 1), (0.3, 0.7), Specks(1, 200.0))
    assert (one.labels(WINDOW)[0] == 0).all()
    assert (FusedPrediction(one, other).labels(WINDOW)[0] == 1).all()
    assert (FusedPrediction(one, known((0, 1), (0.8, 0.2))).labels(WINDOW)[0] == 0).all()


def test_predictions_at_different_scales_do_not_fuse():
    one, other = known((0, 1), (0.3, 0.7)), known((0, 1), (0.3, 0.7))
    other.image = WorkingImage(Pyramid([np.zeros((48, 48), np.uint8)], [1.0]), 0.5)
    with pytest.raises(ValueError, match="do not fuse"):
        FusedPrediction(one, other)


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
