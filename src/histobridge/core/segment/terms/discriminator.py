"""Small networks that tell labelled from unlabelled, and the games that are played with them."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Game = Literal["bce", "lsgan", "wgan-gp"]
WIDTH = 32
LEAK = 0.2
PENALTY = 10.0
"""Of the squared distance of the gradient's length from 1 (Gulrajani et al. 2017)."""


def build_discriminator(
    channels: int, seed: int, *, strides: tuple[int, int] = (2, 2), spectral_norm: bool = False
) -> nn.Sequential:
    """Make a small fully convolutional network that judges every region of a map.

    Three 4-px (strided) or 3-px convolutions without normalisation, which would mix the two sides of a batch.

    Parameters
    ----------
    channels : int
        Of the maps to judge.
    seed : int
        Of the weights; the global random state is left as it was.
    strides : tuple of int
        Of the first two convolutions.
    spectral_norm : bool
        Divide each weight matrix by its largest singular value (Miyato et al. 2018).

    Returns
    -------
    nn.Sequential
        Maps (N, channels, Y, X) to logits (N, 1, Y', X'), high for labelled.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = (channels, WIDTH, 2 * WIDTH, 1)
        layers: list[nn.Module] = []
        for inside, outside, stride in zip(widths[:-1], widths[1:], (*strides, 1), strict=True):
            convolution = nn.Conv2d(inside, outside, 4 if stride == 2 else 3, stride, padding=1)
            layers += [
                nn.utils.parametrizations.spectral_norm(convolution) if spectral_norm else convolution,
                nn.LeakyReLU(LEAK),
            ]
        return nn.Sequential(*layers[:-1])


def judged_as(game: Game, logits: torch.Tensor, *, labelled: bool) -> torch.Tensor:
    """Loss of whoever wants these maps to be judged labelled, or unlabelled.

    With s = 1 for labelled and 0 for unlabelled: ``bce`` -s log sigma(d) - (1 - s) log(1 - sigma(d)) (Goodfellow et
    al. 2014); ``lsgan`` (d - s)^2 (Mao et al. 2017); ``wgan-gp`` -d for labelled, d for unlabelled (Arjovsky et al.
    2017).

    Parameters
    ----------
    game : {"bce", "lsgan", "wgan-gp"}
    logits : torch.Tensor
        d, any shape.
    labelled : bool
        What they shall be judged as.

    Returns
    -------
    torch.Tensor
        Scalar, the mean.
    """
    if game == "wgan-gp":
        return -logits.mean() if labelled else logits.mean()
    wanted = torch.full_like(logits, float(labelled))
    if game == "lsgan":
        return functional.mse_loss(logits, wanted)
    return functional.binary_cross_entropy_with_logits(logits, wanted)


def discriminator_loss(game: Game, net: nn.Module, labelled: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
    """Loss of the discriminator: it judges the labelled as labelled and the unlabelled as unlabelled.

    Parameters
    ----------
    game : {"bce", "lsgan", "wgan-gp"}
        With ``wgan-gp``, 10 (|gradient| - 1)^2 at random points between the two sides is added.
    net : nn.Module
        The discriminator.
    labelled, unlabelled : torch.Tensor
        (N, C, Y, X) each, without gradient.

    Returns
    -------
    torch.Tensor
        Scalar.
    """
    loss = judged_as(game, net(labelled), labelled=True) + judged_as(game, net(unlabelled), labelled=False)
    return loss + PENALTY * _gradient_penalty(net, labelled, unlabelled) if game == "wgan-gp" else loss


def _gradient_penalty(net: nn.Module, labelled: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
    """Mean of (|gradient of the judgement| - 1)^2 at random points between pairs of both sides."""
    count = min(len(labelled), len(unlabelled))
    share = torch.rand(count, 1, 1, 1).to(labelled.device)
    between = torch.lerp(labelled[:count], unlabelled[:count], share).requires_grad_()
    judgement = net(between).mean(dim=(1, 2, 3)).sum()
    (gradient,) = torch.autograd.grad(judgement, between, create_graph=True)
    length: torch.Tensor = gradient.flatten(1).norm(dim=1)
    return (length - 1).square().mean()
