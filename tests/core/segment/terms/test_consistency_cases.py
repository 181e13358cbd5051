"""Terms by which a network agrees with itself or with a teacher: cases by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.segment.cautious import frozen_statistics
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.terms import consistency
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.consistency import Entropy, GammaModel, MultiView, PiModel, TemporalEnsembling
from histobridge.core.segment.terms.consistency_settings import (
    EntropySettings,
    GammaModelSettings,
    MultiViewSettings,
    PiModelSettings,
    TemporalEnsemblingSettings,
)
from histobridge.core.segment.terms.pair import CrossPseudo
from histobridge.core.segment.terms.pair_settings import CrossPseudoSettings
from histobridge.core.segment.terms.teacher import UncertaintyMeanTeacher
from histobridge.core.segment.terms.teacher_settings import UncertaintyMeanTeacherSettings
from histobridge.core.segment.terms.views import draw_turn, noisy, turned, turned_back

LN4 = math.log(4)
"""As a difference of logits: probabilities of 0.8 and 0.2."""


class Grey(nn.Module):
    """Takes a grey value for the logit of the background, against 0."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image, torch.zeros_like(image)], dim=1)


class Map(nn.Module):
    """Says the same of every image: one logit of the background per pixel."""

    def __init__(self, logits: list[list[float]]):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return Grey()(self.logits.expand(len(image), 1, -1, -1))


class Fixed(nn.Module):
    """Says the same of every pixel."""

    def __init__(self, *logits: float):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits[None, :, None, None].expand(len(image), -1, *image.shape[2:])


def scene(net, weak, strong=None, *, teacher=None, place=(0, 0, 0), step=1) -> Scene:
    """One crop, with labels all background."""
    weak = torch.tensor(weak)[None, None]
    strong = weak if strong is None else torch.tensor(strong)[None, None]
    labelled = weak, torch.zeros(1, *weak.shape[2:], dtype=torch.long), torch.ones(1, *weak.shape[2:])
    crops = Unlabelled(weak, strong, torch.tensor([place]))
    return Scene(net, teacher or net, (step, 100), labelled, crops)


STUDENT = Student(Fixed(0.0, 0.0), 2, 0)


def full(value: float) -> list[list[float]]:
    return [[value, value], [value, value]]


def entropy(*probabilities: float) -> float:
    return -sum(p * math.log(p) for p in probabilities)


def test_seven_turns_change_a_square_and_can_be_taken_back():
    torch.manual_seed(0)
    square = torch.arange(4.0).reshape(1, 1, 2, 2)
    found = set()
    for turn in (draw_turn() for _ in range(100)):
        found.add(tuple(turned(square, turn).flatten().tolist()))
        assert torch.equal(turned_back(turned(square, turn), turn), square)
    assert len(found) == 7
    assert tuple(square.flatten().tolist()) not in found


def test_noise_has_its_deviation_and_is_cut_off():
    torch.manual_seed(0)
    noise = noisy(torch.ones(1, 1, 200, 200), 0.1) - 1
    assert noise.std().item() == pytest.approx(0.0959, abs=0.001)  # of a Gaussian of 0.1, clamped at 0.2
    assert noise.abs().max().item() == pytest.approx(0.2)


def test_gamma_model_is_the_difference_that_turning_makes(monkeypatch):
    monkeypatch.setattr(consistency, "draw_turn", lambda: (1, False))
    term = GammaModel(GammaModelSettings(), STUDENT)
    # probabilities of 0.8 in one corner, 0.5 elsewhere: turned, two of the four pixels differ by 0.3
    stubborn = Map([[LN4, 0.0], [0.0, 0.0]])
    assert term.loss(scene(stubborn, full(0.0))).item() == pytest.approx(0.09 / 2, abs=1e-6)


def test_gamma_model_of_a_network_that_turns_with_the_image_is_nothing():
    term = GammaModel(GammaModelSettings(), STUDENT)
    assert term.loss(scene(Grey(), [[LN4, 0.0], [1.0, -2.0]])).item() == pytest.approx(0, abs=1e-12)


def test_pi_model_is_the_difference_between_two_looks():
    term = PiModel(PiModelSettings(noise=0), STUDENT)
    assert term.loss(scene(Grey(), full(0.0), full(LN4))).item() == pytest.approx(0.09, abs=1e-6)


def test_pi_model_gives_each_pass_its_own_noise():
    torch.manual_seed(0)
    # two independent noises of 0.0959 differ by 0.1357, a quarter of which is left by the sigmoid
    loss = PiModel(PiModelSettings(), STUDENT).loss(scene(Grey(), [[0.0] * 100] * 100))
    assert loss.item() == pytest.approx((0.1357 / 4) ** 2, rel=0.05)


def test_temporal_ensembling_compares_with_the_corrected_average_of_what_was_said():
    student = Student(Fixed(0.0), 2, 0, tiles=((2, 2), (3, 4)))
    term = TemporalEnsembling(TemporalEnsemblingSettings(), student)
    first = scene(Grey(), full(0.0), full(LN4), place=(1, 0, 0))
    assert term.loss(first).item() == 0  # nothing was said before
    term.after_step(first)
    # only the pixel (1, 1) of the tile was seen before: 0.8 then, 0.5 now
    second = scene(Grey(), full(0.0), full(0.0), place=(1, 1, 1))
    assert term.loss(second).item() == pytest.approx(0.09, rel=1e-3)
    term.after_step(second)
    # there Z = 0.6 * 0.4 * 0.8 + 0.4 * 0.5 = 0.392, and 0.392 / (1 - 0.6^2) = 0.6125; 0.5 at the other three
    assert term.loss(second).item() == pytest.approx(0.1125**2 / 4, rel=0.01)


def test_temporal_ensembling_begins_with_what_was_proposed():
    said = np.full((2, 3, 3), 0.5)
    said[0, 1:, 1:] = 0.8
    student = Student(Fixed(0.0), 2, 0, tiles=((3, 3),), said={0: np.stack([said[0], 1 - said[0]])})
    term = TemporalEnsembling(TemporalEnsemblingSettings(), student)
    crop = scene(Grey(), full(0.0), full(0.0), place=(0, 1, 1))
    assert term.loss(crop).item() == pytest.approx(0.09, rel=1e-2)  # 0.8 was proposed, 0.5 is said
    term.after_step(crop)
    # Z = 0.6 * 0.4 * 0.8 + 0.4 * 0.5 = 0.392, and 0.392 / (1 - 0.6^2) = 0.6125
    assert term.loss(crop).item() == pytest.approx(0.1125**2, rel=0.02)


def test_temporal_ensembling_keeps_what_was_said_for_a_resumed_training():
    student = Student(Fixed(0.0), 2, 0, tiles=((2, 2),))
    one, other = (TemporalEnsembling(TemporalEnsemblingSettings(), student) for _ in range(2))
    one.after_step(scene(Grey(), full(0.0), full(LN4)))
    other.restore(one.tensors())
    for term in (one, other):
        term.after_step(scene(Grey(), full(0.0), full(0.0)))
    now = scene(Grey(), full(0.0), full(1.0))
    assert one.loss(now).item() == other.loss(now).item() > 0


def test_multi_view_is_the_divergence_of_three_views():
    loss = MultiView(MultiViewSettings(), STUDENT).loss(scene(Grey(), full(0.0), full(LN4)))
    # 0.5, 0.8 and, turned, 0.5: their mean is 0.6
    by_hand = entropy(0.6, 0.4) - (2 * entropy(0.5, 0.5) + entropy(0.8, 0.2)) / 3
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)


def test_multi_view_turns_back_before_it_compares():
    image = [[LN4, 0.0], [1.0, -2.0]]
    assert MultiView(MultiViewSettings(), STUDENT).loss(scene(Grey(), image)).item() == pytest.approx(0, abs=1e-6)


def test_entropy_is_a_share_of_that_of_a_guess():
    loss = Entropy(EntropySettings(), STUDENT).loss(scene(Grey(), [[0.0, LN4]]))
    assert loss.item() == pytest.approx((1 + entropy(0.8, 0.2) / math.log(2)) / 2, abs=1e-6)
    three = Entropy(EntropySettings(), Student(Fixed(0.0), 3, 0)).loss(scene(Fixed(0.0, 0.0, 0.0), full(0.0)))
    assert three.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("step", "counts"), [(1, False), (100, True)])
def test_uncertainty_limit_rises_to_the_entropy_of_a_guess_among_all_classes(step, counts):
    # of 0.6, 0.2, 0.2 the entropy is 0.950: above 3/4 ln 3 = 0.824 and ln 2 = 0.693, below ln 3 = 1.099
    settings = UncertaintyMeanTeacherSettings(noise=0, passes=2)
    term = UncertaintyMeanTeacher(settings, Student(Fixed(0.0), 3, 0))
    loss = term.loss(scene(Fixed(0.0, 0.0, 0.0), full(0.0), teacher=Fixed(math.log(3), 0.0, 0.0), step=step))
    by_hand = ((0.6 - 1 / 3) ** 2 + 2 * (1 / 3 - 0.2) ** 2) / 3
    assert loss.item() == pytest.approx(by_hand if counts else 0, abs=1e-6)


def test_doubt_is_the_entropy_of_the_mean_of_the_noisy_looks():
    looks = iter([LN4, -LN4])

    def teacher(image: torch.Tensor) -> torch.Tensor:
        return Grey()(torch.full_like(image, next(looks)))

    term = UncertaintyMeanTeacher(UncertaintyMeanTeacherSettings(passes=2), STUDENT)
    # one look says 0.8, the other 0.2: each is rather sure, together they are not
    assert term.doubt(scene(Grey(), full(0.0), teacher=teacher)).mean().item() == pytest.approx(math.log(2), abs=1e-6)


def cross_pseudo(second: tuple[float, float], **changes) -> tuple[CrossPseudo, Fixed]:
    net = Fixed(0.0, 0.0)
    term = CrossPseudo(CrossPseudoSettings(ramp=0, **changes), Student(net, 2, 0))
    with torch.no_grad():
        term.nets.logits.copy_(torch.tensor(second))
    return term, net


def test_cross_pseudo_is_the_cross_entropy_with_the_other_ones_class():
    term, net = cross_pseudo((LN4, 0.0))
    loss = term.loss(scene(net, full(0.0)))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    loss.backward()
    assert net.logits.grad.tolist() == pytest.approx([-0.5, 0.5])
    assert term.nets.logits.grad is None


def test_the_second_network_has_statistics_of_its_own_while_those_of_the_first_are_frozen():
    """It is a copy with new weights; frozen with it, its norms would do nothing for good."""
    net = build_network("tiny", 2, seed=0)
    with frozen_statistics(net):
        term = CrossPseudo(CrossPseudoSettings(ramp=0), Student(net, 2, 0))
        term.nets.train()(torch.rand(2, 1, 32, 32))
    norms = [module for module in term.nets.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.num_batches_tracked == 1 for norm in norms)


def test_co_training_is_the_divergence_of_both():
    term, net = cross_pseudo((LN4, 0.0), agreement="probabilities")
    by_hand = entropy(0.65, 0.35) - (entropy(0.5, 0.5) + entropy(0.8, 0.2)) / 2
    assert term.loss(scene(net, full(0.0))).item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize(("weight", "towards"), [(0.0, 0), (5.0, 1)])
def test_the_second_network_learns_the_labels_and_what_the_first_says(weight, towards):
    term, net = cross_pseudo((0.0, 0.0), weight=weight)
    with torch.no_grad():
        net.logits.copy_(torch.tensor([0.0, LN4]))  # says foreground, the labels say background
    now = scene(net, full(0.0))
    term.loss(now)
    metrics = term.after_step(now)
    # cross-entropy ln 2, and a Dice of nothing as there is no foreground
    assert metrics["cross-pseudo-second"] == pytest.approx(math.log(2) + 1, abs=1e-4)
    assert term.nets.logits.argmax().item() == towards


def test_the_second_network_starts_from_other_weights():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = torch.get_rng_state()
    seconds = [CrossPseudo(CrossPseudoSettings(), Student(net, 2, seed)).nets[0].weight for seed in (0, 0, 1)]
    assert torch.equal(seconds[0], seconds[1])
    assert not torch.equal(seconds[0], seconds[2])
    assert not torch.equal(seconds[0], net[0].weight)
    assert torch.equal(torch.get_rng_state(), before)
