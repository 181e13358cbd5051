"""What lies over the tile: one thing at a time, by key or button, flipped with Tab, gone without a trace."""

import os

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from window_fakes import proposed

from histobridge.core.files import write_json
from histobridge.overlays import outline_of

needs_gl = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")


def test_every_label_has_an_outline_of_its_own_pixels():
    classes = np.zeros((6, 7), np.uint8)
    classes[1:5, 1:6] = 2
    classes[2:4, 2:5] = 1
    edge = outline_of(classes)
    expected = np.zeros((6, 7), np.uint8)
    expected[1:5, 1:6] = 1
    np.testing.assert_array_equal(edge, expected)
    assert not outline_of(np.full((4, 4), 3, np.uint8)).any()


@pytest.fixture
def open_page(make_window, sample, matched, qtbot):
    """The first target tile with proposals of two routes, and a matching."""

    def make():
        image = sample.images("target")[0]
        proposed(sample, sample.images("target"), 1, route="adaptation")
        shown = np.ones((96, 96), np.uint8)
        shown[:48] = 2
        proposed(sample, [image], shown, route="tutorship")
        matching = {
            **{"run": matched.id, "segmenter": "s", "object_diameter_px": 20.0, "polarity_score": {}},
            **{"source_working_um": 0.1, "target_working_um": 2 * image.pixel_size_um, "scale_from": "estimate"},
            **{"invert": True, "polarity_from": "estimate", "score": "entropy", "polarity_by_image": {}},
            **{"certainty": 0.9, "certain": True, "images": [image.id]},
            **{f"{side}_look": np.linspace(-1, 1, 257).tolist() for side in ("source", "target")},
        }
        write_json(matched.path / "matching.json", matching)
        viewer, window = make_window(sample, show=True)
        window.go("review", domain="target")
        viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(viewer.window._qt_window.isActiveWindow)
        return viewer, window

    return make


class Look:
    """The open tile and what lies over it."""

    def __init__(self, viewer, window, qtbot):
        self.viewer, self.window, self.qtbot = viewer, window, qtbot
        self.page = window.page("review")
        self.bar, self.labels = self.page.overlays, self.page.canvas.labels
        self.canvas = viewer.window._qt_viewer.canvas.native

    def press(self, key):
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key)

    @property
    def over(self):
        return {"translated", "confidence", "disagreement", "previous model"} & {
            layer.name for layer in self.viewer.layers
        }

    def shows(self, name):
        self.qtbot.waitUntil(lambda: self.over == {name})
        return self.viewer.layers[name]


@needs_gl
def test_overlays_by_key_are_flipped_followed_and_taken_away(open_page, qtbot):
    viewer, window = open_page()
    look = Look(viewer, window, qtbot)
    assert not look.over
    for see in (
        disagreement_and_tab,
        confidence_and_translation,
        model_before,
        next_tile,
        comparison,
        outline,
        contrast,
    ):
        see(look)


def disagreement_and_tab(look):
    look.press(Qt.Key.Key_V)
    layer = look.shows("disagreement")
    assert "tutorship and adaptation differ (50.0%" in look.bar.says.text()
    np.testing.assert_array_equal(layer.data[:, 0], np.repeat([1, 0], 48))
    np.testing.assert_allclose(layer.translate, look.labels.translate)
    assert look.viewer.layers.selection.active is look.labels
    look.press(Qt.Key.Key_Tab)
    assert not layer.visible
    assert look.labels.visible
    assert "plain tile" in look.bar.says.text()
    look.press(Qt.Key.Key_Tab)
    assert layer.visible


def confidence_and_translation(look):
    look.press(Qt.Key.Key_Q)
    assert (look.shows("confidence").data == 200).all()
    look.press(Qt.Key.Key_T)
    translated = look.shows("translated")
    assert translated.data.shape == (48, 48)
    corner = np.array(translated.data_to_world((-0.5, -0.5)))
    np.testing.assert_allclose(corner, look.labels.data_to_world((-0.5, -0.5)), atol=1e-9)
    end = np.array(translated.data_to_world((47.5, 47.5)))
    np.testing.assert_allclose(end, look.labels.data_to_world((95.5, 95.5)), atol=1e-9)


def model_before(look):
    look.press(Qt.Key.Key_L)
    before = look.shows("previous model")
    assert (before.data == 1).all()
    assert not look.labels.visible
    look.page.accept()
    assert "Flip back" in look.page.where.text()
    look.press(Qt.Key.Key_L)
    assert not look.over
    assert look.labels.visible


def next_tile(look):
    """What is chosen goes along to the next tile, where it says what is missing, and back."""
    QTest.mouseClick(look.bar.buttons["disagreement"], Qt.MouseButton.LeftButton)
    look.shows("disagreement")
    look.press(Qt.Key.Key_N)
    look.qtbot.waitUntil(lambda: "Only one model" in look.bar.says.text())
    assert not look.over
    look.press(Qt.Key.Key_B)
    look.shows("disagreement")


def comparison(look):
    """A comparison of models takes the place of an overlay, and the other way round."""
    look.window.session.compare_asked.emit("", look.window.session.newest("propose").run.id)
    assert look.over == {"previous model"}
    assert not any(made.isChecked() for made in look.bar.buttons.values())
    look.press(Qt.Key.Key_Q)
    look.shows("confidence")
    assert look.window.compare_bar.isHidden()
    look.press(Qt.Key.Key_G)
    assert not look.over


def outline(look):
    layers, labels = look.viewer.layers, look.labels
    np.testing.assert_array_equal(layers["outline"].data, outline_of(labels.data))
    assert layers["outline"].data.any()
    labels.fill((80, 80), 2)
    look.qtbot.waitUntil(lambda: not layers["outline"].data.any())  # all is one label now
    QTest.keyPress(look.canvas, Qt.Key.Key_H)
    assert not layers["outline"].visible
    QTest.keyRelease(look.canvas, Qt.Key.Key_H)
    assert layers["outline"].visible
    for contour, there in ((2, False), (0, False), (0, True)):
        look.press(Qt.Key.Key_U)
        assert labels.contour == contour
        assert ("outline" in layers) == there


def contrast(look):
    """It is kept for each image."""
    look.viewer.layers["image"].contrast_limits = (20, 90)
    look.page.step(1)
    assert tuple(look.viewer.layers["image"].contrast_limits) != (20, 90)
    look.page.step(-1)
    assert tuple(look.viewer.layers["image"].contrast_limits) == (20, 90)
