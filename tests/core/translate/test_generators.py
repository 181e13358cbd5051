import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.translate.networks import build_discriminator, build_generator, halo_of, receptive_radius
from histobridge.core.translate.norms import FixedNorm, freeze_norms


def reach(blocks: int) -> int:
    """How far the gradient of single output pixels really goes."""
    net = build_generator(2, blocks).double()
    for weight in net.parameters():
        nn.init.constant_(weight, 0.01)
    freeze_norms(net, torch.zeros(1, 1, 16, 16).double())
    for layer in net.modules():
        if isinstance(layer, FixedNorm):
            layer.variance.fill_(1)
    middle, furthest = 64, 0
    for phase in range(4):
        x = torch.zeros(1, 1, 128, 128, dtype=torch.double, requires_grad=True)
        net(x + 1)[0, 0, middle + phase, middle].backward()
        rows = np.flatnonzero(x.grad[0, 0].abs().sum(dim=1).numpy())
        furthest = max(furthest, middle + phase - rows.min(), rows.max() - middle - phase)
    return furthest


@pytest.mark.parametrize("blocks", [1, 4])
def test_receptive_radius_is_what_gradients_say(blocks):
    assert receptive_radius(blocks) == reach(blocks)


def test_halo_is_a_multiple_of_the_stride_that_covers_the_radius():
    assert [halo_of(blocks) for blocks in (2, 4, 6, 9)] == [32, 48, 64, 88]


def test_generator_of_the_default_preset_has_a_third_of_a_million_weights():
    assert 300_000 < sum(weight.numel() for weight in build_generator(16, 4).parameters()) < 400_000


def test_discriminator_judges_patches_at_a_quarter_of_the_resolution():
    assert build_discriminator(8)(torch.zeros(2, 1, 96, 96))[-1].shape == (2, 1, 22, 22)


def test_frozen_statistics_are_mean_of_means_and_total_variance():
    crops = torch.randn(40, 1, 8, 8) * torch.linspace(0.5, 2, 40)[:, None, None, None] + torch.randn(40, 1, 1, 1)
    net = freeze_norms(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.InstanceNorm2d(1)), crops)
    seen = crops * net[0].weight.item()
    torch.testing.assert_close(net[1].mean.squeeze(), seen.mean())
    torch.testing.assert_close(net[1].variance.squeeze(), seen.var(unbiased=False))


def test_later_layers_are_measured_on_what_frozen_ones_give():
    crops = torch.cat([torch.randn(20, 1, 8, 8), 3 + 4 * torch.randn(20, 1, 8, 8)])
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.InstanceNorm2d(1), nn.Conv2d(1, 1, 1), nn.InstanceNorm2d(1))
    with torch.no_grad():
        frozen = freeze_norms(net, crops)(crops)
    assert abs(frozen.mean()) < 1e-4
    assert frozen.var(unbiased=False).item() == pytest.approx(1, abs=1e-3)


def test_a_frozen_network_treats_an_image_alone_as_in_a_batch():
    net = freeze_norms(build_generator(4, 1), torch.randn(8, 1, 32, 32))
    batch = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(batch)[1:2], net(batch[1:2]))


def test_constant_crops_do_not_spoil_the_frozen_statistics():
    net = freeze_norms(build_generator(4, 1), torch.zeros(4, 1, 32, 32))
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 32, 32)).isfinite().all()
