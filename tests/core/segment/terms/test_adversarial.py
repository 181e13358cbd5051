"""Terms that play against a discriminator: cases by hand."""

import math

import pytest
import torch
from torch import nn

from histobridge.core.segment.networks import build_network
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.build import build_terms
from histobridge.core.segment.terms.discriminator import build_discriminator, discriminator_loss, judged_as
from histobridge.core.segment.terms.features import Taps
from histobridge.core.training_config import SegmenterTraining

LABELLED, UNLABELLED = 0.0, 1.0


class ByLook(nn.Module):
    """Says (1/2, 1/2) of the labelled image, which is 0, and (3/4, 1/4) of the other, which is 1."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([math.log(3), 0.0])[None, :, None, None])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.factor


class FirstChannel(nn.Module):
    """A discriminator whose logit is `gain` times the first channel."""

    def __init__(self, gain: float = 1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.gain * maps[:, :1]


def term_of(net: nn.Module, **settings):
    (term,) = build_terms(SegmenterTraining.model_validate({"terms": [settings]}).terms, Student(net, 2, 0))
    return term


def scene(net: nn.Module, label: int = 1) -> Scene:
    shape = 2, 1, 32, 32
    labelled = torch.full(shape, LABELLED), torch.full((2, 32, 32), label), torch.ones(2, 32, 32)
    crops = torch.full(shape, UNLABELLED)
    return Scene(net, net, (1, 1), labelled, Unlabelled(crops, crops, torch.zeros(2, 3, dtype=torch.int64)))


def judged_by_first_channel(net: nn.Module, gain: float = 1.0, **settings):
    term = term_of(net, **settings)
    term.nets = FirstChannel(gain)
    return term


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize(
    ("game", "expected"),
    [("bce", -math.log(sigmoid(0.75))), ("lsgan", 0.25**2), ("wgan-gp", -0.75)],
)
@pytest.mark.parametrize("kind", ["adversarial-masks", "adversarial-output"])
def test_the_student_is_judged_on_its_probabilities(kind, game, expected):
    net = ByLook()
    loss = judged_by_first_channel(net, kind=kind, loss=game).loss(scene(net))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert net.factor.grad is not None
    assert net.factor.grad.abs().sum() > 0


def test_what_stands_for_labelled():
    net = ByLook()
    labels = term_of(net, kind="adversarial-masks").views(scene(net))[0]
    assert torch.equal(labels[:, 0], torch.zeros(2, 32, 32))
    predictions = term_of(net, kind="adversarial-masks", real="predictions").views(scene(net))[0]
    assert torch.allclose(predictions, torch.full_like(predictions, 0.5))
    unknown = term_of(net, kind="adversarial-masks").views(scene(net, label=255))[0]
    assert torch.allclose(unknown, predictions)
    seen = term_of(net, kind="adversarial-masks", with_image=True).views(scene(net))
    assert [side[0, 2, 0, 0].item() for side in seen] == [LABELLED, UNLABELLED]


def test_entropy_maps_are_minus_p_log_p_over_log_k():
    net = ByLook()
    labelled, unlabelled = term_of(net, kind="adversarial-entropy").views(scene(net))
    assert torch.allclose(labelled, torch.full_like(labelled, 0.5))
    assert unlabelled[0, :, 0, 0].tolist() == pytest.approx(
        [-0.75 * math.log2(0.75), -0.25 * math.log2(0.25)], abs=1e-6
    )


def test_self_training_learns_its_classes_where_the_discriminator_believes_them():
    net = ByLook()
    believed = judged_by_first_channel(net, kind="discriminator-self-training", adversarial=0.0)
    assert believed.loss(scene(net)).item() == pytest.approx(-math.log(0.75), abs=1e-6)
    # sigma(-10 * 0.75) is far below the threshold of 0.2
    doubted = judged_by_first_channel(net, gain=-10.0, kind="discriminator-self-training", adversarial=0.0)
    assert doubted.loss(scene(net)).item() == 0
    both = judged_by_first_channel(net, kind="discriminator-self-training", adversarial=2.0)
    assert both.loss(scene(net)).item() == pytest.approx(-math.log(0.75) - 2 * math.log(sigmoid(0.75)), abs=1e-5)


class Halving(nn.Module):
    """A network with a bottleneck: half the size, one channel, the image itself where it is constant."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 1, 1))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 1))
        nn.init.ones_(self.down[1].weight)
        nn.init.zeros_(self.down[1].bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(image))


@pytest.mark.parametrize("scales", ["bottleneck", "all"])
def test_features_of_each_side_want_to_pass_for_the_other(scales):
    net = Halving()
    loss = judged_by_first_channel(net, kind="adversarial-features", scales=scales).loss(scene(net))
    # logits: 1 where unlabelled (wants labelled), 0 where labelled (wants unlabelled)
    assert loss.item() == pytest.approx((-math.log(sigmoid(1)) - math.log(sigmoid(0))) / 2, abs=1e-6)


def test_the_discriminator_pays_for_both_sides():
    sides = torch.full((2, 1, 4, 4), 2.0), torch.zeros(2, 1, 4, 4)
    net = FirstChannel()
    assert discriminator_loss("bce", net, *sides).item() == pytest.approx(-math.log(sigmoid(2)) - math.log(0.5))
    assert discriminator_loss("lsgan", net, *sides).item() == pytest.approx((2 - 1) ** 2 + 0)
    # the gradient of the mean over 16 pixels is 1/16 in each: its length 1/4, the penalty 10 (1/4 - 1)^2
    assert discriminator_loss("wgan-gp", net, *sides).item() == pytest.approx(-2 + 10 * 0.75**2)


def test_a_swapped_judgement_is_the_other_side():
    logits = torch.tensor([0.0, math.log(3)])
    assert judged_as("bce", logits, labelled=False).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


@pytest.mark.parametrize("game", ["bce", "lsgan", "wgan-gp"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_the_discriminator_learns_to_tell(game, spectral_norm):
    net = ByLook()
    term = term_of(
        net, kind="adversarial-output", loss=game, spectral_norm=spectral_norm, discriminator_learning_rate=1e-2
    )
    torch.manual_seed(0)
    for _ in range(25):
        seen = scene(net)
        term.loss(seen)
        term.after_step(seen)
    labelled, unlabelled = (term.nets(side).mean().item() for side in term.views(scene(net)))
    assert labelled > unlabelled + 0.1


def test_spectral_norm_holds_the_largest_singular_value_at_one():
    net = build_discriminator(2, 0, spectral_norm=True)
    for _ in range(30):
        net(torch.zeros(1, 2, 16, 16))
    assert torch.linalg.matrix_norm(net[0].weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("preset", "bottleneck"), [("tiny", 8), ("cpu", 16), ("gpu", 16)])
def test_features_are_read_from_every_preset_and_nothing_is_left_on_it(preset, bottleneck):
    net = build_network(preset, 3)
    taps = Taps(net)
    assert taps.bottleneck == bottleneck
    strides = sorted(taps.channels)
    assert strides == [2**power for power in range(bottleneck.bit_length())]
    with torch.no_grad():
        maps = taps.read(net.eval(), torch.zeros(2, 1, 64, 64), *strides)
    assert [map_.shape for map_ in maps] == [(2, taps.channels[s], 64 // s, 64 // s) for s in strides]
    assert not any(module._forward_hooks for module in net.modules())
