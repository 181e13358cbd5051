import json

import numpy as np
import pytest
import torch

from histobridge.core.checkpoint import load_checkpoint, save_checkpoint
from histobridge.core.errors import ProjectError
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.segment.networks import build_network


def card(**values):
    defaults = {
        "preset": "tiny",
        "classes": ("axon", "myelin"),
        "values": (3, 7),
        "domain": "source",
        "working_um": 0.1,
        "object_diameter_px": 20.0,
        "quantiles": tuple(np.linspace(-1, 1, 257)),
        "trained_on": ("a", "b"),
        "run": "20260101-train",
    }
    return ModelCard(**defaults | values)


@pytest.fixture
def segmenter():
    return Segmenter(build_network("tiny", 3), card())


@pytest.fixture
def image():
    return torch.rand(2, 1, 37, 51, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_saved_segmenter_predicts_the_same(segmenter, image, tmp_path):
    segmenter.save(tmp_path)
    loaded = Segmenter.load(tmp_path, device="cpu")
    assert loaded.card == segmenter.card
    assert torch.equal(loaded.probabilities(image), segmenter.probabilities(image))


def test_probabilities_of_any_size_sum_to_one(segmenter, image):
    for flips in (False, True):
        probabilities = segmenter.probabilities(image, flips=flips)
        assert probabilities.shape == (2, 3, 37, 51)
        assert probabilities.min() >= 0
        assert torch.allclose(probabilities.sum(dim=1), torch.ones(2, 37, 51))


def test_flips_make_the_result_mirror_with_the_image(segmenter):
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    mirrored = segmenter.probabilities(image.flip(3), flips=True).flip(3)
    assert torch.allclose(mirrored, segmenter.probabilities(image, flips=True), atol=1e-6)
    assert not torch.allclose(segmenter.probabilities(image.flip(3)).flip(3), segmenter.probabilities(image), atol=1e-6)


def test_predicting_leaves_the_running_statistics_alone(segmenter, image):
    before = {name: tensor.clone() for name, tensor in segmenter.net.state_dict().items()}
    segmenter.probabilities(image)
    assert all(torch.equal(tensor, before[name]) for name, tensor in segmenter.net.state_dict().items())


def test_label_values_and_channels_are_turned_into_each_other():
    classes = np.array([[0, 3, 7, 9, 255]], np.uint8)
    channels = card().to_channels(classes)
    assert channels.tolist() == [[0, 1, 2, 255, 255]]
    assert card().to_values(np.array([[0, 1, 2]])).tolist() == [[0, 3, 7]]


def test_the_card_says_what_made_the_model():
    assert {"napari-histobridge", "torch", "monai"} <= set(card().versions)


@pytest.mark.parametrize("values", [{"values": (1,)}, {"values": (1, 1)}, {"values": (0, 1)}, {"values": (1, 255)}])
def test_a_card_whose_classes_and_values_do_not_fit_is_refused(values):
    with pytest.raises(ValueError, match="values"):
        card(**values)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(segmenter, tmp_path, name):
    segmenter.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ProjectError, match=name):
        Segmenter.load(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_torn_file_is_named(segmenter, tmp_path, name):
    segmenter.save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ProjectError, match=name):
        Segmenter.load(tmp_path)


def test_exchanged_weights_are_noticed(segmenter, tmp_path):
    segmenter.save(tmp_path)
    card_before = (tmp_path / "model.json").read_bytes()
    Segmenter(build_network("tiny", 3, seed=1), card()).save(tmp_path)
    (tmp_path / "model.json").write_bytes(card_before)
    with pytest.raises(ProjectError, match="checksum"):
        Segmenter.load(tmp_path)


def test_weights_of_another_preset_are_refused(segmenter, tmp_path):
    segmenter.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"tiny"', '"cpu"'))
    with pytest.raises(ProjectError, match="cpu network"):
        Segmenter.load(tmp_path)


def test_a_card_of_a_newer_version_says_so(segmenter, tmp_path):
    segmenter.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99, "something": "new"}))
    with pytest.raises(ProjectError, match="99"):
        Segmenter.load(tmp_path)


@pytest.mark.parametrize("preset", ["tiny", "cpu", "gpu"])
def test_every_preset_is_saved_and_loaded_on_a_processor(preset, tmp_path):
    """MONAI's network of the preset gpu holds its blocks under two names, which share their memory."""
    net = build_network(preset, 3, seed=0)
    save_checkpoint(tmp_path, net.state_dict(), {})
    other = build_network(preset, 3, seed=1)
    other.load_state_dict(load_checkpoint(tmp_path)[0])
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(other.eval()(image), net.eval()(image))
    Segmenter(net, card(preset=preset)).save(tmp_path)
    assert Segmenter.load(tmp_path, device="cpu").card.preset == preset
