"""Layers that the networks of the diffusion share: starts of weights, resampling, time."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TINY = 1e-10
LONGEST_PERIOD = 10_000


def _scaled(weight: Tensor, scale: float) -> None:
    """Start a weight uniformly with variance `scale` over the mean of fan-in and fan-out (Glorot and Bengio 2010)."""
    field = weight[0][0].numel() if weight.ndim > 2 else 1
    fan = (weight.shape[0] + weight.shape[1]) * field / 2
    bound = math.sqrt(3 * max(scale, TINY) / fan)
    nn.init.uniform_(weight, -bound, bound)


def convolution(channels_in: int, channels_out: int, size: int = 3, scale: float = 1.0, bias: bool = True) -> nn.Conv2d:
    """Zero-padded convolution that keeps the size.

    Parameters
    ----------
    channels_in, channels_out : int
    size : int
        Of the kernel, odd.
    scale : float
        Variance of the first weights over that of Glorot; 0 makes them next to nothing.
    bias : bool
        Starts at zero.

    Returns
    -------
    nn.Conv2d
    """
    layer = nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=bias)
    _scaled(layer.weight, scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(size_in: int, size_out: int, scale: float = 1.0) -> nn.Linear:
    """Linear layer with the first weights of `convolution`."""
    layer = nn.Linear(size_in, size_out)
    _scaled(layer.weight, scale)
    nn.init.zeros_(layer.bias)
    return layer


def _binomial(like: Tensor, gain: float) -> Tensor:
    """Kernel [1, 3, 3, 1] in both axes, (C, 1, 4, 4), summing to `gain`."""
    # Computed where it is needed: numbers from a list would be copied to a GPU, which waits for all before.
    line = 4 - (2 * torch.arange(4, device=like.device, dtype=like.dtype) - 3).abs()
    return (line[:, None] * line * (gain / 64)).expand(like.shape[1], 1, 4, 4)


def halve(x: Tensor) -> Tensor:
    """Smooth by [1, 3, 3, 1] and take every other pixel, zeros outside: (N, C, Y, X) to (N, C, Y/2, X/2)."""
    return functional.conv2d(x, _binomial(x, 1.0), stride=2, padding=1, groups=x.shape[1])


def double(x: Tensor) -> Tensor:
    """Set zeros between pixels and smooth by [1, 3, 3, 1]: (N, C, Y, X) to (N, C, 2Y, 2X)."""
    return functional.conv_transpose2d(x, _binomial(x, 4.0), stride=2, padding=1, groups=x.shape[1])


class HalvingConvolution(nn.Module):
    """Smooth by [1, 3, 3, 1], then a 3x3 convolution of every other pixel; zeros only outside the image.

    Parameters
    ----------
    channels_in, channels_out : int
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.convolution = convolution(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, Y, X) to (N, C', Y/2, X/2)."""
        smooth = functional.conv2d(x, _binomial(x, 1.0), padding=2, groups=x.shape[1])
        return functional.conv2d(smooth, self.convolution.weight, self.convolution.bias, stride=2)


def time_waves(step: Tensor, size: int) -> Tensor:
    """Sines and cosines of the time at `size` / 2 frequencies from 1 to 1/10,000 (Vaswani et al. 2017).

    Parameters
    ----------
    step : Tensor, (N,) int64
    size : int
        Even, at least 4.

    Returns
    -------
    Tensor, (N, size) float32
        Sines first.
    """
    half = size // 2
    places = torch.arange(half, dtype=torch.float32, device=step.device)
    angles = step.float()[:, None] * torch.exp(places * (-math.log(LONGEST_PERIOD) / (half - 1)))
    return torch.cat([angles.sin(), angles.cos()], dim=1)
