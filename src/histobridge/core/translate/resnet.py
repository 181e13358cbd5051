"""The residual generator of CycleGAN, CUT and SynDiff as published, plain and anti-aliased."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from histobridge.core.translate.norms import instance_norm

Weights = Literal["normal", "xavier"]

STRIDE = 4
TAPS = (0, 4, 8, 12, 16)
"""Layers of the anti-aliased generator whose features PatchNCE compares (arXiv 2007.15651, appendix C)."""


class Blur(nn.Module):
    """Halve the resolution after a [1, 2, 1] blur, so that a shift of the input shifts the output (arXiv 1904.11486).

    Parameters
    ----------
    channels : int
    """

    kernel: Tensor

    def __init__(self, channels: int):
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        square = line[:, None] * line
        self.register_buffer("kernel", square.expand(channels, 1, 3, 3).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, Y, X) to (N, C, Y/2, X/2), rounded up."""
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, self.kernel, stride=2, groups=x.shape[1])


class ResidualBlock(nn.Module):
    """Two reflect-padded 3x3 convolutions with instance norms, around which the input goes unchanged.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            instance_norm(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            instance_norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions find, (N, C, Y, X)."""
        change: Tensor = self.body(x)
        return x + change


def build_resnet(
    channels: int = 64,
    blocks: int = 9,
    image_channels: int = 1,
    antialiased: bool = False,
    weights: Weights = "normal",
) -> nn.Sequential:
    """Residual network between two images of the same place, as published.

    Convolution, two halvings, residual blocks, two doublings, convolution, tanh (Johnson et al. 2016; CycleGAN,
    arXiv 1703.10593). Plain: strided and transposed convolutions. Anti-aliased, as in CUT (arXiv 2007.15651): blur
    before each halving, and doubling by the filter [1, 3, 3, 1], which is bilinear interpolation.

    Parameters
    ----------
    channels : int
        Of the first layer; twice and four times as many further in.
    blocks : int
        Residual blocks at a quarter of the resolution; 9 in CycleGAN and CUT, 6 in SynDiff.
    image_channels : int
        Of input and output.
    antialiased : bool
    weights : {"normal", "xavier"}
        Start: N(0, 0.02) as CycleGAN, or Xavier with gain 0.02 as CUT.

    Returns
    -------
    nn.Sequential
        Maps (N, image_channels, Y, X) in [-1, 1] to the same shape and range; Y and X multiples of `STRIDE`, at
        least 8. 11,365,633 weights with 9 blocks, 7,825,153 with 6. `TAPS` number its layers.
    """
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(image_channels, channels, 7), *_end(channels)]
    for width in (channels, 2 * channels):
        stride = 1 if antialiased else 2
        layers += [nn.Conv2d(width, 2 * width, 3, stride, padding=1), *_end(2 * width)]
        if antialiased:
            layers.append(Blur(2 * width))
    layers += [ResidualBlock(4 * channels) for _ in range(blocks)]
    for width in (4 * channels, 2 * channels):
        if antialiased:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            layers.append(nn.Conv2d(width, width // 2, 3, padding=1))
        else:
            layers.append(nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1))
        layers += _end(width // 2)
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(channels, image_channels, 7), nn.Tanh()]
    return start_weights(nn.Sequential(*layers), weights)


def _end(channels: int) -> list[nn.Module]:
    return [instance_norm(channels), nn.ReLU(inplace=True)]


def start_weights(net: nn.Sequential, weights: Weights) -> nn.Sequential:
    """Start the convolutions and linear layers of `net`, in place, from small random numbers and biases of zero.

    Parameters
    ----------
    net : nn.Sequential
    weights : {"normal", "xavier"}
        N(0, 0.02), or Xavier normal with gain 0.02.

    Returns
    -------
    nn.Sequential
        `net`.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if weights == "normal":
                nn.init.normal_(layer.weight, 0.0, 0.02)
            else:
                nn.init.xavier_normal_(layer.weight, gain=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


def resnet_radius(blocks: int = 9, antialiased: bool = False) -> int:
    """How far, in pixels, an output pixel of the generator looks at most, its norms being fixed.

    Parameters
    ----------
    blocks : int
        Residual blocks.
    antialiased : bool

    Returns
    -------
    int
        The largest reach over the positions of a pixel on the grid of the strides.
    """
    reach = 0
    for pixel in range(STRIDE):
        low, high = pixel - 3, pixel + 3
        for _ in range(2):
            if antialiased:
                low, high = (low - 2) // 2, (high + 2) // 2
            else:
                low, high = low // 2, (high + 1) // 2
        low, high = low - 2 * blocks, high + 2 * blocks
        for _ in range(2):
            spread = 2 if antialiased else 1
            low, high = 2 * low - spread, 2 * high + spread
        reach = max(reach, pixel - low + 3, high + 3 - pixel)
    return reach


def resnet_halo(blocks: int = 9, antialiased: bool = False) -> int:
    """Receptive radius of the generator, rounded up to its stride."""
    return -(-resnet_radius(blocks, antialiased) // STRIDE) * STRIDE
