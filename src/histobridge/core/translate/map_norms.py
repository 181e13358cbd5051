"""Instance norms of an image that is translated in tiles: statistics by tile, pooled, or interpolated between tiles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from histobridge.core.translate.base import Window
from histobridge.core.translate.import_config import Spread
from histobridge.core.translate.norms import EPSILON

STRIDE = 4
"""Of the networks, in pixels."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles that divide an image, all of about one size: a sliver at the border would have no statistics to speak of.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the image.
    tile_px : int
        Longest side of a tile, a multiple of `STRIDE`.
    """

    shape: tuple[int, int]
    tile_px: int

    @property
    def counts(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.shape[0] // self.tile_px), -(-self.shape[1] // self.tile_px)

    @property
    def sides(self) -> tuple[int, int]:
        """(Y, X) of a tile, multiples of `STRIDE`; the last of a row or column may be a little smaller."""
        high, wide = (
            -(-size // (count * STRIDE)) * STRIDE for size, count in zip(self.shape, self.counts, strict=True)
        )
        return high, wide

    def window(self, row: int, column: int) -> Window:
        """Pixels of one tile."""
        starts = row * self.sides[0], column * self.sides[1]
        stops = (min(start + side, size) for start, side, size in zip(starts, self.sides, self.shape, strict=True))
        one, other = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
        return one, other


class Moments(NamedTuple):
    """What one layer showed in every tile of an image."""

    means: Tensor
    """(C, rows, columns)."""

    variances: Tensor
    """(C, rows, columns)."""

    counts: Tensor
    """(rows, columns): pixels of the layer; 0 where the tile is empty and says nothing of the tissue."""

    def pooled(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of all pixels, (1, C, 1, 1) each, by the law of total variance."""
        weights = self.counts / self.counts.sum()
        mean = (self.means * weights).sum(dim=(1, 2))
        variance = ((self.variances + (self.means - mean[:, None, None]) ** 2) * weights).sum(dim=(1, 2))
        return mean[None, :, None, None], variance[None, :, None, None]


Statistics = Mapping[str, Moments]
"""By the name of the layer."""


class Place:
    """Where the crop lies that a network looks at, and what its norms shall do; shared by all norms of a network.

    Attributes
    ----------
    crop : tuple of int
        (Y, X) of what the network is given.
    origin : tuple of int
        Its first pixel in the whole image.
    grid : Grid or None
        Tiles of the whole image; none: the crop is the whole image.
    tile : Window or None
        The part of the crop, in pixels of the whole image, of which the statistics are measured.
    spread : {"pooled", "interpolated"} or None
        How measured statistics are used; none: statistics of `tile` or, without one, of the crop.
    """

    def __init__(self) -> None:
        self.crop: tuple[int, int] = (0, 0)
        self.origin: tuple[int, int] = (0, 0)
        self.grid: Grid | None = None
        self.tile: Window | None = None
        self.spread: Spread | None = None


class MapNorm(nn.Module):
    """Instance norm (arXiv 1607.08022) that can use statistics of the whole image that its crop comes from.

    Parameters
    ----------
    place : Place

    Attributes
    ----------
    moments : Moments or None
        Of the image, to normalise by.
    measured : tuple of Tensor
        Mean (C,), variance (C,) and number of pixels of the tile that was just looked at.
    """

    def __init__(self, place: Place):
        super().__init__()
        self.place = place
        self.moments: Moments | None = None
        self.measured: tuple[Tensor, Tensor, int]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (1, C, Y, X)."""
        place = self.place
        if place.tile is not None or place.spread is None:
            own = x[:, :, *self._own(x)]
            variance, mean = torch.var_mean(own, dim=(0, 2, 3), unbiased=False)
            self.measured = mean, variance, own.shape[2] * own.shape[3]
        if place.spread is None or self.moments is None:
            mean, variance = self.measured[0][None, :, None, None], self.measured[1][None, :, None, None]
        elif place.spread == "pooled":
            mean, variance = self.moments.pooled()
        else:
            mean, variance = self._between_tiles(x)
        return (x - mean) * torch.rsqrt(variance + EPSILON)

    def _own(self, x: Tensor) -> Window:
        """The part of a layer that belongs to the tile that is measured; all of it where none is."""
        place = self.place
        if place.tile is None:
            return slice(None), slice(None)
        parts = []
        for part, first, crop, size in zip(place.tile, place.origin, place.crop, x.shape[2:], strict=True):
            stride = crop // size
            parts.append(slice((part.start - first) // stride, -(-(part.stop - first) // stride)))
        return parts[0], parts[1]

    def _between_tiles(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolate between the middles of tiles, beyond the outermost constant; (1, C, Y, X) each."""
        place, moments = self.place, self.moments
        assert place.grid is not None
        assert moments is not None
        axes = []
        spans = (side * count for side, count in zip(place.grid.sides, place.grid.counts, strict=True))
        for first, crop, size, span in zip(place.origin, place.crop, x.shape[2:], spans, strict=True):
            stride = crop // size
            middles = first + (torch.arange(size, device=x.device, dtype=torch.float32) + 0.5) * stride
            axes.append(2 * middles / span - 1)
        rows, columns = torch.meshgrid(*axes, indexing="ij")
        table = torch.cat([moments.means, moments.variances])[None]
        found = functional.grid_sample(
            table,
            torch.stack([columns, rows], dim=-1)[None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        mean, variance = found.chunk(2, dim=1)
        return mean, variance


def with_map_norms(net: nn.Module, place: Place) -> nn.Module:
    """Replace each instance norm in `net`, in place, by a `MapNorm` at `place`."""
    for name, child in net.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(net, name, MapNorm(place))
        else:
            with_map_norms(child, place)
    return net


def norms_of(net: nn.Module) -> dict[str, MapNorm]:
    """Norms of a network by name."""
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, MapNorm)}
