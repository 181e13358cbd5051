"""File > Open Sample: what napari is handed."""

import numpy as np
import pytest

from histobridge.sample_data import two_modalities


@pytest.fixture(scope="module")
def layers():
    return two_modalities()


def test_sample_is_an_image_with_labels_and_one_without(layers):
    assert [kind for _, _, kind in layers] == ["image", "labels", "image"]
    image, labels = layers[0][0], layers[1][0]
    assert image.shape == labels.shape
    assert set(np.unique(labels)) == {0, 1, 2}


def test_sample_is_in_micrometres_and_side_by_side(layers):
    (_, tem, _), (_, labels, _), (_, sem, _) = layers
    assert tem["scale"] == labels["scale"] != sem["scale"]
    assert sem["translate"][1] > layers[0][0].shape[1] * tem["scale"][1]
    for _, options, _ in layers:
        assert options["units"] == ("µm", "µm")
        assert options["metadata"]["histobridge"]["pixel_size_um"] == options["scale"][0]


def test_napari_takes_the_layers(layers):
    layer = pytest.importorskip("napari.layers").Layer
    for data, options, kind in layers:
        assert layer.create(data, options, kind).name == options["name"]
