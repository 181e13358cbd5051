"""Labels of models over the tile: one side is seen at a time, nobody paints on them, the user's layers stay."""

import numpy as np
import pytest

from histobridge.core.manifest import MYELINATED_FIBRE
from histobridge.layers import Canvas

TILE = np.zeros((16, 16), np.uint8)


@pytest.fixture
def make_canvas(make_napari_viewer):
    def make():
        viewer = make_napari_viewer()
        canvas = Canvas(viewer)
        canvas.show_labels(TILE, (32, 16), 0.5, editable=True)
        canvas.color_labels(MYELINATED_FIBRE)
        return viewer, canvas

    return make


def seen(viewer):
    return [layer.name for layer in viewer.layers if layer.visible]


def test_flipping_shows_the_labels_or_the_model_and_back(make_canvas):
    viewer, canvas = make_canvas()
    canvas.flip.show(canvas.labels, [TILE + 1])
    assert seen(viewer) == ["labels"]
    canvas.flip.flip()
    assert seen(viewer) == ["previous model"]
    assert canvas.flip.hides_labels
    canvas.flip.flip()
    assert seen(viewer) == ["labels"]
    assert not canvas.flip.hides_labels


def test_two_models_are_flipped_with_the_labels_hidden(make_canvas):
    viewer, canvas = make_canvas()
    canvas.flip.show(canvas.labels, [TILE + 1, TILE + 2])
    assert seen(viewer) == ["model"]
    canvas.flip.flip()
    assert seen(viewer) == ["previous model"]
    assert canvas.flip.hides_labels
    assert [viewer.layers[name].data.max() for name in ("model", "previous model")] == [1, 2]


def test_labels_of_a_model_lie_and_look_like_those_of_the_tile_and_are_read_only(make_canvas):
    viewer, canvas = make_canvas()
    canvas.labels.mode = "paint"
    canvas.flip.show(canvas.labels, [TILE + 1])
    layer = viewer.layers["previous model"]
    np.testing.assert_allclose(layer.scale, canvas.labels.scale)
    np.testing.assert_allclose(layer.translate, canvas.labels.translate)
    assert layer.colormap == canvas.labels.colormap
    assert layer.opacity == canvas.labels.opacity
    assert not layer.editable
    assert viewer.layers.selection.active is canvas.labels
    canvas.flip.flip()
    canvas.labels.mode = "paint"
    assert canvas.labels.mode == "pan_zoom"
    canvas.flip.flip()
    assert canvas.labels.mode == "paint"
    assert not layer.editable


def test_another_tile_keeps_the_layers_and_the_side_that_is_seen(make_canvas):
    viewer, canvas = make_canvas()
    canvas.flip.show(canvas.labels, [TILE + 1])
    canvas.flip.flip()
    layer = viewer.layers["previous model"]
    canvas.show_labels(np.zeros((8, 8), np.uint8), (0, 0), 0.5, editable=True)
    canvas.flip.show(canvas.labels, [np.full((8, 8), 2, np.uint8)])
    assert viewer.layers["previous model"] is layer
    assert layer.data.shape == (8, 8)
    np.testing.assert_allclose(layer.translate, (0, 0))
    assert seen(viewer) == ["previous model"]


def test_ending_takes_only_our_layers_and_shows_the_labels(make_canvas):
    viewer, canvas = make_canvas()
    hers = viewer.add_labels(TILE + 5, name="previous model")
    canvas.flip.show(canvas.labels, [TILE + 1])
    assert canvas.open_masks() == [hers]
    canvas.flip.flip()
    canvas.flip.remove()
    assert list(viewer.layers) == [canvas.labels, hers]
    assert canvas.labels.visible
    assert (hers.data == 5).all()
    canvas.flip.show(canvas.labels, [TILE + 1])
    canvas.clear()
    assert list(viewer.layers) == [hers]


def test_a_model_layer_that_the_user_deleted_is_made_anew(make_canvas):
    viewer, canvas = make_canvas()
    canvas.flip.show(canvas.labels, [TILE + 1])
    viewer.layers.remove("previous model")
    assert not canvas.flip.on
    canvas.flip.flip()
    canvas.flip.show(canvas.labels, [TILE + 1])
    assert seen(viewer) == ["previous model"]


def test_holding_hide_hides_what_is_seen(make_canvas):
    viewer, canvas = make_canvas()
    canvas.flip.show(canvas.labels, [TILE + 1])
    canvas.flip.flip()
    canvas.hide_labels(True)
    assert seen(viewer) == []
    canvas.hide_labels(False)
    assert seen(viewer) == ["previous model"]
