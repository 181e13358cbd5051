"""The map of the image on the Review page: jump, tints, and the window moved to a fibre across the border."""

import pytest
from qtpy.QtCore import Qt

from histobridge.core.files import read_json, write_json


@pytest.fixture
def page(make_window, sample):
    """The Review page over target images of 96 px in tiles of 64 px, two by two."""
    values = read_json(sample.path / "project.json")
    write_json(sample.path / "project.json", values | {"tile_px": 64, "tile_overlap_px": 16})
    _, window = make_window(sample)
    window.go("review", domain="target", tile="r000c000")
    return window.page("review")


def test_the_map_shows_where_the_tile_lies_and_opens_others(page, qtbot):
    overview, desk = page.overview, page.desk
    project, image = page.session.project, desk.place.image
    tiles = project.tiles(project.image(image))
    overview.map.resize(200, 110)

    def color(window, moved=0):
        """Colour of the map in the middle of a window, or some pixels to the right of it."""
        middle = overview.map.place_of(window).center().toPoint()
        return overview.map.grab().toImage().pixelColor(middle.x() + moved, middle.y())

    qtbot.waitUntil(lambda: len({color(tiles[3].window, moved).value() for moved in range(-9, 10, 3)}) > 3)
    corner_of_first = (slice(12, 20), slice(12, 20))
    before = color(corner_of_first)

    corner = overview.map.place_of((slice(90, 92), slice(90, 92))).center().toPoint()
    qtbot.mouseClick(overview.map, Qt.MouseButton.LeftButton, pos=corner)
    assert (desk.place.image, desk.place.tile.id) == (image, "r001c001")
    page.step(-1)
    page.step(-1)
    page.step(-1)
    assert desk.place.tile.id == "r000c000"
    page.accept()
    assert desk.place.tile.id == "r000c001"
    after = color(corner_of_first)
    assert after.greenF() - after.redF() > before.greenF() - before.redF() + 0.1

    opened = []
    page.session.tile_opened.connect(opened.append)
    page.canvas.look_at((0, 16), (64, 64), project.image(image).pixel_size_um)
    overview.centre_button.click()
    assert desk.place.tile.window == (slice(0, 64), slice(16, 80))
    assert opened[-1].tile.id == "r000c001"
    assert overview.centre_button.text().startswith("Back")
    assert page.where.text().startswith("Tile 2 of 8.")
    page.step(1)
    assert desk.place.tile == tiles[2]
    assert overview.centre_button.text().startswith("Centre")


def test_an_image_of_one_tile_needs_no_map(make_window, sample):
    _, window = make_window(sample)
    window.go("review", domain="target")
    assert window.page("review").overview.isHidden()
