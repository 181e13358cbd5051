"""Our layers in a viewer: placed, coloured, reused, removed; the user's never touched."""

import numpy as np
import pytest

from histobridge.core.manifest import MYELINATED_FIBRE
from histobridge.layers import Canvas

TILE = np.zeros((16, 16), np.uint8)


@pytest.fixture
def make_canvas(make_napari_viewer):
    def make():
        viewer = make_napari_viewer()
        return viewer, Canvas(viewer)

    return make


def test_a_tile_lies_where_it_belongs_in_micrometres(make_canvas):
    viewer, canvas = make_canvas()
    canvas.show_image("a", [np.zeros((64, 64), np.uint8), np.zeros((32, 32), np.uint8)], 0.5, (0, 255))
    canvas.show_labels(TILE, (16, 32), 0.5, editable=True)
    layer = viewer.layers["labels"]
    np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    np.testing.assert_allclose(layer.translate, (8, 16))
    np.testing.assert_allclose(viewer.layers["image"].scale, (0.5, 0.5))
    assert viewer.canvas.overlays.scale_bar.visible
    assert [each.name for each in viewer.layers] == ["image", "labels"]


def test_showing_the_same_image_again_keeps_its_layer(make_canvas):
    viewer, canvas = make_canvas()
    canvas.show_image("a", [np.zeros((64, 64), np.uint8)], None, (0, 255))
    before = viewer.layers["image"]
    canvas.show_image("a", [np.zeros((64, 64), np.uint8)], None, (0, 255))
    assert viewer.layers["image"] is before
    canvas.show_image("b", [np.ones((64, 64), np.uint8)], None, (0, 255))
    assert viewer.layers["image"].data.max() == 1
    assert len(viewer.layers) == 1


def test_the_labels_layer_is_reused_and_forgets_napari_s_history(make_canvas):
    viewer, canvas = make_canvas()
    assert canvas.show_labels(TILE, (0, 0), None, editable=True)
    layer = viewer.layers["labels"]
    layer.mode = "fill"
    layer.fill((0, 0), 1)
    assert not canvas.show_labels(TILE + 2, (0, 0), None, editable=True)
    assert viewer.layers["labels"] is layer
    layer.undo()
    assert (layer.data == 2).all()
    assert layer.mode == "fill"


def test_painting_does_not_reach_the_array_that_was_given(make_canvas):
    _, canvas = make_canvas()
    given = TILE.copy()
    canvas.show_labels(given, (0, 0), None, editable=True)
    canvas.labels.fill((0, 0), 1)
    assert not given.any()
    assert canvas.painted().all()


def test_classes_have_their_colours_and_ignored_pixels_are_grey(make_canvas):
    _, canvas = make_canvas()
    canvas.show_labels(TILE, (0, 0), None, editable=True)
    canvas.color_labels(MYELINATED_FIBRE)
    colors = canvas.labels.colormap.color_dict
    np.testing.assert_allclose(colors[1][:3], np.array([0x56, 0xB4, 0xE9]) / 255, atol=1e-6)
    np.testing.assert_allclose(colors[255][:3], 0x99 / 255, atol=1e-6)
    assert colors[0][3] == 0


def test_layers_are_known_by_identity_not_by_name(make_canvas):
    viewer, canvas = make_canvas()
    hers = viewer.add_labels(TILE + 1, name="labels")
    canvas.show_labels(TILE, (0, 0), None, editable=True)
    assert canvas.labels is not hers
    assert canvas.open_masks() == [hers]
    canvas.clear()
    assert list(viewer.layers) == [hers]
    assert (hers.data == 1).all()


def test_a_labels_layer_that_the_user_deleted_is_made_anew(make_canvas):
    viewer, canvas = make_canvas()
    canvas.show_labels(TILE, (0, 0), None, editable=True)
    viewer.layers.remove("labels")
    assert not canvas.has_labels
    assert canvas.show_labels(TILE, (0, 0), None, editable=True)
    assert "labels" in viewer.layers


def test_a_drawn_line_is_measured_in_micrometres(make_canvas):
    _, canvas = make_canvas()
    lengths = []
    canvas.measure(lengths.append, 0.1)
    canvas.ruler.add_lines(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert lengths == [pytest.approx(5.0)]


def test_brush_eraser_and_visibility(make_canvas):
    _, canvas = make_canvas()
    canvas.show_labels(TILE, (0, 0), None, editable=True)
    canvas.choose_class(2)
    assert (canvas.labels.mode, canvas.labels.selected_label) == ("paint", 2)
    canvas.erase(True)
    canvas.erase(True)
    assert canvas.labels.mode == "erase"
    canvas.erase(False)
    assert canvas.labels.mode == "paint"
    canvas.resize_brush(larger=False)
    assert canvas.labels.brush_size == 7
    canvas.hide_labels(True)
    assert not canvas.labels.visible
