"""What the desk makes of painted pixels."""

import numpy as np
import pytest
from window_fakes import proposed

from histobridge.core.effort import edits_of
from histobridge.core.files import read_json, write_json
from histobridge.core.images.problem import FileError
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED
from histobridge.layers import Canvas
from histobridge.widgets.desk import Desk, places


def test_an_ignored_pixel_painted_in_the_class_under_it_is_corrected(make_window, sample):
    viewer, window = make_window(sample)
    window.go("review", domain="target")
    desk = window.page("review").desk
    labels = viewer.layers["labels"].data
    labels[10:20] = 255
    assert desk.commit() == 10 * labels.shape[1]
    labels[10:15] = 0
    assert desk.commit() == 5 * labels.shape[1]
    state = desk.edit.state
    assert np.all(state[10:15] == CORRECTED)
    assert np.all(state[15:20] == IGNORED)
    assert desk.commit() == 0
    desk.undo()
    assert np.all(labels[10:20] == 255)


def test_a_stroke_decides_all_that_it_goes_over_and_costs_only_what_it_changes(make_window, sample):
    proposed(sample, sample.images("target"), 1)
    viewer, window = make_window(sample)
    window.go("review", domain="target")
    desk, labels = window.page("review").desk, viewer.layers["labels"]
    labels.data[40:, :] = 0
    assert desk.commit()
    before = len(desk.edit.store.journal.entries)
    labels.paint((20, 20), 1)
    labels.paint_polygon(np.array([[5, 50], [5, 80], [15, 80], [15, 50]]), 1)
    assert desk.commit() > 400
    state = desk.edit.state
    assert (state[16:25, 18:23] == CORRECTED).all()
    assert (state[6:15, 51:80] == CORRECTED).all()
    assert not state[:40, 30:48].any()
    labels.paint((39, 60), 1)  # half of it is proposed so
    whole = desk.commit()
    entries = desk.edit.store.journal.entries[before:]
    counted = edits_of(entries, desk.place.tile.id)
    assert counted["strokes"] == 1
    assert 0.3 * whole < counted["pixels"] < 0.7 * whole
    desk.undo()
    desk.undo()
    assert not desk.edit.state[:40].any()
    labels.paint((20, 20), 1)
    desk.undo()  # which commits first
    assert desk.commit() == 0


@pytest.fixture
def small_tiles(sample):
    """The sample in tiles of 64 px, two by two an image, being edited; and the places of its first target image."""
    values = read_json(sample.path / "project.json")
    write_json(sample.path / "project.json", values | {"tile_px": 64, "tile_overlap_px": 16})
    with sample.editing():
        first = sample.images("target")[0].id
        yield sample, [place for place in places(sample, "target") if place.image == first]


def test_a_fibre_across_the_border_is_corrected_whole(make_napari_viewer, small_tiles):
    project, (left, right, *_) = small_tiles
    viewer = make_napari_viewer()
    desk = Desk(Canvas(viewer))
    desk.put(project, left)
    labels, around = viewer.layers["labels"], viewer.layers["neighbours"]
    assert desk.centre((20, 64))
    assert desk.centred
    assert desk.place.tile.window == right.tile.window
    labels.data[10:14, 24:44] = 2
    assert desk.commit() == 80
    desk.home()
    assert not desk.centred
    # The part inside the tile lies in it, the part outside is outlined around it.
    assert (labels.data[10:14, 56:] == 2).all()
    assert (around.data[10:14, 66:76] == 2).all()
    assert not around.data[:64, :64].any()
    assert not around.editable
    desk.put(project, right)
    assert (labels.data[10:14, 24:44] == 2).all()
    desk.undo()
    assert labels.data.any(), "the step belongs to the other tile"
    assert desk.standings() == {left.tile.id: "corrected"}
    desk.put(project, left)
    desk.undo()
    assert not labels.data.any()
    assert not (around.data == 2).any()
    desk.redo()
    desk.flush()
    classes, state = project.labels(left.image).read((slice(0, 96), slice(0, 96)))
    assert (state[10:14, 56:76] == CORRECTED).all()
    assert np.count_nonzero(classes) == np.count_nonzero(state) == 80
    desk.close()


def test_accepting_a_tile_whose_window_was_moved_concerns_its_own_pixels(make_napari_viewer, small_tiles):
    project, (left, *_) = small_tiles
    desk = Desk(Canvas(make_napari_viewer()))
    desk.put(project, left)
    desk.centre((20, 64))
    desk.accept()
    assert not desk.centred
    assert desk.standings() == {left.tile.id: "accepted"}
    desk.close()
    _, state = project.labels(left.image).read((slice(0, 64), slice(0, 96)))
    assert (state[:, :64] == ACCEPTED).all()
    assert not state[:, 64:].any()


@pytest.fixture
def two_images(sample, make_napari_viewer):
    """The first tiles of two target images of the sample, which is being edited, and a desk."""
    with sample.editing():
        first, second = (place for place in places(sample, "target") if place.tile == places(sample, "target")[0].tile)
        viewer = make_napari_viewer()
        yield sample, first, second, viewer, Desk(Canvas(viewer))


@pytest.mark.parametrize("broken", ["pixels", "labels"])
def test_a_tile_that_cannot_be_opened_never_gets_what_was_painted_on_another(two_images, monkeypatch, broken):
    project, first, second, viewer, desk = two_images
    desk.put(project, first)
    viewer.layers["labels"].data[10:12] = 1

    def unreadable(image_id):
        raise FileError("gone", "cannot be read", "mount it again")

    with monkeypatch.context() as patched:
        patched.setattr(project, broken, unreadable)
        with pytest.raises(FileError):
            desk.put(project, second)
    if "labels" in viewer.layers:
        assert desk.place == first
        viewer.layers["labels"].data[12:14] = 1
    desk.commit()
    desk.close()
    painted = [project.labels(place.image).read(place.tile.window)[1] == CORRECTED for place in (first, second)]
    assert painted[0][10:12].all()
    assert painted[0][12:14].all() == (broken == "pixels")
    assert not painted[1].any()


def test_a_tile_that_was_put_away_cannot_be_painted_until_it_is_opened_again(two_images):
    """What is painted there would go nowhere."""
    project, first, _, viewer, desk = two_images
    desk.put(project, first)
    assert viewer.layers["labels"].editable
    desk.close()
    assert not viewer.layers["labels"].editable
    desk.put(project, first)
    assert viewer.layers["labels"].editable
    desk.close()
