import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.translate.norms import FixedNorm, freeze_norms
from histobridge.core.translate.patchgan import build_patchgan
from histobridge.core.translate.resnet import TAPS, Blur, build_resnet, resnet_halo, resnet_radius


def count(build, **options):
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(**options).parameters())


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize(
    ("blocks", "image_channels", "weights"), [(9, 1, 11_365_633), (6, 1, 7_825_153), (9, 3, 11_378_179)]
)
def test_generators_have_as_many_weights_as_published(blocks, image_channels, weights, antialiased):
    found = count(build_resnet, blocks=blocks, image_channels=image_channels, antialiased=antialiased)
    assert found == weights


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize(("image_channels", "weights"), [(1, 2_762_689), (3, 2_764_737)])
def test_discriminators_have_as_many_weights_as_published(image_channels, weights, antialiased):
    assert count(build_patchgan, image_channels=image_channels, antialiased=antialiased) == weights


def test_the_plain_discriminator_is_that_of_monai():
    from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

    theirs = PatchDiscriminator(2, 4, 1, num_layers_d=3, norm="INSTANCE", bias=True, padding=1)
    ours = build_patchgan(4)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 1, 48, 64)
    assert torch.equal(ours(x), theirs(x)[-1])


def test_taps_lie_where_the_paper_puts_them():
    with torch.device("meta"):
        net, x, shapes = build_resnet(antialiased=True), torch.zeros(1, 1, 256, 256), []
        for number, layer in enumerate(net):
            x = layer(x)
            if number in TAPS:
                shapes.append(tuple(x.shape[1:]))
    assert shapes == [(1, 262, 262), (128, 256, 256), (256, 128, 128), (256, 64, 64), (256, 64, 64)]
    assert x.shape == (1, 1, 256, 256)


def test_blurred_halving_of_a_ramp_is_every_second_value():
    ramp = torch.arange(9.0).expand(1, 3, 9, 9)
    torch.testing.assert_close(Blur(3)(ramp)[0, 0, 0, 1:-1], torch.tensor([2.0, 4.0, 6.0]))


def test_doubling_is_the_filter_1_3_3_1():
    x = torch.randn(1, 1, 6, 6)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    filtered = nn.functional.conv_transpose2d(padded, (line[:, None] * line)[None, None], stride=2)[..., 3:-3, 3:-3]
    upsample = next(layer for layer in build_resnet(2, 1, antialiased=True) if isinstance(layer, nn.Upsample))
    torch.testing.assert_close(upsample(x), filtered)


def reach(net: nn.Module) -> int:
    """How far the gradient of single output pixels really goes."""
    for weight in net.double().parameters():
        nn.init.constant_(weight, 0.01 if weight.ndim > 1 else 0)
    freeze_norms(net, torch.zeros(1, 1, 16, 16).double())
    for layer in net.modules():
        if isinstance(layer, FixedNorm):
            layer.variance.fill_(1)
    middle, furthest = 48, 0
    for phase in range(4):
        x = torch.ones(1, 1, 96, 96, dtype=torch.double, requires_grad=True)
        net(x)[0, 0, middle + phase, middle].backward()
        rows = np.flatnonzero(x.grad[0, 0].abs().sum(dim=1).numpy())
        furthest = max(furthest, middle + phase - rows.min(), rows.max() - middle - phase)
    return furthest


@pytest.mark.parametrize("antialiased", [False, True])
def test_radius_of_a_published_generator_is_what_gradients_say(antialiased):
    assert resnet_radius(1, antialiased) == reach(build_resnet(2, 1, antialiased=antialiased))


def test_halo_of_a_published_generator_covers_its_radius_and_fits_its_stride():
    for antialiased in (False, True):
        assert resnet_halo(9, antialiased) % 4 == 0
        assert 0 <= resnet_halo(9, antialiased) - resnet_radius(9, antialiased) < 4
