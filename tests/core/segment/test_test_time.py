"""Models fitted to the target without labels: statistics mixed, entropy lowered, views averaged."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.job import finish
from histobridge.core.segment.model import ModelCard, Segmenter, orientations
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.test_time import affine, draw_tiles, fit_to_target, lower_entropy, mix_statistics
from histobridge.core.segment.test_time_settings import AtTestTime


def random(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def two_layers():
    """1 -> 2 x -> BN -> 3 x -> BN, each layer with statistics of its own."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1, bias=False))
    net.append(nn.BatchNorm2d(1))
    with torch.no_grad():
        net[0].weight.fill_(2.0)
        net[2].weight.fill_(3.0)
        for layer, mean, variance in ((net[1], 1.0, 4.0), (net[3], -1.0, 2.0)):
            layer.running_mean.fill_(mean)
            layer.running_var.fill_(variance)
    return net


def reader(image):
    return (lambda window: image[window]), image.shape


def field(shape, seed=0):
    return (np.random.default_rng(seed).random(shape) * 2 - 1).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mixed_statistics_are_the_weighted_sum_layer_by_layer(share):
    net, images = two_layers(), random((3, 1, 8, 8))
    mix_statistics(net, images, share)
    first = 2 * images
    mean = (1 - share) * 1.0 + share * first.mean()
    variance = (1 - share) * 4.0 + share * first.var()
    assert torch.allclose(net[1].running_mean, mean, atol=1e-6)
    assert torch.allclose(net[1].running_var, variance, atol=1e-5)
    second = 3 * (first - mean) / torch.sqrt(variance + net[1].eps)
    assert torch.allclose(net[3].running_mean, -(1 - share) + share * second.mean(), atol=1e-5)
    assert torch.allclose(net[3].running_var, (1 - share) * 2.0 + share * second.var(), atol=1e-4)


def test_mixing_touches_nothing_but_the_statistics_and_stops_when_done():
    net, images = build_network("tiny", 3), random((2, 1, 32, 32))
    parameters = deepcopy(dict(net.named_parameters()))
    mix_statistics(net, images, 0.5)
    assert all(torch.equal(parameter, parameters[name]) for name, parameter in net.named_parameters())
    mixed = deepcopy(net.state_dict())
    net(random((1, 1, 32, 32), seed=1))
    assert all(torch.equal(tensor, mixed[name]) for name, tensor in net.state_dict().items())


def test_entropy_is_that_of_the_formula():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 1)).eval()
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.copy_(torch.tensor([0.0, float(np.log(3))]))
    optimizer = torch.optim.SGD(affine(net), lr=0.0)
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert lower_entropy(net, random((1, 1, 4, 4)), optimizer) == pytest.approx(expected, abs=1e-6)


def test_entropy_steps_change_scales_and_shifts_alone_and_lower_the_entropy():
    net, image = build_network("tiny", 3).eval(), field((160, 160))
    before = deepcopy(net.state_dict())
    names = {name for name, parameter in net.named_parameters() if any(parameter is each for each in affine(net))}
    assert 0 < len(names) < len(dict(net.named_parameters()))
    entropies = []
    settings = AtTestTime(entropy_steps=6, tiles=1)
    finish(
        fit_to_target(net, [reader(image)], settings, 0),
        lambda progress: entropies.append(progress.metrics.get("entropy")),
    )
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed <= names
    assert changed
    assert len(entropies) == 7
    assert entropies[-1] < entropies[1]
    assert not net.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_nothing_is_read_or_changed_unless_asked_for():
    net = build_network("tiny", 3)
    before = deepcopy(net.state_dict())
    assert list(fit_to_target(net, [], AtTestTime(turns=True), 0)) == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_same_seed_gives_the_same_model_and_another_does_not():
    settings, images = AtTestTime(adapt_statistics=0.5, entropy_steps=1, tiles=2), [reader(field((200, 200)))]
    nets = [build_network("tiny", 3) for _ in range(3)]
    for net, seed in zip(nets, (4, 4, 5), strict=True):
        finish(fit_to_target(net, images, settings, seed))
    first, again, other = (
        torch.cat([tensor.flatten().double() for tensor in net.state_dict().values()]) for net in nets
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_tiles_come_from_all_images_in_turn_and_small_ones_are_mirrored():
    small, large = np.full((40, 30), -0.5, np.float32), np.full((300, 300), 0.5, np.float32)
    tiles = draw_tiles([reader(small), reader(large)], 5, np.random.default_rng(0))
    assert tiles.shape == (5, 1, 160, 160)
    assert tiles.mean(dim=(1, 2, 3)).tolist() == [-0.5, 0.5, -0.5, 0.5, -0.5]


def test_each_image_is_read_to_its_end_before_the_next():
    """Imported translators measure a whole image before they give a window, and remember a few images only."""
    read = []

    def noting(number):
        of_image, shape = reader(field((200, 200)))
        return lambda window: read.append(number) or of_image(window), shape

    draw_tiles([noting(number) for number in range(3)], 7, np.random.default_rng(0))
    assert read == [0, 0, 0, 1, 1, 2, 2]


@pytest.fixture
def segmenter():
    card = ModelCard(
        preset="tiny",
        classes=("axon", "myelin"),
        values=(1, 2),
        domain="target",
        working_um=0.1,
        object_diameter_px=20.0,
        quantiles=tuple(np.linspace(-1, 1, 257)),
        trained_on=("a",),
    )
    return Segmenter(build_network("tiny", 3), card)


@pytest.mark.parametrize(
    ("flips", "turns", "views"), [(False, False, 1), (True, False, 4), (False, True, 4), (True, True, 8)]
)
def test_as_many_views_as_asked_for_and_all_differ(flips, turns, views):
    image = torch.arange(6.0).reshape(2, 3)
    shown = set()
    for quarters, mirrored in orientations(flips=flips, turns=turns):
        turned = torch.rot90(image, quarters).flip((1,) if mirrored else ())
        shown.add((tuple(turned.shape), tuple(turned.flatten().tolist())))
    assert len(shown) == views


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_average_of_eight_views_turns_and_mirrors_with_the_image(segmenter, quarters, mirrored):
    def moved(tensor):
        return torch.rot90(tensor, quarters, (2, 3)).flip((3,) if mirrored else ())

    image = random((1, 1, 32, 48))
    straight = segmenter.probabilities(image, flips=True, turns=True)
    assert torch.allclose(segmenter.probabilities(moved(image), flips=True, turns=True), moved(straight), atol=1e-6)


def test_turns_of_an_image_of_odd_size_sum_to_one(segmenter):
    probabilities = segmenter.probabilities(random((1, 1, 37, 51)), flips=True, turns=True)
    assert probabilities.shape == (1, 3, 37, 51)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(1, 37, 51))
