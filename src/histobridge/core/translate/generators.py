"""Which networks a config asks for: ours or the published ones."""

from torch import nn

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.networks import build_discriminator, build_generator, halo_of
from histobridge.core.translate.patchgan import build_patchgan
from histobridge.core.translate.resnet import Weights, build_resnet, resnet_halo

CONTRASTIVE = ("cut", "fastcut")


def weights_of(config: TrainTranslatorConfig) -> Weights:
    """How the published networks of a method start."""
    return "xavier" if config.method in CONTRASTIVE else "normal"


def generator_of(config: TrainTranslatorConfig) -> nn.Sequential:
    """Generator, (N, 1, Y, X) to the same; CUT's published one is anti-aliased."""
    if not config.published:
        return build_generator(config.channels, config.blocks)
    antialiased = config.method in CONTRASTIVE
    return build_resnet(config.channels, config.blocks, antialiased=antialiased, weights=weights_of(config))


def discriminator_of(config: TrainTranslatorConfig) -> nn.Module:
    """Discriminator of images (N, 1, Y, X): logits, or a list with the logits last."""
    if not config.published:
        return build_discriminator(config.channels)
    return build_patchgan(config.channels, antialiased=config.method in CONTRASTIVE, weights=weights_of(config))


def reach_of(config: TrainTranslatorConfig) -> int:
    """Pixels to read around a window for an exact result of the generator."""
    if not config.published:
        return halo_of(config.blocks)
    return resnet_halo(config.blocks, antialiased=config.method in CONTRASTIVE)


def taps_of(config: TrainTranslatorConfig) -> tuple[int, ...]:
    """Layers of the generator whose features are compared: the image, both halvings, two residual blocks.

    Ours has no layer of its own that pads the image, so its first convolution stands for the image itself.
    """
    before = (0, 4, 8) if config.published else (0, 3, 6)
    first = 12 if config.published else 9
    return tuple(sorted({*before, first, first + config.blocks // 2}))


def tap_channels(config: TrainTranslatorConfig) -> tuple[int, ...]:
    """Channels of the features at `taps_of`."""
    channels = config.channels
    before = (1, 2 * channels, 4 * channels) if config.published else (channels, 2 * channels, 4 * channels)
    return before + (4 * channels,) * (len(taps_of(config)) - 3)
