"""Generators with instance norms from elsewhere: read, measured tile by tile, joined without steps."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import InputError
from histobridge.core.translate.base import look_of, translate_blocks, translate_window
from histobridge.core.translate.card import card_of
from histobridge.core.translate.imported import Imported
from histobridge.core.translate.importing import read_generator
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.map_norms import Grid, MapNorm, Moments, Place
from histobridge.core.translate.resnet import build_resnet

THERE = "source_to_target"
SPREADS = ("pooled", "interpolated")


def pointwise():
    """A network that looks at single pixels, so that only its norms join them."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 1), nn.InstanceNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1), nn.InstanceNorm2d(1))


def imported(net, spread, tile_px, sweeps=2):
    even = np.linspace(-1, 1, 257)
    card = card_of(TrainTranslatorConfig(), Instant(False, even, even), 0)
    card = card.model_copy(update={"spread": spread, "tile_px": tile_px, "sweeps": sweeps, "ways": (THERE,)})
    return Imported({THERE: net}, Instant(False, even, even), card)


def drifting(shape=(40, 56)):
    """Noise whose brightness and contrast change over the image."""
    drift = np.linspace(0, 1, shape[1])
    noise = np.random.default_rng(0).normal(0, 0.2, shape)
    return np.clip(drift - 0.5 + noise * (0.5 + drift), -1, 1).astype(np.float32)


def translated(translator, image, window=None):
    window = window or (slice(0, image.shape[0]), slice(0, image.shape[1]))
    return translate_window(translator, lambda part: image[part], image.shape, window, THERE, look_of(image))


def plain(net, image):
    with torch.no_grad():
        return net(torch.from_numpy(image)[None, None])[0, 0].numpy()


@pytest.mark.parametrize("spread", SPREADS)
def test_an_image_of_one_tile_is_translated_as_by_plain_instance_norms(spread):
    image = drifting()
    expected = plain(pointwise(), image)
    np.testing.assert_allclose(translated(imported(pointwise(), spread, 64), image), expected, atol=1e-5)


def test_with_as_many_sweeps_as_norms_pooled_statistics_are_those_of_the_whole_image():
    image = drifting()
    expected = plain(pointwise(), image)
    once, twice = (translated(imported(pointwise(), "pooled", 16, sweeps), image) for sweeps in (1, 2))
    np.testing.assert_allclose(twice, expected, atol=1e-4)
    assert np.abs(once - expected).max() > 0.01


@pytest.mark.parametrize("seed", [0, 1])
def test_sweeps_settle_one_layer_after_the_other_so_that_misfits_do_not_grow(seed):
    """When all layers were settled at once, four sweeps were tens of times as far from the whole image as one."""
    torch.manual_seed(seed)
    layers = [(nn.Conv2d(1 if depth == 0 else 4, 4, 1), nn.InstanceNorm2d(4), nn.ReLU()) for depth in range(8)]
    net = nn.Sequential(*(layer for block in layers for layer in block), nn.Conv2d(4, 1, 1), nn.InstanceNorm2d(1))
    image = drifting()
    expected = plain(net, image)
    off = [
        np.abs(translated(imported(deepcopy(net), "pooled", 8, sweeps), image) - expected).mean()
        for sweeps in (1, 2, 4, 6, 9)
    ]
    assert max(off) < 3 * off[0]
    assert off[-1] < 1e-4


def test_moments_of_tiles_pool_to_those_of_all_pixels():
    x = torch.randn(1, 2, 8, 12) * 3 + 1
    tiles = [x[0, :, :, :8], x[0, :, :, 8:]]
    means, variances = (torch.stack([f(tile) for tile in tiles], dim=1)[:, None] for f in (mean_of, variance_of))
    mean, variance = Moments(means, variances, torch.tensor([[64.0, 32.0]])).pooled()
    torch.testing.assert_close(mean[0, :, 0, 0], mean_of(x[0]))
    torch.testing.assert_close(variance[0, :, 0, 0], variance_of(x[0]))


def mean_of(x):
    return x.mean(dim=(1, 2))


def variance_of(x):
    return x.var(dim=(1, 2), unbiased=False)


def test_interpolated_statistics_have_no_step_at_the_borders_of_tiles():
    place = Place()
    place.grid, place.crop, place.spread = Grid((16, 32), 16), (16, 32), "interpolated"
    norm = MapNorm(place)
    norm.moments = Moments(torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 2), torch.ones(1, 2))
    line = norm(torch.ones(1, 1, 16, 32))[0, 0, 3]
    torch.testing.assert_close(line[:8], torch.ones(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(line[24:], torch.zeros(8), atol=1e-4, rtol=0)
    steps = (line[:-1] - line[1:])[8:23]
    torch.testing.assert_close(steps, torch.full((15,), 1 / 16), atol=1e-4, rtol=0)


@pytest.mark.parametrize("spread", SPREADS)
def test_any_window_equals_the_same_part_of_the_whole(spread):
    torch.manual_seed(1)
    translator, image = imported(build_resnet(2, 1), spread, 16), drifting()
    translator.halo = 32
    whole = translated(translator, image)
    for window in ((slice(5, 23), slice(30, 56)), (slice(16, 32), slice(0, 16))):
        np.testing.assert_allclose(translated(translator, image, window), whole[window], atol=1e-5)


def test_measuring_a_whole_image_tells_how_far_it_is():
    translator, image = imported(pointwise(), "pooled", 16), drifting()
    window = (slice(0, 8), slice(0, 8))
    job = translate_blocks(translator, lambda part: image[part], image.shape, window, THERE, look_of(image))
    shares = [progress.step / progress.total for progress in job]
    assert len(shares) == 2 * 3 * 4, "two sweeps of three by four tiles"
    assert shares == sorted(shares)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("noise", [0.0, 1 / 255])
def test_a_margin_without_tissue_does_not_change_the_translation_of_the_tissue(spread, noise):
    """Normalised by itself a tile of resin becomes noise hundreds of times as strong as the tissue."""
    torch.manual_seed(0)
    net = build_resnet(4, 2)
    tissue = np.tile(drifting((64, 64))[:, :32], (1, 3))
    grain = np.random.default_rng(1).normal(0, noise, (64, 32)).astype(np.float32)
    image = np.concatenate([grain - 0.9, tissue], axis=1)
    alone, beside = (translated(imported(deepcopy(net), spread, 32), each) for each in (tissue, image))
    off = np.abs(beside[:, 64:] - alone[:, 32:])
    assert off.mean() < 0.05 * alone.std()


@pytest.mark.parametrize("longer", [1, 2, 4])
def test_an_image_a_little_longer_than_its_tiles_is_translated_like_one_of_a_fitting_size(longer):
    """A sliver of a tile has no statistics: at a quarter of the size a corner of two pixels is one value."""
    torch.manual_seed(0)
    net, image = build_resnet(4, 2), drifting((64 + longer, 64 + longer))
    fitting = plain(deepcopy(net), image[:64, :64])
    assert translated(imported(net, "pooled", 64), image).std() == pytest.approx(fitting.std(), rel=0.2)
    assert {part.stop - part.start for part in Grid((514, 514), 512).window(1, 1)} == {254}


@pytest.mark.parametrize("antialiased", [False, True])
def test_the_network_of_a_file_is_told_from_its_weights(tmp_path, antialiased):
    net = build_resnet(3, 2, antialiased=antialiased)
    names = {name: f"model.{name.replace('body', 'conv_block')}" for name in net.state_dict()}
    save_file({names[name]: tensor for name, tensor in net.state_dict().items()}, tmp_path / "g.safetensors")
    read, config = read_generator(tmp_path / "g.safetensors")
    assert (config.method, config.channels, config.blocks) == ("cut" if antialiased else "cyclegan", 3, 2)
    x = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(read(x), net(x))


def test_files_of_other_networks_are_refused_by_name(tmp_path):
    file = tmp_path / "g.safetensors"
    with pytest.raises(InputError, match=r"g\.safetensors cannot be read"):
        read_generator(file)
    save_file({"fc.weight": torch.zeros(2)}, file)
    with pytest.raises(InputError, match=r"g\.safetensors has the weights fc\.weight"):
        read_generator(file)
    colour = build_resnet(2, 1, image_channels=3)
    save_file(colour.state_dict(), file)
    with pytest.raises(InputError, match=r"g\.safetensors does not fit.*one grey channel"):
        read_generator(file)
    damaged = {name: tensor.clone() for name, tensor in build_resnet(2, 1).state_dict().items()}
    damaged["1.weight"][0] = float("nan")
    save_file(damaged, file)
    with pytest.raises(InputError, match=r"1\.weight \(torch\.float32\) holds values that are no finite numbers"):
        read_generator(file)
    save_file({"1.weight": torch.zeros(5000, 1, 1, 1)}, file)
    with pytest.raises(InputError, match=r"g\.safetensors has the weights 1\.weight"):
        read_generator(file)
