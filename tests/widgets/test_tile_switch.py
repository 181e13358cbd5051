"""Going from tile to tile: the tile itself first, what lies over and around it when that was drawn; one viewer."""

import numpy as np
from qtpy.QtWidgets import QApplication

from histobridge.core.files import read_json, write_json
from histobridge.overlays import outline_of
from histobridge.widgets.desk import places


def small_tiles(project):
    """Two by two tiles an image."""
    values = read_json(project.path / "project.json")
    write_json(project.path / "project.json", values | {"tile_px": 64, "tile_overlap_px": 16})
    return project


def test_outline_and_neighbours_come_after_the_tile_and_marks_are_hidden_meanwhile(make_window, sample, qtbot):
    viewer, window = make_window(small_tiles(sample))
    window.go("review", domain="target")
    page, layers = window.page("review"), viewer.layers
    assert "neighbours" not in layers
    qtbot.waitUntil(lambda: "neighbours" in layers and "outline" in layers)
    here = [place for place in places(window.session.project, "target") if place.image == page.desk.place.image]
    labels, around, outline = layers["labels"], layers["neighbours"], layers["outline"]
    labels.data[10:30, 30:50] = 2  # a sheath without an axon, across the border of two tiles
    page.desk.commit()
    page.rules.check()
    qtbot.waitUntil(lambda: "to check" in layers)
    shown = []
    around.events.set_data.connect(lambda _: shown.append(around.data[32:, 32:].any()))
    for place in here[1:]:
        page.open(place)
    assert not layers["to check"].visible
    assert not shown, "it waits"
    qtbot.waitUntil(lambda: bool(shown))
    assert shown == [False], "only the last of several tiles is completed"
    np.testing.assert_array_equal(outline.data, outline_of(labels.data))
    np.testing.assert_array_equal(outline.translate, labels.translate)
    page.open(here[0])
    assert (labels.data[10:30, 30:50] == 2).all()
    page.rules.check()
    qtbot.waitUntil(lambda: layers["to check"].visible)
    assert layers["to check"].visible
    np.testing.assert_array_equal(layers["to check"].translate, labels.translate)


def test_nothing_of_one_image_stays_over_the_next_and_closing_at_once_is_well(make_window, sample, qtbot):
    viewer, window = make_window(small_tiles(sample))
    window.go("review", domain="target")
    page, layers = window.page("review"), viewer.layers
    qtbot.waitUntil(lambda: "neighbours" in layers)
    layers["labels"].data[:] = 2
    here = places(window.session.project, "target")
    page.open(next(place for place in here if place.image != page.desk.place.image))
    assert not layers["labels"].data.any()
    assert not layers["outline"].data.any()
    assert not (layers["neighbours"].data == 2).any()
    page.step(1)
    window.session.close_project()
    QApplication.processEvents()
    assert not len(layers)
