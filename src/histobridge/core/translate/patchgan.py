"""The discriminator of CycleGAN, CUT and SynDiff, which judges patches of 70 px, plain and anti-aliased."""

from torch import nn

from histobridge.core.translate.norms import instance_norm
from histobridge.core.translate.resnet import Blur, Weights, start_weights


def build_patchgan(
    channels: int = 64,
    layers: int = 3,
    image_channels: int = 1,
    antialiased: bool = False,
    weights: Weights = "normal",
) -> nn.Sequential:
    """PatchGAN: does every patch of an image look real (arXiv 1611.07004)?

    Plain it is MONAI's ``PatchDiscriminator(norm="INSTANCE", bias=True)`` without the list around its result and
    without loading MONAI; that has no anti-aliased form.

    Parameters
    ----------
    channels : int
        Of the first layer; doubled by each further one, at most eight times.
    layers : int
        Halvings; 3 judge patches of 70 px, 2 of 34 px.
    image_channels : int
        Of the images judged.
    antialiased : bool
        Blur before each halving, as CUT (arXiv 2007.15651).
    weights : {"normal", "xavier"}
        See `start_weights`.

    Returns
    -------
    nn.Sequential
        Maps (N, image_channels, Y, X) to logits (N, 1, about Y / 2**layers, about X / 2**layers). 2,762,689 weights.
    """
    stride = 1 if antialiased else 2
    stack: list[nn.Module] = []
    before = image_channels
    for level in range(layers + 1):
        width, last = channels * min(2**level, 8), level == layers
        stack.append(nn.Conv2d(before, width, 4, 1 if last else stride, padding=1))
        if level:
            stack.append(instance_norm(width))
        stack.append(nn.LeakyReLU(0.2, inplace=True))
        if antialiased and not last:
            stack.append(Blur(width))
        before = width
    stack.append(nn.Conv2d(before, 1, 4, 1, padding=1))
    return start_weights(nn.Sequential(*stack), weights)
