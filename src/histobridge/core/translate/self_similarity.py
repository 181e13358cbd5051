"""Self-similarity of images: which places look like which others near them, whatever their grey values."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

SCALES_PX = (1.0, 2.0)
STRIDE = 2
DISTANCES = (1, 2, 4)
"""Of the places compared, in strides."""
FLOOR = 0.05
"""Length of descriptions below which a place counts as flat, for which nothing is alike."""


def self_similarity(images: Tensor) -> Tensor:
    """Compare the surroundings of each place with those of places 2, 4 and 8 px away.

    A place is described by its Gaussian derivatives of first and second order at 1 and 2 px, f. The maps hold
    S_d(p) = f(p) · f(p + d) / (|f(p)| |f(p + d)|), lengths being at least about 0.05. The filters are linear and sum to
    zero, so S does not change when a constant is added to an image or its grey values are inverted, and hardly when
    contrast is scaled.

    Parameters
    ----------
    images : Tensor, (N, 1, Y, X) float
        In [-1, 1]; Y and X at least 32.

    Returns
    -------
    Tensor, (N, 12, about Y / 2 - 4, about X / 2 - 8)
        In [-1, 1]; four directions at each of three distances.

    Notes
    -----
    Spatially-correlative maps after Zheng, Cham and Cai 2021 (F-LSeSim, arXiv 2104.00854), and relations between
    patches after Jung, Kwon and Ye 2022 (arXiv 2203.01532), with fixed filters in place of learned features.
    """
    images = images.float()
    filters = _filters(images.device)
    margin = filters.shape[-1] // 2
    padded = functional.pad(images, (margin,) * 4, mode="reflect")
    described = functional.conv2d(padded, filters, stride=STRIDE)
    described = described * torch.rsqrt(described.square().sum(dim=1, keepdim=True) + FLOOR**2)
    reach = max(DISTANCES)
    high, wide = described.shape[2] - reach, described.shape[3] - 2 * reach
    here = described[:, :, :high, reach : reach + wide]
    maps = []
    for distance in DISTANCES:
        for down, right in ((0, distance), (distance, 0), (distance, distance), (distance, -distance)):
            left = reach + right
            maps.append((here * described[:, :, down : down + high, left : left + wide]).sum(dim=1))
    return torch.stack(maps, dim=1)


def similarity_loss(before: Tensor, after: Tensor) -> Tensor:
    """Mean absolute difference between the self-similarities of images and of their translations.

    Parameters
    ----------
    before, after : Tensor, (N, 1, Y, X)
        In [-1, 1]; gradients flow through `after` alone.

    Returns
    -------
    Tensor
        Scalar in [0, 2]; 0 for equal and for inverted images.
    """
    with torch.no_grad():
        wanted = self_similarity(before)
    return (self_similarity(after) - wanted).abs().mean()


@cache
def _filters(device: torch.device) -> Tensor:
    """Gaussian derivatives along x, y, xx, xy, yy at each scale, (10, 1, K, K), normalised by scale, summing to 0.

    Kept on each device: to copy them there in every step would wait for all that is under way.
    """
    reach = round(3 * max(SCALES_PX))
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    filters = []
    for scale in SCALES_PX:
        line = torch.exp(-(at**2) / (2 * scale**2))
        line = line / line.sum()
        first, second = -at / scale * line, (at**2 / scale**2 - 1) * line
        for y, x in ((line, first), (first, line), (line, second), (first, first), (second, line)):
            filters.append(y[:, None] * x)
    bank = torch.stack(filters)[:, None]
    return (bank - bank.mean(dim=(2, 3), keepdim=True)).float().to(device)
