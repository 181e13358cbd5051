"""Generator and discriminator of image translation."""

from torch import Tensor, nn

from histobridge.core.loading import whole
from histobridge.core.translate.norms import instance_norm

STRIDE = 4


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input goes unchanged."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(channels, channels, 3), nn.ReLU(inplace=True), *_convolution(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions find, (N, C, Y, X)."""
        change: Tensor = self.body(x)
        return x + change


def _convolution(channels_in: int, channels_out: int, size: int, stride: int = 1) -> list[nn.Module]:
    """Reflect-padded convolution and its norm, which makes a bias pointless."""
    convolution = nn.Conv2d(
        channels_in, channels_out, size, stride, padding=size // 2, padding_mode="reflect", bias=False
    )
    nn.init.normal_(convolution.weight, 0.0, 0.02)
    return [convolution, instance_norm(channels_out)]


def build_generator(channels: int = 16, blocks: int = 4) -> nn.Sequential:
    """Residual network between two images of the same place.

    As in CycleGAN (Zhu et al. 2017, arXiv 1703.10593), but upsampled by nearest neighbour and convolution instead of
    transposed convolution, which leaves no checkerboard.

    Parameters
    ----------
    channels : int
        Of the first layer; twice and four times as many further in.
    blocks : int
        Residual blocks at a quarter of the resolution.

    Returns
    -------
    nn.Sequential
        Maps (N, 1, Y, X) in [-1, 1] to the same shape and range; Y and X multiples of `STRIDE`, at least 8.
    """
    layers: list[nn.Module] = [*_convolution(1, channels, 7), nn.ReLU(inplace=True)]
    for width in (channels, 2 * channels):
        layers += [*_convolution(width, 2 * width, 3, stride=2), nn.ReLU(inplace=True)]
    layers += [Residual(4 * channels) for _ in range(blocks)]
    for width in (4 * channels, 2 * channels):
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), *_convolution(width, width // 2, 3)]
        layers.append(nn.ReLU(inplace=True))
    last = nn.Conv2d(channels, 1, 7, padding=3, padding_mode="reflect")
    nn.init.normal_(last.weight, 0.0, 0.02)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, last, nn.Tanh())


def receptive_radius(blocks: int) -> int:
    """How far, in pixels, an output pixel of the generator looks at most.

    Parameters
    ----------
    blocks : int
        Residual blocks.

    Returns
    -------
    int
        The largest reach over the four positions of a pixel on the grid of the strides; 46 for 4 blocks.
    """
    reach = 0
    for pixel in range(STRIDE):
        low, high = pixel - 3, pixel + 3
        for _ in range(2):
            low, high = (low - 1) // 2, (high + 1) // 2
        low, high = low - 2 * blocks, high + 2 * blocks
        for _ in range(2):
            low, high = 2 * low - 1, 2 * high + 1
        reach = max(reach, pixel - low + 3, high + 3 - pixel)
    return reach


def halo_of(blocks: int) -> int:
    """Receptive radius of the generator, rounded up to its stride."""
    return -(-receptive_radius(blocks) // STRIDE) * STRIDE


def build_discriminator(channels: int = 16) -> nn.Module:
    """PatchGAN with two strides, which judges patches of 34 px.

    Parameters
    ----------
    channels : int
        Of the first layer.

    Returns
    -------
    nn.Module
        Maps (N, 1, Y, X) to a list of feature maps of which the last, (N, 1, ~Y/4, ~X/4), are the logits.
    """
    discriminator: nn.Module = whole("monai.networks.nets.patchgan_discriminator").PatchDiscriminator(
        spatial_dims=2, channels=channels, in_channels=1, num_layers_d=2, norm="INSTANCE", bias=True, padding=1
    )
    return discriminator
