import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.images.pyramid import Pyramid
from histobridge.core.images.working import WorkingImage
from histobridge.core.segment.predict import TiledPrediction
from histobridge.core.target_model import NativePrediction, TargetModel

EDGE = 61


def certain_of_left_and_right(tensor):
    """Call dark pixels class 1 and bright ones class 2, without a doubt."""
    import torch

    bright = (tensor[:, 0] > 0).float()
    return torch.stack([torch.zeros_like(bright), 1 - bright, bright], dim=1)


def prediction(zoom, kept=(True, True), values=(5, 7)):
    pixels = np.zeros((90, 130), np.uint8)
    pixels[:, EDGE:] = 200
    image = WorkingImage(Pyramid([pixels], [1.0]), zoom)
    tiled = TiledPrediction(certain_of_left_and_right, image.read, image.shape, tile=32, overlap=8)
    return NativePrediction(tiled, image, values, kept)


WHOLE = (slice(0, 90), slice(0, 130))


@pytest.mark.parametrize("zoom", [0.23, 0.5, 1.0, 2.6])
def test_labels_lie_on_the_original_pixels(zoom):
    classes, confidence = prediction(zoom).labels(WHOLE)
    assert classes.shape == confidence.shape == (90, 130)
    borders = np.argmax(classes == 7, axis=1)
    # Half a working pixel is all that the scale may cost.
    assert np.abs(borders - EDGE).max() <= max(1, 0.5 / zoom + 0.5)
    assert confidence[:, :40].min() > 250


@given(
    zoom=st.floats(0.15, 2.5),
    corner=st.tuples(st.integers(0, 80), st.integers(0, 120)),
    side=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
@settings(max_examples=25, deadline=None)
def test_a_window_equals_the_same_part_of_the_whole(zoom, corner, side):
    window = tuple(slice(at, min(at + by, end)) for at, by, end in zip(corner, side, (90, 130), strict=True))
    native = prediction(zoom)
    whole = native.probabilities(WHOLE)
    assert np.allclose(native.probabilities(window), whole[(slice(None), *window)], atol=1e-5)
    assert np.allclose(whole.sum(axis=0), 1, atol=1e-4)


def test_a_class_of_another_domain_counts_as_background():
    classes, confidence = prediction(1.0, kept=(True, False)).labels(WHOLE)
    assert set(np.unique(classes)) == {0, 5}
    assert (classes[:, EDGE + 2 :] == 0).all()
    assert confidence[:, EDGE + 2 :].min() > 250


def test_the_value_for_unlabelled_cannot_be_predicted():
    with pytest.raises(ValueError, match="255 means unlabelled"):
        prediction(1.0, values=(5, 255))


def test_a_model_of_the_source_look_sees_the_target_translated(sample_loop):
    image_id = sample_loop.targets[0]
    adapted, tutored = (
        TargetModel.load(sample_loop.project, sample_loop.project.run(run).path)
        for run in (sample_loop.adapted, sample_loop.tutored)
    )
    as_it_is, translated = tutored.whole(image_id), adapted.whole(image_id)
    assert (adapted.view.translator, tutored.view.translator, tutored.view.tutor) == ("instant", "", "instant")
    assert np.corrcoef(as_it_is.ravel(), translated.ravel())[0, 1] < -0.9
    assert np.array_equal(as_it_is, tutored.working_image(image_id).whole())


def test_a_model_is_saved_with_its_view(sample_loop, tmp_path):
    model = TargetModel.load(sample_loop.project, sample_loop.project.run(sample_loop.adapted).path)
    model.save(tmp_path)
    again = TargetModel.load(sample_loop.project, tmp_path)
    assert again.view == model.view
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json", "view.json"}
