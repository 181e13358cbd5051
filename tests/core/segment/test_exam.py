"""Scores on reviewed tiles, at native pixels, of reviewed pixels alone."""

import numpy as np
import pytest

from histobridge.core.corrections import TileEdit
from histobridge.core.holdout import ReviewedTile
from histobridge.core.metrics import dice
from histobridge.core.segment.exam import count, questions, tile_scores
from histobridge.core.tiles import tile_grid

VALUES = np.array([1, 2], np.uint8)
KEY = ("a", "r000c000")


def test_counts_give_the_dice_of_the_metrics_on_what_is_known():
    random = np.random.default_rng(0)
    predicted, truth = (random.integers(0, 3, (40, 50), np.uint8) for _ in range(2))
    truth[:10] = 255
    found = count(predicted, truth, VALUES)
    (score,) = tile_scores({KEY: found}, {KEY: count(truth, truth, VALUES)})
    assert score.before == pytest.approx(np.mean([dice(predicted, truth, value, ignore=255) for value in (1, 2)]))
    assert score.after == 1.0


def test_windows_of_one_tile_add_up():
    random = np.random.default_rng(1)
    predicted, truth = (random.integers(0, 3, (40, 50), np.uint8) for _ in range(2))
    halves = [count(predicted[part], truth[part], VALUES) for part in (slice(0, 20), slice(20, 40))]
    assert np.array_equal(halves[0] + halves[1], count(predicted, truth, VALUES))


def test_a_class_that_the_truth_lacks_does_not_count_and_background_alone_is_no_score():
    truth = np.ones((4, 4), np.uint8)
    predicted = truth.copy()
    predicted[0, 0] = 2
    found = {KEY: count(predicted, truth, VALUES)}
    assert tile_scores(found, found)[0].before == pytest.approx(2 * 15 / 31)
    nothing = {KEY: count(predicted, np.zeros((4, 4), np.uint8), VALUES)}
    assert tile_scores(nothing, nothing) == []


def test_only_reviewed_pixels_that_no_model_has_learned_are_asked_for(loop):
    image_id = loop.targets[0]
    tile = tile_grid((192, 192))[0]
    with loop.project.editing():
        edit = TileEdit(loop.project.labels(image_id), tile)
        classes = edit.classes
        classes[:100] = 2
        edit.commit(classes)
        edit.store.close()
    reviewed = ReviewedTile(image_id, tile.id, "rat1", tile.window)
    left, top = (slice(0, 192), slice(0, 50)), (slice(0, 100), slice(0, 192))
    (asked,) = questions(loop.project, [(reviewed, tile.window)], [(image_id, left), ("another", tile.window)])
    assert np.all(asked.truth[:100, 50:] == 2)
    assert np.all(asked.truth[100:] == 255)
    assert np.all(asked.truth[:, :50] == 255)
    assert questions(loop.project, [(reviewed, tile.window)], [(image_id, top)]) == []
