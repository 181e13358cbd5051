"""The discriminator of the diffusion: does an image look as if it had been noised one step less?"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from histobridge.core.translate.diffusion_layers import convolution, halve, linear, time_waves

GROUP = 4
SLOPE = 0.2


class DownBlock(nn.Module):
    """Residual block that is told the time and halves the resolution.

    Parameters
    ----------
    channels_in, channels_out : int
    time_width : int
        Of the embedding of the time.
    """

    def __init__(self, channels_in: int, channels_out: int, time_width: int):
        super().__init__()
        self.open = convolution(channels_in, channels_out)
        self.close = convolution(channels_out, channels_out, scale=0)
        self.time = linear(time_width, channels_out)
        self.around = convolution(channels_in, channels_out, 1, bias=False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (N, C, Y, X) and (N, time_width) to (N, C', Y/2, X/2)."""
        h = self.open(_activated(x)) + self.time(time)[:, :, None, None]
        h = self.close(halve(_activated(h)))
        joined: Tensor = self.around(halve(x)) + h
        return joined / math.sqrt(2)


class TimeDiscriminator(nn.Module):
    """Time-conditional discriminator of denoising diffusion GANs (arXiv 2112.07804) for grey images.

    Parameters
    ----------
    width : int
        It starts with twice as many channels and ends with eight times as many; 64 as published.
    halvings : int
        Times the resolution is halved; 6 as published, then it has 27,736,705 weights.
    time_width : int
        Width of the embedding of the time; 256 as published.
    """

    def __init__(self, width: int, halvings: int, time_width: int):
        super().__init__()
        self.time_width = time_width
        self.time = nn.Sequential(
            linear(time_width, time_width), nn.LeakyReLU(SLOPE), linear(time_width, time_width), nn.LeakyReLU(SLOPE)
        )
        self.open = convolution(2, 2 * width, 1)
        widths = [min(2 ** (level + 1), 8) * width for level in range(halvings + 1)]
        self.blocks = nn.ModuleList([DownBlock(before, after, time_width) for before, after in pairwise(widths)])
        self.close = convolution(widths[-1] + 1, widths[-1])
        self.judge = linear(widths[-1], 1)

    def forward(self, earlier: Tensor, step: Tensor, later: Tensor) -> Tensor:
        """Judge pairs of noised images.

        Parameters
        ----------
        earlier : Tensor, (N, 1, Y, X)
            x_t, real or made by a generator; Y and X at least 2 ** halvings.
        step : Tensor, (N,) int64
            t.
        later : Tensor, (N, 1, Y, X)
            x_(t + 1).

        Returns
        -------
        Tensor, (N,) float32
            Logits, summed over all places.
        """
        time = self.time(time_waves(step, self.time_width))
        h = self.open(torch.cat([earlier, later], dim=1))
        for block in self.blocks:
            h = block(h, time)
        h = _activated(self.close(torch.cat([h, _variety(h)], dim=1)))
        logits: Tensor = self.judge(h.sum(dim=(2, 3)))[:, 0]
        return logits.float()


def _activated(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def _variety(x: Tensor) -> Tensor:
    """Mean standard deviation within groups of images, as one more channel, (N, 1, Y, X) (arXiv 1710.10196).

    A group has as many images as share N evenly, 4 at most.
    """
    size = next(size for size in range(GROUP, 0, -1) if len(x) % size == 0)
    grouped = x.unflatten(0, (size, -1))
    spread: Tensor = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return spread.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
