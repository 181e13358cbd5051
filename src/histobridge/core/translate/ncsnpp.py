"""NCSN++, the generator of the diffusion: a U-Net that knows the time and a random latent."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from histobridge.core.translate.diffusion_layers import (
    HalvingConvolution,
    convolution,
    double,
    halve,
    linear,
    time_waves,
)
from histobridge.core.translate.group_norm import StepGroupNorm
from histobridge.core.translate.syndiff_settings import SynDiffSettings

ROOT_HALF = 1 / math.sqrt(2)


class Known(NamedTuple):
    """What every layer is told beside the image."""

    time: Tensor
    """(N, 4 width), of the time."""

    latent: Tensor
    """(N, latent_width), of the random latent."""

    step: Tensor
    """(N,) int64, t itself."""


class StyledNorm(nn.Module):
    """Group normalisation with scale and offset from the latent (AdaGN); at first about 1 and 0.

    Parameters
    ----------
    channels : int
    settings : SynDiffSettings
    """

    def __init__(self, channels: int, settings: SynDiffSettings):
        super().__init__()
        self.norm = StepGroupNorm(channels, settings.diffusion_steps)
        self.style = linear(settings.latent_width, 2 * channels)
        nn.init.ones_(self.style.bias[:channels])

    def forward(self, x: Tensor, known: Known) -> Tensor:
        """Normalise and style (N, C, Y, X)."""
        scale, offset = self.style(known.latent)[:, :, None, None].chunk(2, dim=1)
        styled: Tensor = scale * self.norm(x, known.step) + offset
        return styled


class PlainNorm(nn.Module):
    """Group normalisation with a learned scale and offset a channel.

    Parameters
    ----------
    channels : int
    settings : SynDiffSettings
    """

    def __init__(self, channels: int, settings: SynDiffSettings):
        super().__init__()
        self.norm = StepGroupNorm(channels, settings.diffusion_steps)
        self.scale = nn.Parameter(torch.ones(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Normalise (N, C, Y, X)."""
        scaled: Tensor = self.scale[:, None, None] * self.norm(x, step) + self.offset[:, None, None]
        return scaled


class Block(nn.Module):
    """Residual block of BigGAN as in NCSN++ (arXiv 2011.13456, appendix H): resampled, told the time, rescaled.

    Parameters
    ----------
    channels_in, channels_out : int
    settings : SynDiffSettings
    resample : {"", "halve", "double"}
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        settings: SynDiffSettings,
        resample: Literal["", "halve", "double"] = "",
    ):
        super().__init__()
        self.resample = {"": None, "halve": halve, "double": double}[resample]
        self.first = StyledNorm(channels_in, settings)
        self.open = convolution(channels_in, channels_out)
        self.time = linear(4 * settings.width, channels_out)
        self.second = StyledNorm(channels_out, settings)
        self.close = convolution(channels_out, channels_out, scale=0)
        straight = channels_in == channels_out and not resample
        self.around = nn.Identity() if straight else convolution(channels_in, channels_out, 1)

    def forward(self, x: Tensor, known: Known) -> Tensor:
        """Map (N, C, Y, X) to (N, C', Y', X')."""
        h = functional.silu(self.first(x, known))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = self.open(h) + self.time(functional.silu(known.time))[:, :, None, None]
        h = self.close(functional.silu(self.second(h, known)))
        joined: Tensor = self.around(x) + h
        return joined * ROOT_HALF


class Attention(nn.Module):
    """Every place looks at every other, around which the input goes unchanged.

    Parameters
    ----------
    channels : int
    settings : SynDiffSettings
    """

    def __init__(self, channels: int, settings: SynDiffSettings):
        super().__init__()
        self.norm = PlainNorm(channels, settings)
        self.query, self.key, self.value = (linear(channels, channels, 0.1) for _ in range(3))
        self.close = linear(channels, channels, 0)

    def forward(self, x: Tensor, known: Known) -> Tensor:
        """Map (N, C, Y, X) to the same shape."""
        places = self.norm(x, known.step).flatten(2).transpose(1, 2)[:, None]
        seen = functional.scaled_dot_product_attention(self.query(places), self.key(places), self.value(places))
        h: Tensor = self.close(seen)[:, 0].transpose(1, 2).reshape(x.shape)
        return (x + h) * ROOT_HALF


class Stage(nn.Module):
    """A residual block, and perhaps attention behind it.

    Attributes
    ----------
    resamples : bool
        Whether the block halves or doubles the resolution.
    """

    def __init__(self, block: Block, attention: Attention | None = None):
        super().__init__()
        self.resamples = block.resample is not None
        self.block = block
        self.attention = attention

    def forward(self, x: Tensor, known: Known) -> Tensor:
        """Map (N, C, Y, X) to (N, C', Y', X')."""
        h: Tensor = self.block(x, known)
        return h if self.attention is None else self.attention(h, known)


class NcsnPlusPlus(nn.Module):
    """NCSN++ (arXiv 2011.13456) with a latent that styles every norm, as in denoising diffusion GANs (2112.07804).

    FIR resampling by [1, 3, 3, 1], the input again at every resolution, sums divided by √2, and tanh at
    the end. Where it attends is told by level, so it takes images of any size.

    Parameters
    ----------
    settings : SynDiffSettings
        39,725,250 weights as published: width 64, multipliers 1 1 2 2 4 4, two blocks, a spare output.
    """

    def __init__(self, settings: SynDiffSettings):
        super().__init__()
        width, size = settings.width, settings.latent_width
        self.settings = settings
        self.time = nn.Sequential(linear(width, 4 * width), nn.SiLU(), linear(4 * width, 4 * width))
        self.open = convolution(2, width)
        self.down, self.again = nn.ModuleList(), nn.ModuleList()
        self.middle, self.up = nn.ModuleList(), nn.ModuleList()
        kept = self._add_down()
        self._add_middle(kept[-1])
        self._add_up(kept)
        self.norm = PlainNorm(width * settings.multipliers[0], settings)
        self.close = convolution(width * settings.multipliers[0], 1 + settings.spare_output, scale=0)
        self.latent = nn.Sequential(linear(settings.latent, size), nn.SiLU())
        for _ in range(settings.latent_layers):
            self.latent += nn.Sequential(linear(size, size), nn.SiLU())

    def _add_down(self) -> list[int]:
        """Build the way down; return channels of all that is kept for the way up."""
        settings, now, shown = self.settings, self.settings.width, 2
        kept = [now]
        for level, multiple in enumerate(settings.multipliers):
            for _ in range(settings.residual_blocks):
                block = Block(now, settings.width * multiple, settings)
                now = settings.width * multiple
                self.down.append(Stage(block, self._attention(level, now)))
                kept.append(now)
            if level < len(settings.multipliers) - 1:
                self.down.append(Stage(Block(now, now, settings, "halve")))
                self.again.append(HalvingConvolution(shown, now))
                kept.append(now)
                shown = now
        return kept

    def _add_middle(self, channels: int) -> None:
        attention = Attention(channels, self.settings) if self.settings.middle_attention else None
        self.middle.append(Stage(Block(channels, channels, self.settings), attention))
        self.middle.append(Stage(Block(channels, channels, self.settings)))

    def _add_up(self, kept: list[int]) -> None:
        settings, now = self.settings, kept[-1]
        for level, multiple in reversed(list(enumerate(settings.multipliers))):
            for place in range(settings.residual_blocks + 1):
                block = Block(now + kept.pop(), settings.width * multiple, settings)
                now = settings.width * multiple
                last = place == settings.residual_blocks
                self.up.append(Stage(block, self._attention(level, now) if last else None))
            if level:
                self.up.append(Stage(Block(now, now, settings, "double")))

    def _attention(self, level: int, channels: int) -> Attention | None:
        return Attention(channels, self.settings) if level in self.settings.attention_levels else None

    def forward(self, noisy: Tensor, source: Tensor, step: Tensor, latent: Tensor) -> Tensor:
        """Predict clean images.

        Parameters
        ----------
        noisy : Tensor, (N, 1, Y, X)
            x_(t + 1); Y and X multiples of 2 ** (resolutions - 1).
        source : Tensor, (N, 1, Y, X)
            The same places in the other domain, in [-1, 1].
        step : Tensor, (N,) int64
            t.
        latent : Tensor, (N, latent)
            Standard normal.

        Returns
        -------
        Tensor, (N, 1, Y, X) float32
            In [-1, 1].
        """
        unit = latent * torch.rsqrt(latent.square().mean(dim=1, keepdim=True) + 1e-8)
        known = Known(self.time(time_waves(step, self.settings.width)), self.latent(unit), step)
        shown = torch.cat([noisy, source], dim=1)
        h = self.open(shown)
        kept, again = [h], iter(self.again)
        for stage in self.down:
            h = self._run(stage, h, known)
            if stage.resamples:
                shown = h = (next(again)(shown) + h) * ROOT_HALF
            kept.append(h)
        for stage in self.middle:
            h = self._run(stage, h, known)
        for stage in self.up:
            if not stage.resamples:
                h = torch.cat([h, kept.pop()], dim=1)
            h = self._run(stage, h, known)
        h = self.close(functional.silu(self.norm(h, step)))[:, :1].float()
        return torch.tanh(h)

    def _run(self, stage: nn.Module, x: Tensor, known: Known) -> Tensor:
        """Apply a stage, not keeping its insides for the gradient where memory is short."""
        if self.settings.recompute and self.training and torch.is_grad_enabled():
            h: Tensor = checkpoint(stage, x, known, use_reentrant=False)
            return h
        h = stage(x, known)
        return h
