"""A network may exchange dark and bright and come back all the same: found, told, and trained again."""

from itertools import islice

import numpy as np
import pytest
from brief_training import BRIEF

from histobridge.core.job import finish
from histobridge.core.translate.fixed_tiles import FixedTiles
from histobridge.core.translate.ladder import Outside
from histobridge.core.translate.quality.report import Cycle, Looks, Quality, WayQuality
from histobridge.core.translate.quality.upright import upright
from histobridge.core.translate.quality.verdict import judged
from histobridge.core.translate.train import train_matched

FREE = BRIEF.model_copy(update={"identity_weight": 0.0, "batch_size": 1, "steps": 12})


@pytest.fixture
def exchanging(monkeypatch):
    """Networks exchange dark and bright wherever no identity loss holds them; returns all their weights of it."""
    look, weights = FixedTiles.look, []

    def exchanged(self, translator):
        found = look(self, translator)
        weights.append(translator.card.config.identity_weight)
        self.upright = 0.9 if weights[-1] else -0.9
        return found

    monkeypatch.setattr(FixedTiles, "look", exchanged)
    return weights


def train(pair, folder, **told):
    return train_matched({"source": pair.target, "target": pair.target}, pair.instant, FREE, folder, Outside(**told))


def test_a_training_that_exchanged_them_starts_over_with_the_identity_loss(pair, tmp_path, exchanging):
    said, told = [], []
    translator = finish(train(pair, tmp_path, identity_weight=5.0, on_change=told.append), watch=said.append)
    assert [progress.step for progress in said] == [1, 0, *range(1, 13)]
    assert "began again with the identity loss" in said[1].message
    assert "began again" in said[-1].message
    assert told == [said[1].message]
    assert translator.card.config.identity_weight == 5
    assert set(exchanging) == {0.0, 5.0}


def test_it_starts_over_once_even_if_it_is_resumed(pair, tmp_path, exchanging):
    list(islice(job := train(pair, tmp_path, identity_weight=5.0), 6))
    job.close()
    said = []
    finish(train(pair, tmp_path, identity_weight=5.0), watch=said.append)
    assert [progress.step for progress in said] == list(range(5, 13))


def test_a_stop_right_after_starting_over_is_remembered(pair, tmp_path, exchanging):
    list(islice(job := train(pair, tmp_path, identity_weight=5.0), 2))
    job.close()
    said = []
    translator = finish(train(pair, tmp_path, identity_weight=5.0), watch=said.append)
    assert [progress.step for progress in said] == list(range(1, 13))
    assert translator.card.config.identity_weight == 5


def test_nothing_starts_over_late(pair, tmp_path, exchanging, monkeypatch):
    """What turns by and by may be the texture; hours of training are not thrown away for it."""
    monkeypatch.setattr("histobridge.core.translate.train.PREVIEW_EVERY", 4)
    look = FixedTiles.look

    def turned_later(self, translator):
        found = look(self, translator)
        self.upright = 0.9 if len(exchanging) <= 2 else self.upright
        return found

    monkeypatch.setattr(FixedTiles, "look", turned_later)
    said = []
    finish(train(pair, tmp_path, identity_weight=5.0), watch=said.append)
    assert [progress.step for progress in said] == list(range(1, 13))


def test_nothing_starts_over_where_nobody_switched_the_loss_off(pair, tmp_path, exchanging):
    said = []
    finish(train(pair, tmp_path), watch=said.append)
    assert [progress.step for progress in said] == list(range(1, 13))


def test_upright_is_the_correlation_with_the_image_before():
    image = np.random.default_rng(0).uniform(-1, 1, (20, 20)).astype(np.float32)
    assert upright([image], [0.3 * image + 0.2]) == pytest.approx(1)
    assert upright([-image], [image]) == pytest.approx(-1)
    assert upright([-image, image], [image, image]) == pytest.approx(0)
    assert upright([np.zeros_like(image)], [image]) == 0


def test_exchanged_polarity_fails_however_well_it_comes_back():
    looks = Looks(kid=0.1, fid=1, grey=0, spectrum=0)
    perfect = Cycle(ssim=1, psnr_db=60, l1=0)
    ways = {
        direction: WayQuality(cycle=perfect, robust=perfect, looks=looks, instant=looks, upright=kept)
        for direction, kept in (("source_to_target", 0.9), ("target_to_source", -0.85))
    }
    found = judged(Quality(ways=ways))
    assert (found.verdict, found.score) == ("failed", 0)
    assert found.reasons == (
        "From target to source, dark and bright are exchanged, against what Match says; check the polarity there.",
    )
    kept = {direction: way.model_copy(update={"upright": 0.9}) for direction, way in ways.items()}
    assert judged(Quality(ways=kept)).verdict == "doubtful"
