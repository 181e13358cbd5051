"""Images and masks from layers that are already open, and source masks reviewed like proposals."""

import numpy as np
from hands import click, press, stored, stroke
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from histobridge.core.project import Project
from histobridge.core.states import ACCEPTED, CORRECTED


def take_layer(window, domain, name):
    """Choose a layer in the menu beside a list."""
    menus = [made for made in window.page("images").add_buttons if isinstance(made, QPushButton) and made.menu()]
    menu = menus[("source", "target").index(domain)].menu()
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.text() == name).trigger()


def test_open_layers_become_images_and_source_masks_are_reviewed(open_window, new_project, qtbot):
    viewer, window = open_window()
    viewer.open_sample("napari-histobridge", "two_modalities")
    project = new_project(window)
    hers = {layer.name: np.array(layer.data) for layer in viewer.layers}
    source = next(layer for layer in viewer.layers if layer.metadata["histobridge"]["domain"] == "source")
    target = next(layer for layer in viewer.layers if layer.metadata["histobridge"]["domain"] == "target")
    take_layer(window, "source", source.name)
    take_layer(window, "target", target.name)
    qtbot.waitUntil(lambda: len(project.images()) == 2, timeout=60_000)
    (added,), (wanted,) = project.images("source"), project.images("target")
    assert added.pixel_size_um == source.metadata["histobridge"]["pixel_size_um"]
    assert (added.has_masks, wanted.has_masks) == (True, False)
    np.testing.assert_array_equal(project.pixels(added.id).levels[0], source.data)

    click(window.step_bar.buttons["review"])
    page = window.page("review")
    page.domains["source"].click()
    layer = page.canvas.labels
    before, state = stored(project, added.id)
    assert (state == ACCEPTED).all()
    np.testing.assert_array_equal(layer.data, before)
    disk = Project.open(project.path)
    press(viewer, Qt.Key.Key_2)
    stroke(viewer, layer, 40, (50, 110))
    qtbot.waitUntil(lambda: (stored(disk, added.id)[1] == CORRECTED).any(), timeout=1000)
    classes, state = stored(disk, added.id)
    assert (classes[40, 50:110] == 2).all()
    np.testing.assert_array_equal(classes[state == ACCEPTED], before[state == ACCEPTED])
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(layer.data, before)
    press(viewer, Qt.Key.Key_A)
    assert page.chip.text() == "accepted"
    window.session.close_project()
    assert {layer.name: None for layer in viewer.layers} == dict.fromkeys(hers)
    for layer in viewer.layers:
        np.testing.assert_array_equal(layer.data, hers[layer.name])
