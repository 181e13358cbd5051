"""The Match page where the user knows better: lines across objects, the polarity, the scale of one image."""

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from window_fakes import submitted

from histobridge.core.files import read_json, write_json
from histobridge.widgets.steps import step_states


@pytest.mark.parametrize(("domain", "other"), [("target", "source"), ("source", "target")])
def test_a_line_across_an_object_sets_its_diameter(make_window, sample, domain, other):
    viewer, window = make_window(sample)
    window.go("match")
    page = window.page("match")
    page.draw_buttons[domain].click()
    viewer.layers["typical object"].add_lines(np.array([[1.0, 1.0], [1.0, 2.5]]))
    config = page.form.config()
    assert getattr(config, f"{domain}_diameter_um") == pytest.approx(1.5)
    assert getattr(config, f"{other}_diameter_um") is None
    window.go("translate")
    assert "typical object" not in viewer.layers


def test_an_uncertain_polarity_is_decided_by_a_click_on_the_right_picture(make_window, sample, matched, engine, qtbot):
    for name, value in (("keep", 60), ("invert", 190)):
        Image.fromarray(np.full((80, 80, 3), value, np.uint8)).save(matched.path / f"preview-{name}.png")
    _, window = make_window(sample)
    window.go("match")
    box = window.page("match").override
    assert all(picture.isVisibleTo(box) and picture.shows_something for picture in box.pictures.values())
    qtbot.mouseClick(box.pictures["keep"], Qt.MouseButton.LeftButton)
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["polarity"]) == ("match", "keep")


def test_a_certain_polarity_is_not_asked_about_but_can_be_overruled(make_window, sample, matched):
    for name in ("keep", "invert"):
        Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(matched.path / f"preview-{name}.png")
    write_json(matched.path / "matching.json", read_json(matched.path / "matching.json") | {"certain": True})
    _, window = make_window(sample)
    window.go("match")
    box = window.page("match").override
    assert box.isVisibleTo(window)
    assert not any(picture.isVisibleTo(box) for picture in box.pictures.values())


def test_the_scale_of_one_image_is_set_in_the_table_and_taken_back(make_window, sample, matched):
    _, window = make_window(sample)
    window.go("match")
    table = window.page("match").scales
    record = sample.images("target")[0]
    assert table.item(0, 1).text() == f"{record.pixel_size_um / 0.2:.4g}"
    assert table.item(0, 2).text() == "matching"
    table.item(0, 1).setText("0,75")
    sample.refresh()
    assert [each.zoom_override for each in sample.images("target")] == [0.75, None]
    assert table.item(0, 2).text() == "you"
    table.item(0, 1).setText("twice")
    sample.refresh()
    assert sample.images("target")[0].zoom_override == 0.75
    assert table.item(0, 1).text() == "0.75"
    table.item(0, 1).setText("")
    sample.refresh()
    assert sample.images("target")[0].zoom_override is None


def test_a_pixel_size_that_was_edited_since_is_told_and_marks_the_step(make_window, sample, matched):
    record = sample.images("target")[0]
    file = matched.path / "matching.json"
    write_json(file, read_json(file) | {"pixel_sizes_um": {record.id: record.pixel_size_um}})
    runs = {matched.id: ("match", matched.state())}
    assert step_states(sample, runs)["match"] == "done"
    _, window = make_window(sample)
    window.go("match")
    assert "no longer fits" not in window.page("match").doubt.text()
    project = window.session.project
    project.update_image(record.id, pixel_size_um=7.0)
    assert step_states(project, runs)["match"] == "attention"
    window.page("match").refresh()
    assert f"image {record.id} had" in window.page("match").doubt.text()
    assert "Match again" in window.page("match").doubt.text()


def test_an_image_whose_zoom_is_set_needs_no_pixel_size_to_be_matched(make_window, sample, matched):
    with sample.editing():
        first, second = (record.id for record in sample.images("target"))
        sample.update_images([first, second], pixel_size_um=None)
        sample.update_image(first, zoom_override=1.0)
    _, window = make_window(sample)
    window.go("match")
    assert second in window.page("match").missing.text()
    assert first not in window.page("match").missing.text()


def test_a_scale_that_was_taken_over_is_said_to_be_that_of_the_source(make_window, sample, matched):
    found = read_json(matched.path / "matching.json") | {"scale_from": "size", "target_working_um": 0.1}
    write_json(matched.path / "matching.json", found)
    _, window = make_window(sample)
    window.go("match")
    assert "factor 1, objects taken to be as large as in the source" in window.page("match").scale.text()
