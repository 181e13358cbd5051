"""What reviewed tiles teach: which tiles, which pixels, how much each counts."""

import numpy as np
import pytest
import zarr

from histobridge.core.config import MatchConfig, ProposeConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.holdout import ReviewedTile
from histobridge.core.perform import perform
from histobridge.core.proposals import proposal_folder
from histobridge.core.segment.crops import Field
from histobridge.core.segment.reviewed import Lesson, Teacher, reviewed_tiles
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import tile_grid

TILES = tile_grid((192, 1920))


@pytest.fixture
def wide(learned_elsewhere):
    """A project with one image of two tiles that share 128 columns."""
    return learned_elsewhere({"wide": np.zeros((192, 1920), np.uint8)})


def edit(project, tile, image_id="wide"):
    return TileEdit(project.labels(image_id), tile)


def close(each):
    each.store.close()


def test_a_tile_whose_overlap_alone_is_reviewed_is_taught_by_its_neighbour(wide):
    with wide.editing():
        first = edit(wide, TILES[0])
        first.accept()
        close(first)
    (found,) = reviewed_tiles(wide)
    assert (found.key, found.decided, found.shows_class) == (("wide", TILES[0].id), True, False)


def test_strokes_make_a_tile_train_and_nine_tenths_make_it_decided(wide):
    with wide.editing():
        second = edit(wide, TILES[1])
        classes = second.classes
        classes[:20, 300:320] = 1
        second.commit(classes)
        assert second.flush()
        (begun,) = reviewed_tiles(wide)
        assert (begun.tile, begun.decided, begun.shows_class) == (TILES[1].id, False, True)
        classes[:, :950] = 2
        second.commit(classes)
        close(second)
    decided = {found.tile: (found.decided, found.share) for found in reviewed_tiles(wide)}
    assert decided == {TILES[1].id: (True, 1.0)}


def test_a_dab_where_four_tiles_overlap_belongs_to_one_of_them_and_counts_by_its_size(learned_elsewhere):
    project = learned_elsewhere({"large": np.zeros((1920, 1920), np.uint8)})
    tiles = tile_grid((1920, 1920))
    with project.editing():
        first = edit(project, tiles[0], "large")
        classes = first.classes
        classes[900:920, 900:920] = 1
        first.commit(classes)
        close(first)
    (found,) = reviewed_tiles(project)
    assert (found.tile, found.decided, found.share) == (tiles[0].id, False, 400 / 1024**2)


def test_ignored_pixels_are_not_reviewed(wide):
    with wide.editing():
        first = edit(wide, TILES[0])
        first.ignore(np.ones((192, 1024), bool))
        close(first)
    assert reviewed_tiles(wide) == []


def test_a_lesson_leaves_out_every_pixel_that_sees_the_window_and_no_others():
    labels = np.ones((48, 64), np.uint8)
    tile = ReviewedTile("a", "r000c000", "rat1", (slice(200, 296), slice(400, 528)))
    lesson = Lesson(tile, Field(np.zeros((48, 64), np.float32), labels), (100, 200), 0.5)
    assert lesson.without("b", tile.window) is lesson
    assert lesson.without("a", (slice(0, 200), slice(0, 1000))) is lesson
    cut = lesson.without("a", (slice(180, 220), slice(500, 600))).field.labels
    assert np.all(cut[:11, 49:] == 255)
    assert np.all(cut[13:] == 1)
    assert np.all(cut[:, :47] == 1)
    assert np.all(labels == 1)
    assert not lesson.without("a", tile.window).teaches


@pytest.fixture
def taught(loop):
    """Return a function that gives the lesson of one tile, after writing its proposal and painting a square."""

    def make(weight, painted=True):
        image_id = loop.targets[0]
        classes = np.ones((192, 192), np.uint8)
        classes[:, 96:] = 2
        confidence = np.full((192, 192), 255, np.uint8)
        confidence[120:] = 0
        folder = proposal_folder(loop.project.run(loop.tutored).path, image_id)
        for name, values in (("classes", classes), ("confidence", confidence)):
            zarr.open_array(folder / name, mode="r+")[:] = values
        with loop.project.editing():
            each = TileEdit(loop.project.labels(image_id), tile_grid((192, 192))[0], classes, loop.tutored)
            if painted:
                classes[150:180, 30:60] = 0
                each.commit(classes)
            else:
                each.accept()
            close(each)
        model = TargetModel.load(loop.project, loop.project.run(loop.tutored).path)
        store = loop.project.labels(image_id)
        (tile,) = reviewed_tiles(loop.project)
        lesson = Teacher(model, image_id, loop.tutored, 0.9, weight).lesson(store, tile)
        store.close()
        return lesson

    return make


def at(lesson, row, column):
    """Label and weight of the working pixel that shows a native one."""
    place = int((row + 0.5) * lesson.zoom), int((column + 0.5) * lesson.zoom)
    return int(lesson.field.labels[place]), float(lesson.field.weight[place])


def test_strokes_and_what_lies_around_them_count_fully_and_confident_proposals_as_much_as_asked(taught):
    lesson = taught(0.5)
    assert at(lesson, 165, 45) == (0, 1.0)  # painted
    assert at(lesson, 165, 61) == (1, 1.0)  # beside it
    assert at(lesson, 40, 20) == (1, 0.5)  # confident
    row = int(40.5 * lesson.zoom)
    border = int(np.flatnonzero(np.diff(lesson.field.labels[row].astype(int)) == 1)[0])
    beside = lesson.field.weight[row, border : border + 2]  # confident, at the border of two classes
    assert beside == pytest.approx(0.15, abs=0.05)
    assert at(lesson, 185, 150) == (255, 0.0)  # nobody is sure


def test_borders_that_were_accepted_count_fully(taught):
    assert np.allclose(taught(0.5, painted=False).field.weight, 1)


def test_without_a_proposal_reviewed_pixels_alone_teach(wide):
    for verb, config in (
        ("match", MatchConfig(scale_factor=3.0, polarity="invert")),
        ("propose", ProposeConfig(route="adaptation")),
    ):
        perform(wide.create_run(verb, config))
    with wide.editing():
        second = edit(wide, TILES[1])
        classes = second.classes
        classes[:, 500:] = 1
        second.commit(classes)
        close(second)
    model = TargetModel.load(wide, wide.active("proposals").path)
    store = wide.labels("wide")
    (tile,) = reviewed_tiles(wide)
    lesson = Teacher(model, "wide", "", 0.9, 1.0).lesson(store, tile)
    store.close()
    assert set(np.unique(lesson.field.labels)) == {1, 255}
    assert lesson.field.weight[lesson.field.labels == 1].min() == pytest.approx(1)
