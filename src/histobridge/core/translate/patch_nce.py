"""Contrast between patches (PatchNCE): a patch and its translation lie closer than those of two places."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from histobridge.core.translate.resnet import Weights, start_weights


class Projection(nn.Module):
    """Describes patches by unit vectors, with a small network a layer.

    Parameters
    ----------
    channels : sequence of int
        Of each layer whose features are described.
    width : int
        Length of the vectors. 559,872 weights with 256 and the layers of CUT: 1, 128, 256, 256, 256 channels.
    weights : {"normal", "xavier"}
        See `start_weights`.
    """

    def __init__(self, channels: Sequence[int], width: int = 256, weights: Weights = "xavier"):
        super().__init__()
        self.layers = nn.ModuleList(
            start_weights(nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)), weights)
            for count in channels
        )

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Describe the patches at `places` (P,), numbered row by row, of each (N, C, Y, X): (N, P, width)."""
        described = []
        for layer, feature, place in zip(self.layers, features, places, strict=True):
            patches = feature.flatten(2)[:, :, place].transpose(1, 2)
            described.append(functional.normalize(layer(patches), dim=2))
        return described


def with_taps(net: nn.Module, x: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """Apply a network and keep what some of its layers give.

    Parameters
    ----------
    net : nn.Module
        Its children are applied in turn.
    x : Tensor, (N, 1, Y, X)
    taps : sequence of int
        Numbers of layers, rising.

    Returns
    -------
    Tensor
        Of the last layer.
    list of Tensor
        (N, C, y, x) of each tap.
    """
    kept = []
    for number, layer in enumerate(net.children()):
        x = layer(x)
        if number in taps:
            kept.append(x)
    return x, kept


def features_at(net: nn.Module, x: Tensor, taps: Sequence[int]) -> list[Tensor]:
    """Apply a network up to the last of some layers and return what these give, (N, C, y, x) each."""
    return with_taps(nn.Sequential(*list(net.children())[: max(taps) + 1]), x, taps)[1]


def draw_places(features: Sequence[Tensor], count: int, random: torch.Generator) -> list[Tensor]:
    """Draw at most `count` different places of each of some feature maps (N, C, Y, X), the same for all N."""
    return [
        torch.randperm(feature.shape[2] * feature.shape[3], generator=random, device=random.device)[:count]
        for feature in features
    ]


def patch_contrast(queries: Sequence[Tensor], keys: Sequence[Tensor], temperature: float = 0.07) -> Tensor:
    """Cross-entropy of finding the key of the same place among those of all places of the same image.

    Parameters
    ----------
    queries : sequence of Tensor, (N, P, width)
        Unit vectors of patches of the translation, a tensor a layer.
    keys : sequence of Tensor, (N, P, width)
        Of the same places of the image; gradients do not flow through them.
    temperature : float

    Returns
    -------
    Tensor
        Scalar, mean over layers and patches: the logarithm of P where all patches are alike, 0 where each is found.

    Notes
    -----
    Park, Efros, Zhang and Zhu 2020, arXiv 2007.15651, equations 3 and 4.
    """
    losses = []
    for query, key in zip(queries, keys, strict=True):
        likeness = query @ key.detach().transpose(1, 2) / temperature
        answers = torch.arange(likeness.shape[1], device=likeness.device).expand(likeness.shape[0], -1)
        losses.append(functional.cross_entropy(likeness.flatten(0, 1), answers.flatten()))
    return torch.stack(losses).mean()
