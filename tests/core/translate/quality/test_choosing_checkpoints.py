from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.files import write_json
from histobridge.core.job import finish
from histobridge.core.translate.base import look_of
from histobridge.core.translate.learner import load_trained
from histobridge.core.translate.quality.choosing import Chooser
from histobridge.core.translate.train import train_matched

CONFIG = TrainTranslatorConfig(
    method="cyclegan", steps=5, crop_px=32, channels=2, blocks=1, checkpoint_every=1, device="cpu"
)


@dataclass
class Scripted:
    """Scores in the order they are asked for; remembers what it saw."""

    scores: list[float]
    seen: list[object] = field(default_factory=list)

    def __call__(self, translator):
        self.seen.append(translator)
        return self.scores[len(self.seen) - 1]


def train(pair, chooser, folder):
    fields = {"source": pair.target[1:2], "target": pair.target[:1]}
    return train_matched(fields, pair.instant, CONFIG, folder, chooser=chooser)


def translated(translator, pair):
    return translator.translate(pair.tested[0], "source_to_target", look_of(pair.tested[0]))


def test_the_best_checkpoint_is_returned_not_the_last(pair, tmp_path):
    score = Scripted([0.1, 0.9, float("nan"), 0.3])
    chooser = Chooser(score, tmp_path)
    best = finish(train(pair, chooser, tmp_path))
    assert best is score.seen[1]
    assert (chooser.step, chooser.history) == (3, [(2, 0.1), (3, 0.9), (4, 0.0), (5, 0.3)])
    assert not np.array_equal(translated(best, pair), translated(score.seen[-1], pair))


def test_where_no_checkpoint_is_better_the_one_that_learned_longest_is_kept(pair, tmp_path):
    chooser = Chooser(Scripted([0.0, 0.0, 0.0, 0.0]), tmp_path)
    finish(train(pair, chooser, tmp_path))
    assert chooser.step == 5


def test_all_checkpoints_are_kept_where_they_are_asked_for(pair, tmp_path):
    score = Scripted([0.1, 0.9, 0.2, 0.3])
    finish(train(pair, Chooser(score, tmp_path, keep_all=True), tmp_path))
    kept = sorted((tmp_path / "checkpoints").iterdir())
    assert [int(folder.name) for folder in kept] == [2, 3, 4, 5]
    assert np.array_equal(translated(load_trained(kept[-1], "cpu"), pair), translated(score.seen[-1], pair))


def test_a_resumed_training_chooses_what_an_uninterrupted_one_does(pair, tmp_path):
    scores = [0.1, 0.9, 0.5, 0.3]
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        folder.mkdir()
    whole = finish(train(pair, Chooser(Scripted(scores), folders[0]), folders[0]))
    first = Scripted(scores)
    job = train(pair, Chooser(first, folders[1]), folders[1])
    list(islice(job, 3))
    job.close()
    rest = Chooser(Scripted(scores[len(first.seen) :]), folders[1])
    resumed = finish(train(pair, rest, folders[1]))
    assert rest.step == 3
    assert [step for step, _ in rest.history] == [2, 3, 4, 5]
    assert np.array_equal(translated(whole, pair), translated(resumed, pair))


def test_a_kill_while_the_best_is_written_loses_nothing(pair, tmp_path, monkeypatch):
    scores, written = [0.1, 0.9, 0.5, 0.3], []

    def write_until_killed(path, values):
        written.append(path)
        if len(written) == 2:
            raise SystemExit
        write_json(path, values)

    monkeypatch.setattr("histobridge.core.translate.card.write_json", write_until_killed)
    with pytest.raises(SystemExit):
        finish(train(pair, Chooser(Scripted(scores), tmp_path), tmp_path))
    monkeypatch.undo()
    rest = Chooser(Scripted(scores[1:]), tmp_path)
    best = finish(train(pair, rest, tmp_path))
    assert rest.history == list(zip([2, 3, 4, 5], scores, strict=True))
    assert [folder.name for folder in (tmp_path / "best").iterdir()] == ["0000003"]
    assert np.array_equal(translated(best, pair), translated(load_trained(tmp_path / "best" / "0000003", "cpu"), pair))
