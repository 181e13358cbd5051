"""Consistency, mixing, pair and weak-to-strong terms on the training loop."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from histobridge.core.job import Job, finish
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.terms.pool import TilePool
from histobridge.core.segment.train import train
from histobridge.core.training_config import SegmenterTraining

SIDE = 32
STEPS = 30
FEW = 8
SUPERVISED_MARGIN = 0.15

HEAVY: dict[str, dict[str, object]] = {
    "gamma-model": {"weight": 5},
    "pi-model": {"weight": 5},
    "temporal-ensembling": {"weight": 5},
    "multi-view": {"weight": 3},
    "entropy": {"weight": 1},
    "mean-teacher": {"weight": 3},
    "uncertainty-mean-teacher": {"weight": 5, "passes": 2},
    "interpolation": {"weight": 5, "alpha": 5},
    "mixup": {"weight": 2},
    "cutmix": {"weight": 3, "threshold": 0.0},
    "cutmix labelled": {"weight": 2, "images": "labelled"},
    "cross-pseudo": {"weight": 1, "learning_rate": 0.01},
    "cross-pseudo probabilities": {"weight": 1, "learning_rate": 0.01, "agreement": "probabilities"},
    "fixmatch": {"weight": 3, "threshold": 0.0},
    "unimatch": {"weight": 3, "threshold": 0.0},
}
"""Every kind, with a weight at which it shows within a few steps, and with no pixels left out."""
KINDS = sorted({name.split()[0] for name in HEAVY})


def heavy(name: str) -> dict[str, object]:
    return {"kind": name.split()[0], "ramp": 0, **HEAVY[name]}


def stripes(contrast: float, seed: int) -> Field:
    """Bright stripes, 3 of every 8 columns, on a noisy ground."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:, np.arange(SIDE) % 8 < 3] = 1
    noise = np.random.default_rng(seed).normal(0, 0.15, labels.shape)
    return Field((contrast * (labels - 0.5) + noise).astype(np.float32), labels)


def training(steps: int, *terms: dict[str, object], **changes: object) -> SegmenterTraining:
    values = {"steps": steps, "batch_size": 3, "crop_px": SIDE, "learning_rate": 0.01, "average": 0.9, "terms": terms}
    return SegmenterTraining.model_validate(values | changes)


def job(net: nn.Module, config: SegmenterTraining, folder: Path | None = None) -> Job[nn.Module]:
    """Training on stripes of strong contrast, with stripes of weak contrast unlabelled."""
    torch.set_num_threads(1)
    tiles = [stripes(0.5, 1).image, stripes(0.5, 2).image.T.copy(), np.roll(stripes(0.5, 3).image, 4, axis=1)]
    sampler = CropSampler([stripes(1.6, 0)], SIDE, 0.3, 0)
    return train(net, sampler, config, folder, unlabelled=TilePool(tiles, SIDE, 1.0, 0))


def curves(net: nn.Module, config: SegmenterTraining) -> dict[str, list[float]]:
    """Train and return every number shown, by step."""
    seen: list[dict[str, float]] = []
    finish(job(net, config), lambda progress: seen.append(dict(progress.metrics)))
    return {name: [metrics[name] for metrics in seen] for name in seen[0]}


@pytest.fixture(scope="module")
def begun() -> Callable[[], nn.Module]:
    """Copies of a network that has begun to learn the labelled stripes."""
    from monai.networks.nets.unet import UNet

    torch.manual_seed(0)
    net = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(6, 12), strides=(2,), norm="batch")
    curves(net, training(60, average=0))
    return lambda: deepcopy(net)


@pytest.fixture(scope="module")
def alone(begun) -> dict[str, dict[str, list[float]]]:
    """The same training with every term watched but without weight.

    The interpolation is watched apart from most: a teacher's running statistics follow all that passes the student.
    """
    watched = {}
    apart = ["interpolation", *(name for name in HEAVY if " " in name)]
    for names in ([kind for kind in KINDS if kind not in apart], apart):
        seen = curves(begun(), training(STEPS, *(heavy(name) | {"weight": 0} for name in names)))
        watched |= {name: {"own": seen[name.split()[0]], "loss": seen["loss"]} for name in names}
    return watched


@pytest.mark.parametrize("name", HEAVY)
def test_every_term_lowers_itself_and_leaves_the_labels_learned(begun, alone, name):
    seen = curves(begun(), training(STEPS, heavy(name)))
    own = seen[name.split()[0]]
    # the first step is left out: the temporal ensemble knows nothing yet
    first, last, without = np.mean(own[1 : 1 + FEW]), np.mean(own[-FEW:]), np.mean(alone[name]["own"][-FEW:])
    assert last < first
    assert last < 1.3 * without  # means of few noisy steps
    assert np.mean(seen["loss"][-FEW:]) < np.mean(alone[name]["loss"][-FEW:]) + SUPERVISED_MARGIN


@pytest.mark.parametrize("name", HEAVY)
def test_every_term_is_read_from_json_and_refuses_what_it_does_not_know(name):
    kind = name.split()[0]
    (plain,) = SegmenterTraining.model_validate_json(f'{{"terms": [{{"kind": "{kind}"}}]}}').terms
    assert plain.kind == kind
    config = training(1, heavy(name))
    assert SegmenterTraining.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="surprise"):
        training(1, {"kind": kind, "surprise": 1})


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.sets(st.sampled_from(KINDS), min_size=2))
def test_any_terms_learn_together(begun, kinds):
    seen = curves(begun(), training(2, *({"kind": kind} for kind in sorted(kinds))))
    assert kinds <= seen.keys()
    assert np.isfinite([*seen.values()]).all()


def test_all_terms_learn_together(begun):
    seen = curves(begun(), training(2, *({"kind": kind} for kind in KINDS)))
    assert {"loss", *KINDS} <= seen.keys()


def test_a_kind_can_come_twice(begun):
    seen = curves(begun(), training(1, heavy("cutmix"), heavy("cutmix labelled")))
    assert seen.keys() == {"loss", "cutmix", "cutmix-2"}


@pytest.mark.parametrize("name", HEAVY)
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, begun, name):
    config = training(4, heavy(name))
    whole, shown = begun(), []
    finish(job(whole, config), lambda progress: shown.append(dict(progress.metrics)))
    interrupted, resumed, shown_after = job(begun(), config, tmp_path), begun(), []
    next(interrupted)
    next(interrupted)
    interrupted.close()
    finish(job(resumed, config, tmp_path), lambda progress: shown_after.append(dict(progress.metrics)))
    assert shown_after == shown[2:]
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
