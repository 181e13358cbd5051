"""Trainings of a few steps of the smallest networks, and what they come to."""

import torch

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.base import look_of
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.contrast_settings import ContrastSettings
from histobridge.core.translate.syndiff_settings import SynDiffSettings

CPU = torch.device("cpu")
BRIEF = TrainTranslatorConfig(
    method="cyclegan",
    steps=4,
    batch_size=4,
    crop_px=32,
    channels=2,
    blocks=1,
    checkpoint_every=2,
    contrast=ContrastSettings(patches=16, width=8),
    device="cpu",
)
SMALL_BRIDGE = BridgeSettings(patches=16, projection_width=8, segmenter_width=4)
SMALL_DIFFUSION = SynDiffSettings(
    width=4, multipliers=(1, 2), latent=4, latent_width=8, judge_width=2, judge_halvings=3, penalty=0
)


def batch(count, size=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(count, 1, size, size, generator=random) * 2 - 1 for _ in range(2)]


def gradients_of(networks):
    return {name: weight.grad for name, weight in networks.named_parameters()}


def assert_same(found, expected):
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)


def result_of(translator, pair):
    return translator.translate(pair.tested[0], "source_to_target", look_of(pair.tested[0]))
