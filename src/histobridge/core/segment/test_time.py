"""Fit a trained segmenter to target images without labels, just before it proposes."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from histobridge.core.images.working import Window
from histobridge.core.job import Job, Progress
from histobridge.core.segment.test_time_settings import AtTestTime

TILE_PX = 160
BATCH_TILES = 8
Reader = tuple[Callable[[Window], NDArray[np.float32]], tuple[int, int]]
"""Reads a window of an image as the segmenter wants it; (Y, X) of the whole image."""


def fit_to_target(net: nn.Module, images: Sequence[Reader], settings: AtTestTime, seed: int) -> Job[None]:
    """Change the normalisation of `net`, in place, as `settings` ask.

    Statistics come before entropy. Both are those of all images together: one model proposes for all of them, and for
    every tile of an image, so that tiles join. For a model of each image, propose for one image at a time.

    Parameters
    ----------
    net : nn.Module
        Maps (N, 1, Y, X) to (N, K, Y, X) logits; ends in eval mode.
    images : sequence of Reader
    settings : AtTestTime
    seed : int
        Of the tiles.

    Yields
    ------
    Progress
        After every step; nothing where there is nothing to do.
    """
    if settings.adapt_statistics == 0 and settings.entropy_steps == 0:
        return
    rng = np.random.default_rng(seed)
    tiles = draw_tiles(images, settings.tiles, rng).to(next(net.parameters()).device)
    total = 1 + settings.entropy_steps
    if settings.adapt_statistics > 0:
        mix_statistics(net, tiles, settings.adapt_statistics)
    yield Progress(1, total, "fitting the model to the target")
    optimizer = torch.optim.Adam(affine(net), lr=settings.entropy_learning_rate)
    for step in range(settings.entropy_steps):
        chosen = rng.choice(len(tiles), size=min(BATCH_TILES, len(tiles)), replace=False)
        entropy = lower_entropy(net, tiles[torch.from_numpy(chosen)], optimizer)
        yield Progress(2 + step, total, "fitting the model to the target", {"entropy": entropy})


def draw_tiles(images: Sequence[Reader], number: int, rng: np.random.Generator) -> torch.Tensor:
    """Draw random tiles, images taking turns.

    Parameters
    ----------
    images : sequence of Reader
    number : int
    rng : numpy.random.Generator

    Returns
    -------
    torch.Tensor
        (N, 1, 160, 160) float32 in [-1, 1]; smaller images are mirrored.
    """
    places = []
    for index in range(number):
        shape = images[index % len(images)][1]
        sides = [min(TILE_PX, size) for size in shape]
        corners = [int(rng.integers(0, size - side + 1)) for size, side in zip(shape, sides, strict=True)]
        rows, columns = (slice(corner, corner + side) for corner, side in zip(corners, sides, strict=True))
        places.append((rows, columns))
    tiles: dict[int, NDArray[np.float32]] = {}
    # One image after the other: some translators measure a whole image before they give a window of it.
    for index in sorted(range(number), key=lambda index: index % len(images)):
        tile = images[index % len(images)][0](places[index])
        tiles[index] = np.pad(tile, [(0, TILE_PX - side) for side in tile.shape], mode="symmetric")
    return torch.from_numpy(np.stack([tiles[index] for index in range(number)])[:, None]).float()


@torch.no_grad()
def mix_statistics(net: nn.Module, images: torch.Tensor, share: float) -> None:
    """Move the statistics of every batch normalisation towards those of its input on `images`.

    .. math:: \\mu = (1 - \\rho) \\mu_s + \\rho \\mu_t, \\quad \\sigma^2 = (1 - \\rho) \\sigma_s^2 + \\rho \\sigma_t^2

    with source s and target t, layer by layer in one pass: a layer is measured on what the layers before it, already
    mixed, make of the images. With :math:`\\rho = 1` this is AdaBN (Li et al. 2016), in between the mixture of
    Schneider et al. (2020).

    Parameters
    ----------
    net : nn.Module
        Changed in place; ends in eval mode.
    images : torch.Tensor
        (N, 1, Y, X) float32 in [-1, 1], on the device of `net`.
    share : float
        :math:`\\rho` in [0, 1].
    """

    def mix(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        layer.get_buffer("running_mean").lerp_(mean, share)
        layer.get_buffer("running_var").lerp_(variance, share)

    net.eval()
    with ExitStack() as stack:
        for layer in normalisations(net):
            stack.callback(layer.register_forward_pre_hook(mix).remove)
        net(images)


def lower_entropy(net: nn.Module, images: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Take one step down the mean entropy of what `net` says of `images`, along scales and shifts alone.

    .. math:: L = -\\frac{1}{P} \\sum_p \\sum_k q_{pk} \\ln q_{pk}

    over pixels p with probabilities q (TENT, Wang et al. 2021). Unlike there, the statistics of the normalisation stay
    as they are: with those of the batch a pixel would depend on the tile it lies in.

    Parameters
    ----------
    net : nn.Module
        In eval mode; parameters outside of its normalisations get neither gradient nor step.
    images : torch.Tensor
        (N, 1, Y, X) float32 in [-1, 1], on the device of `net`.
    optimizer : torch.optim.Optimizer
        Of ``affine(net)``.

    Returns
    -------
    float
        L before the step, in nats, from 0 to ln K.
    """
    logarithm = net(images).float().log_softmax(dim=1)
    entropy = -(logarithm.exp() * logarithm).sum(dim=1).mean()
    parameters = affine(net)
    for parameter, gradient in zip(parameters, torch.autograd.grad(entropy, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(entropy.detach())


def normalisations(net: nn.Module) -> list[nn.BatchNorm2d]:
    """All batch normalisations of a network, in the order of its modules."""
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


def affine(net: nn.Module) -> list[nn.Parameter]:
    """Scale and shift of all batch normalisations of a network."""
    return list(chain.from_iterable(layer.parameters() for layer in normalisations(net)))
