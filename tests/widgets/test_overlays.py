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


@needs_gl
def test_overlays_by_key_flipped_followed_and_taken_away(open_page, qtbot, sample):
    viewer, window = open_page()
    page, canvas = window.page("review"), viewer.window._qt_viewer.canvas.native
    bar, labels = page.overlays, page.canvas.labels

    def press(key):
        canvas.setFocus()
        QTest.keyClick(canvas, key)

    def layers():
        return {layer.name for layer in viewer.layers} - {"image", "labels", "outline", "surroundings", "around"}

    def shows(name):
        qtbot.waitUntil(lambda: name in layers())
        assert layers() == {name}
        return viewer.layers[name]

    assert not layers()
    press(Qt.Key.Key_V)
    layer = shows("disagreement")
    assert "tutorship and adaptation differ (50.0%" in bar.says.text()
    np.testing.assert_array_equal(layer.data[:, 0], np.repeat([1, 0], 48))
    np.testing.assert_allclose(layer.translate, labels.translate)
    assert viewer.layers.selection.active is labels
    assert labels.visible

    press(Qt.Key.Key_Tab)
    assert not layer.visible
    assert labels.visible
    assert "plain tile" in bar.says.text()
    QTest.keyClick(canvas, Qt.Key.Key_Tab)
    assert layer.visible

    press(Qt.Key.Key_Q)
    assert (shows("confidence").data == 200).all()
    press(Qt.Key.Key_T)
    translated = shows("translated")
    assert translated.data.shape == (48, 48)
    np.testing.assert_allclose(translated.scale, np.array(labels.scale) * 2)
    corner = np.array(translated.data_to_world((-0.5, -0.5)))
    np.testing.assert_allclose(corner, labels.data_to_world((-0.5, -0.5)), atol=1e-9)

    press(Qt.Key.Key_L)
    before = shows("previous model")
    assert (before.data == 1).all()
    assert not labels.visible
    page.accept()
    assert "Flip back" in page.where.text()
    press(Qt.Key.Key_L)
    assert not layers()
    assert labels.visible

    # What is chosen goes along to the next tile, where it says what is missing, and back.
    QTest.mouseClick(bar.buttons["disagreement"], Qt.MouseButton.LeftButton)
    shows("disagreement")
    press(Qt.Key.Key_N)
    qtbot.waitUntil(lambda: "Only one model" in bar.says.text())
    assert not layers()
    press(Qt.Key.Key_B)
    shows("disagreement")

    # A comparison of models takes its place, and the other way round.
    window.session.compare_asked.emit("", window.session.newest("propose").run.id)
    assert layers() == {"previous model"}
    assert not any(made.isChecked() for made in bar.buttons.values())
    press(Qt.Key.Key_Q)
    shows("confidence")
    assert window.compare_bar.isHidden()
    press(Qt.Key.Key_G)
    assert not layers()


@needs_gl
def test_outline_and_contrast_are_hers(open_page, qtbot, sample):
    viewer, window = open_page()
    page, canvas = window.page("review"), viewer.window._qt_viewer.canvas.native

    def press(key):
        QTest.keyClick(canvas, key)

    np.testing.assert_array_equal(viewer.layers["outline"].data, outline_of(page.canvas.labels.data))
    page.canvas.labels.fill((80, 80), 2)
    qtbot.waitUntil(lambda: not viewer.layers["outline"].data.any())  # all is one label now
    QTest.keyPress(canvas, Qt.Key.Key_H)
    assert not viewer.layers["outline"].visible
    QTest.keyRelease(canvas, Qt.Key.Key_H)
    assert viewer.layers["outline"].visible
    press(Qt.Key.Key_U)
    assert "outline" not in viewer.layers
    assert page.canvas.labels.contour == 2
    press(Qt.Key.Key_U)
    assert page.canvas.labels.contour == 0
    press(Qt.Key.Key_U)
    assert "outline" in viewer.layers

    limits = tuple(viewer.layers["image"].contrast_limits)
    viewer.layers["image"].contrast_limits = (20, 90)
    page.step(1)
    assert tuple(viewer.layers["image"].contrast_limits) != (20, 90)
    page.step(-1)
    assert tuple(viewer.layers["image"].contrast_limits) == (20, 90) != limits
    viewer.close()
