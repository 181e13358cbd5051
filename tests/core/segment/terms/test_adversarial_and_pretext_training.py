"""Adversarial, contrastive, pretext and translating terms in the training loop, on stripes in two looks."""

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.job import finish
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.pretrain import pretrain
from histobridge.core.segment.terms.base import Scene, Student
from histobridge.core.segment.terms.build import build_terms
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.train import train
from histobridge.core.training_config import SegmenterTraining

SIDE = 32
STEPS = 30
MARGIN = 0.1
"""By which the supervised loss may end higher with a term than without it; it falls from about 1.3 to 0.55."""

ADVERSARIES = (
    "adversarial-masks",
    "discriminator-self-training",
    "adversarial-output",
    "adversarial-entropy",
    "adversarial-features",
)
RIDDLES = ("contrastive-global", "contrastive-local", "rotation", "jigsaw", "mutual-information")
KINDS = (*ADVERSARIES, "semantic-consistency", *RIDDLES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def field() -> Field:
    """Bright stripes on dark."""
    labels = np.zeros((96, 96), np.uint8)
    labels[:, np.arange(96) % 8 < 3] = 1
    grey = np.where(labels, 0.6, -0.6) + np.random.default_rng(0).normal(0, 0.1, labels.shape)
    return Field(grey.clip(-1, 1).astype(np.float32), labels)


def pool() -> TilePool:
    """Four tiles of the size of a crop: dark stripes on bright, each quarter in a grey of its own."""
    rng = np.random.default_rng(1)
    tiles = []
    for period in (4, 6, 10, 16):
        grey = np.where(np.arange(SIDE) % period < period // 2, -0.2, 0.2) + np.zeros((SIDE, 1))
        grey[:16, :16] -= 0.6
        grey[16:, 16:] += 0.6
        grey[16:, :16] *= -1
        tiles.append((grey + rng.normal(0, 0.05, grey.shape)).clip(-1, 1).astype(np.float32))
    return TilePool(tiles, SIDE, 1.0, 0)


def config(kind: str | None, steps: int = STEPS, **settings) -> SegmenterTraining:
    terms = [] if kind is None else [{"kind": kind, "ramp": 0, **settings}]
    return SegmenterTraining.model_validate(
        {"preset": "tiny", "steps": steps, "batch_size": 4, "crop_px": SIDE, "learning_rate": 3e-3, "terms": terms}
    )


@cache
def curves(kind: str | None) -> dict[str, list[float]]:
    """Every loss of a training, step by step."""
    seen = []
    sampler = CropSampler([field()], SIDE, 0.0, 0)
    finish(train(build_network("tiny", 2), sampler, config(kind), unlabelled=pool()), lambda p: seen.append(p.metrics))
    return {name: [metrics[name] for metrics in seen] for name in seen[0]}


def falls(values: list[float], by: float) -> bool:
    return np.mean(values[-8:]) < np.mean(values[:8]) - by


@pytest.mark.parametrize("kind", KINDS)
def test_the_supervised_loss_falls_as_without_the_term(kind):
    alone, together = curves(None)["loss"], curves(kind)["loss"]
    assert falls(together, 0.4)
    assert np.mean(together[-8:]) < np.mean(alone[-8:]) + MARGIN


@pytest.mark.parametrize("kind", ["semantic-consistency", *RIDDLES])
def test_a_term_lowers_itself(kind):
    assert falls(curves(kind)[kind], 0.1)


@pytest.mark.parametrize("kind", ADVERSARIES)
def test_the_student_learns_to_fool_a_discriminator_that_stays_as_it_is(kind):
    """First the discriminator alone learns to tell; then it stays, and the student learns both."""
    torch.manual_seed(0)
    net = build_network("tiny", 2)
    sampler, tiles = CropSampler([field()], SIDE, 0.0, 0), pool()
    finish(train(net, sampler, config(None, 15)))
    (term,) = build_terms(config(kind, weight=1.0, discriminator_learning_rate=3e-3).terms, Student(net, 2, 0))
    scenes = (
        Scene(net, net, (1, 1), batch, crops) for batch, crops in zip(sampler.batches(4), tiles.batches(4), strict=True)
    )
    net.train()
    for scene in islice(scenes, 20):
        term.loss(scene)
        told = term.after_step(scene)
    assert told[f"{kind}-discriminator"] < 1.2  # 2 log 2 = 1.39 knows nothing
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    fooled, supervised = [], []
    for scene in islice(scenes, 20):
        loss, own = masked_dice_ce(scene.logits, scene.labels, scene.weight), term.loss(scene)
        optimizer.zero_grad()
        (loss + own).backward()
        optimizer.step()
        fooled.append(own.item())
        supervised.append(loss.item())
    assert np.mean(fooled[-5:]) < 0.8 * np.mean(fooled[:5])
    assert np.mean(supervised[-5:]) < np.mean(supervised[:5]) + MARGIN


def trained(folder, kind: str, steps_first: int | None, **settings) -> nn.Module:
    training = config(kind, 3, **settings).model_copy(update={"batch_size": 2})
    job = train(build_network("tiny", 2), CropSampler([field()], SIDE, 1.0, 0), training, folder, unlabelled=pool())
    if steps_first is None:
        return finish(job)
    for _ in range(steps_first):
        next(job)
    job.close()
    return trained(folder, kind, None, **settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [*((kind, {}) for kind in KINDS), ("adversarial-output", {"loss": "wgan-gp", "spectral_norm": True})],
)
def test_stopped_and_resumed_it_ends_as_if_never_stopped(tmp_path, kind, settings):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, resumed = trained(tmp_path / "a", kind, None, **settings), trained(tmp_path / "b", kind, 1, **settings)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def pretrained(folder, steps_first: int | None) -> nn.Module:
    terms = [{"kind": "contrastive-local"}, {"kind": "jigsaw"}]
    training = config(None).model_copy(update={"pretrain_steps": 4}).model_dump() | {"pretrain_terms": terms}
    job = pretrain(build_network("tiny", 2), pool(), SegmenterTraining.model_validate(training), folder)
    if steps_first is None:
        return finish(job)
    for _ in range(steps_first):
        next(job)
    job.close()
    return pretrained(folder, None)


def test_pre_training_learns_without_labels():
    training = config(None).model_copy(update={"pretrain_steps": 24})
    training = SegmenterTraining.model_validate(
        training.model_dump() | {"pretrain_terms": [{"kind": "contrastive-local", "ramp": 0}]}
    )
    net, seen = build_network("tiny", 2), []
    finish(pretrain(net, pool(), training), lambda progress: seen.append(progress.metrics))
    assert {metrics["loss"] for metrics in seen} == {0.0}
    own = [metrics["contrastive-local"] for metrics in seen]
    assert falls(own, 0.3)
    assert len(seen) == 24


def test_pre_training_resumes_and_is_not_done_twice(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, resumed = pretrained(tmp_path / "a", None), pretrained(tmp_path / "b", 2)
    again = pretrained(tmp_path / "a", None)
    for one, two, three in zip(*(net.state_dict().values() for net in (whole, resumed, again)), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_only_terms_without_labels_can_be_pre_trained():
    with pytest.raises(ValueError, match="adversarial-masks"):
        SegmenterTraining.model_validate({"pretrain_terms": [{"kind": "adversarial-masks"}]})


@pytest.mark.parametrize("kind", KINDS)
def test_settings_come_from_json_and_go_back(kind):
    text = SegmenterTraining.model_validate({"terms": [{"kind": kind, "weight": 0.5}]}).model_dump_json()
    (term,) = SegmenterTraining.model_validate_json(text).terms
    assert (term.kind, term.weight) == (kind, 0.5)
