"""The networks of BridgeCUT: a generator that knows its step, and a small segmenter."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.group_norm import StepGroupNorm

TINY = 1e-8
SPREAD = 0.02
"""Of the weights at first, as in CUT: what convolutions do does not depend on it, but how fast they turn does."""
STEADY = 2**-0.5
"""What keeps the variance of a sum of two that have variance one."""


class StepConvolution(nn.Module):
    """Reflect-padded convolution, with a gain of each input channel and a bias for each step of a bridge.

    Parameters
    ----------
    channels_in, channels_out : int
    size : int
        Of the kernel, odd.
    stride : int
    steps : int
        N.
    demodulated : bool
        Off: instance norms of each step, to be fixed after training; see `StepGroupNorm`.

    Notes
    -----
    Demodulated, weights w and gains g give w'(o, i, k) = √2 g(i) w(o, i, k) / √(Σ (g(i) w(o, i, k))² + ε), the sum over
    i and k (Karras et al. 2020, arXiv 1912.04958, eq. 1 and 3): what comes out of a ReLU is mapped to about unit
    variance without looking at any image. So a tile gives what the whole image gives there.
    """

    def __init__(
        self, channels_in: int, channels_out: int, size: int, stride: int = 1, steps: int = 1, demodulated: bool = True
    ):
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(SPREAD * torch.randn(channels_out, channels_in, size, size))
        self.gain = nn.Parameter(torch.ones(steps, channels_in))
        self.bias = nn.Parameter(torch.zeros(steps, channels_out))
        self.norm = None if demodulated else StepGroupNorm(channels_out, steps, groups=channels_out)

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Map (N, C, Y, X) at a step to (N, C', Y / stride, X / stride)."""
        weight = self.weight * self.gain[step][:, None, None]
        if self.norm is None:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) / 2 + TINY)
        x = functional.pad(x, (weight.shape[-1] // 2,) * 4, mode="reflect")
        x = functional.conv2d(x, weight, stride=self.stride)
        if self.norm is not None:
            x = self.norm(x, torch.full((len(x),), step, device=x.device))
        found: Tensor = x + self.bias[step][:, None, None].to(x)
        return found


class StepRectified(StepConvolution):
    """The same and a ReLU."""

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Map (N, C, Y, X) at a step to (N, C', Y / stride, X / stride), all 0 or more."""
        return functional.relu(super().forward(x, step))


class StepResidual(nn.Module):
    """Two convolutions around which the input goes unchanged; keeps the variance."""

    def __init__(self, channels: int, steps: int, demodulated: bool):
        super().__init__()
        self.first = StepRectified(channels, channels, 3, steps=steps, demodulated=demodulated)
        self.second = StepConvolution(channels, channels, 3, steps=steps, demodulated=demodulated)

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Add what the convolutions find, (N, C, Y, X)."""
        found: Tensor = self.second(self.first(x, step), step)
        return (x + found) * STEADY


class BridgeGenerator(nn.Module):
    """Predict the end of a bridge from any of its states, anew: nothing of the state goes around the network.

    Parameters
    ----------
    config : TrainTranslatorConfig
        `channels`, `blocks` and `bridge` count.

    Attributes
    ----------
    taps : tuple of int
        Numbers of the features that describe patches: both halvings, the layer before, two residual blocks.
    """

    def __init__(self, config: TrainTranslatorConfig):
        super().__init__()
        width, steps, demodulated = config.channels, config.bridge.steps, config.bridge.demodulated
        shapes = ((1, width, 7, 1), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2))
        layers = [StepRectified(*shape, steps=steps, demodulated=demodulated) for shape in shapes]
        blocks = [StepResidual(4 * width, steps, demodulated) for _ in range(config.blocks)]
        self.inward = nn.ModuleList([*layers, *blocks])
        self.outward = nn.ModuleList(
            StepRectified(count, count // 2, 3, steps=steps, demodulated=demodulated)
            for count in (4 * width, 2 * width)
        )
        self.grey = nn.Conv2d(width, 1, 7, padding=3, padding_mode="reflect")
        nn.init.normal_(self.grey.weight, 0.0, SPREAD)
        nn.init.zeros_(self.grey.bias)  # type: ignore[arg-type]
        self.taps = tuple(sorted({0, 1, 2, 3, 3 + config.blocks // 2}))
        self.tap_channels = tuple(min(2**tap, 4) * width for tap in self.taps)

    def forward(self, x: Tensor, step: int = 0) -> Tensor:
        """Map (N, 1, Y, X) in [-1, 1] to the same shape and range; Y and X multiples of 4."""
        return self.with_features(x, step)[0]

    def with_features(self, x: Tensor, step: int = 0) -> tuple[Tensor, list[Tensor]]:
        """Map as `forward`, and return the features at `taps` too, (N, C, y, x) each."""
        features = self._inward(x, step, len(self.inward))
        inside = features[-1]
        for layer in self.outward:
            inside = layer(functional.interpolate(inside, scale_factor=2.0, mode="nearest"), step)
        end = torch.tanh(self.grey(inside))
        return end, [features[tap] for tap in self.taps]

    def features(self, x: Tensor, step: int = 0) -> list[Tensor]:
        """Features at `taps`, without the rest of the work."""
        features = self._inward(x, step, self.taps[-1] + 1)
        return [features[tap] for tap in self.taps]

    def _inward(self, x: Tensor, step: int, count: int) -> list[Tensor]:
        features = []
        for layer in self.inward[:count]:
            x = layer(x, step)
            features.append(x)
        return features


class SmallSegmenter(nn.Module):
    """Find classes in images of either look, to keep a translation to its labels; of demodulated convolutions.

    Parameters
    ----------
    width : int
        Channels of the first layer.
    classes : int
        K.
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.open = StepRectified(1, width, 5)
        self.halve = StepRectified(width, 2 * width, 3, 2)
        self.quarter = StepRectified(2 * width, 4 * width, 3, 2)
        self.block = StepResidual(4 * width, 1, True)
        self.to_half = StepRectified(4 * width, 2 * width, 3)
        self.to_whole = StepRectified(2 * width, width, 3)
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1, Y, X) in [-1, 1] to logits (N, K, Y, X); Y and X multiples of 4."""
        fine = self.open(x)
        middle = self.halve(fine)
        coarse = self.block(self.quarter(middle))
        middle = (middle + self.to_half(functional.interpolate(coarse, scale_factor=2.0))) * STEADY
        fine = (fine + self.to_whole(functional.interpolate(middle, scale_factor=2.0))) * STEADY
        logits: Tensor = self.logits(fine)
        return logits
