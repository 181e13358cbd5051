"""Group normalisation whose statistics can be fixed, one set for each step of a diffusion."""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


class StepGroupNorm(nn.Module):
    """Group normalisation without weights.

    Parameters
    ----------
    channels : int
        A multiple of `groups` where that is given.
    steps : int
        T, steps of the diffusion or bridge.
    groups : int, optional
        None: at most 32 groups of at least four channels, all of the same number; as many as channels: instance
        normalisation.

    Attributes
    ----------
    mode : {"live", "measuring", "fixed"}
        Statistics of each image; those of the next batch, kept for its step; those kept.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, steps: int, groups: int | None = None):
        super().__init__()
        self.mode = "live"
        self.groups = groups or next(n for n in range(min(max(channels // 4, 1), 32), 0, -1) if channels % n == 0)
        self.register_buffer("mean", torch.zeros(steps, self.groups))
        self.register_buffer("variance", torch.ones(steps, self.groups))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Normalise (N, C, Y, X), each image by what belongs to its step (N,)."""
        if self.mode == "live":
            return functional.group_norm(x, self.groups, eps=EPSILON)
        grouped = x.unflatten(1, (self.groups, -1)).float()
        if self.mode == "measuring":
            means = grouped.mean(dim=(2, 3, 4))
            variances = grouped.var(dim=(2, 3, 4), unbiased=False)
            self.mean[step[0]] = means.mean(dim=0)
            self.variance[step[0]] = variances.mean(dim=0) + means.var(dim=0, unbiased=False)
        mean, variance = (table[step][:, :, None, None, None] for table in (self.mean, self.variance))
        normal: Tensor = (grouped - mean) * torch.rsqrt(variance + EPSILON)
        return normal.flatten(1, 2).to(x.dtype)


def set_mode(net: nn.Module, mode: str) -> None:
    """Put every `StepGroupNorm` of `net` into ``live``, ``measuring`` or ``fixed`` mode."""
    for layer in net.modules():
        if isinstance(layer, StepGroupNorm):
            layer.mode = mode
