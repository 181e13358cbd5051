"""How far probability maps are apart, pixel by pixel."""

from collections.abc import Sequence

import torch

SMALLEST = 1e-8


def squared_difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Mean over the classes of the squared difference of two maps (N, K, Y, X); returns (N, Y, X)."""
    return (one - other).square().mean(dim=1)


def entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """``H(p) = -sum_k p_k ln p_k`` of a map (N, K, Y, X); returns (N, Y, X) in [0, ln K]."""
    return -(probabilities * probabilities.clamp_min(SMALLEST).log()).sum(dim=1)


def divergence(views: Sequence[torch.Tensor]) -> torch.Tensor:
    """Jensen-Shannon divergence of V maps.

    ``H(mean of the views) - mean of H(view)``.

    Parameters
    ----------
    views : sequence of torch.Tensor
        (N, K, Y, X) each.

    Returns
    -------
    torch.Tensor
        (N, Y, X) in [0, ln V].
    """
    stacked = torch.stack(tuple(views))
    return entropy(stacked.mean(dim=0)) - torch.stack([entropy(view) for view in stacked]).mean(dim=0)
