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


def scores(before, after, truth):
    (score,) = tile_scores(*({KEY: count(classes, truth, VALUES)} for classes in (before, after)))
    return score.before, score.after


def test_a_class_that_is_not_there_costs_the_model_that_shows_it_and_not_the_other():
    truth = np.ones((20, 20), np.uint8)
    truth[15:] = 255
    right, wrong, slip = truth.copy(), truth.copy(), truth.copy()
    wrong[0, :4] = 2
    slip[0, :3] = 2  # a hundredth of what is known
    right[15:] = slip[15:] = 2
    axons = 2 * 296 / 596
    assert scores(right, wrong, truth) == (1.0, pytest.approx(axons / 2))
    assert scores(wrong, right, truth) == (pytest.approx(axons / 2), 1.0)
    assert scores(wrong, wrong, truth) == pytest.approx((axons / 2, axons / 2))
    assert scores(right, slip, truth) == (1.0, pytest.approx(2 * 297 / 597))


def test_on_background_alone_a_model_is_right_that_shows_nothing():
    nothing = np.zeros((20, 20), np.uint8)
    crowded = nothing.copy()
    crowded[:5] = 1
    assert scores(nothing, crowded, nothing) == (1.0, 0.0)
    assert scores(nothing, nothing, nothing) == (1.0, 1.0)


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
