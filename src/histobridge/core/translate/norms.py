"""Instance normalisation for training, fixed statistics afterwards, so that tiles join exactly."""

import torch
from torch import Tensor, nn

EPSILON = 1e-5


def instance_norm(channels: int) -> nn.InstanceNorm2d:
    """Normalisation by the statistics of each image, as trained with."""
    return nn.InstanceNorm2d(channels, eps=EPSILON)


class FixedNorm(nn.Module):
    """Normalisation by fixed statistics per channel.

    Parameters
    ----------
    channels : int

    Attributes
    ----------
    calibrating : bool
        Take the statistics of the next batch: mean of the means, mean of the variances plus variance of the means.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.calibrating = False
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("variance", torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, Y, X)."""
        if self.calibrating:
            means = x.mean(dim=(2, 3), keepdim=True)
            variances = x.var(dim=(2, 3), keepdim=True, unbiased=False)
            self.mean.copy_(means.mean(dim=0))
            self.variance.copy_(variances.mean(dim=0) + means.var(dim=0, unbiased=False))
        return (x - self.mean) * torch.rsqrt(self.variance + EPSILON)


def with_fixed_norms(net: nn.Module) -> nn.Module:
    """Replace each instance norm in `net`, in place, by a fixed one that still has to learn its statistics."""
    for name, child in net.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(net, name, FixedNorm(child.num_features))
        else:
            with_fixed_norms(child)
    return net


@torch.no_grad()
def freeze_norms(net: nn.Module, crops: Tensor) -> nn.Module:
    """Fix the statistics of every instance norm of `net`, in place, at what `crops` show there.

    One pass: each layer is fixed before the next sees the crops, so every layer is measured on the input that it will
    get from then on.

    Parameters
    ----------
    net : nn.Module
        Trained with instance norms.
    crops : Tensor, (N, 1, Y, X) float32
        Some forty crops of the training images, in [-1, 1], on the network's device.

    Returns
    -------
    nn.Module
        `net`, in eval mode.
    """
    fixed = [layer for layer in with_fixed_norms(net).modules() if isinstance(layer, FixedNorm)]
    for layer in fixed:
        layer.calibrating = True
    try:
        net.to(crops.device).eval()(crops)
    finally:
        for layer in fixed:
            layer.calibrating = False
    return net
