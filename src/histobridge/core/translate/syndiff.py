"""A trained pair of diffusive generators as a translator whose tiles join."""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histobridge.core.config import Direction, TrainTranslatorConfig
from histobridge.core.translate.base import Image, Look, Window
from histobridge.core.translate.card import TranslatorCard
from histobridge.core.translate.diffusion import sample, vp_schedule
from histobridge.core.translate.drawing import Drawing, stream_of
from histobridge.core.translate.group_norm import set_mode
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.ncsnpp import NcsnPlusPlus

KEPT_BYTES = 1 << 26
"""Of the newest tiles: neighbouring windows need the same ones, and each takes a second of a processor."""


class SynDiff(Drawing):
    """Instant translation refined by four steps of diffusion a direction.

    Like `CycleGan`, whose files it shares, it lives in the space of target looks. The plane is covered by tiles of one
    size on one grid, which fade into each other, whatever window is asked for; noise belongs to places. So a window
    equals the same region of the whole translated image to the bit on a CPU, although the network has no bounded reach:
    it attends, and its tiles have borders.

    Parameters
    ----------
    makers : mapping of direction to NcsnPlusPlus
        Predict the clean image of the other domain.
    instant : Instant
    card : TranslatorCard
    """

    def __init__(self, makers: Mapping[Direction, nn.Module], instant: Instant, card: TranslatorCard):
        super().__init__(makers, instant, card)
        self.tile, self.alignment = tiling(card.config)
        self._made: OrderedDict[tuple[int, Direction, tuple[int, int], bytes], Image] = OrderedDict()

    def translate_inside(
        self, image: Image, direction: Direction, look: Look, origin: tuple[int, int], inside: Window
    ) -> Image:
        """Translate a crop of which the pixels `inside` alone are wanted; see `WorksInTiles`."""
        drawn = self.drawn_for(look)
        return self._in_looks(image, direction, look, lambda seen: drawn.generate(seen, direction, origin, inside))

    def generate(
        self,
        image: Image,
        direction: Direction,
        origin: tuple[int, int] = (0, 0),
        inside: Window | None = None,
    ) -> Image:
        """Apply one generator to (Y, X) with target looks, tile by tile; only to tiles that touch what is wanted.

        Only where all tiles that touch a pixel lie in `image` is the result that of the whole image.
        """
        counts = [max(0, -(-(size - self.tile) // self.alignment)) + 1 for size in image.shape]
        sizes = [(count - 1) * self.alignment + self.tile for count in counts]
        missing = [(0, size - now) for size, now in zip(sizes, image.shape, strict=True)]
        padded = np.pad(image, missing, mode="reflect")
        total, weights = np.zeros(sizes, np.float32), np.zeros(sizes, np.float32)
        fade = _fade(self.tile, self.tile - self.alignment)
        inside = inside or (slice(0, sizes[0]), slice(0, sizes[1]))
        rows, columns = (
            [start for start in range(0, size - self.tile + 1, self.alignment) if _touches(start, self.tile, wanted)]
            for size, wanted in zip(sizes, inside, strict=True)
        )
        for y in rows:
            for x in columns:
                part = slice(y, y + self.tile), slice(x, x + self.tile)
                total[part] += fade * self._once(padded[part], direction, (origin[0] + y, origin[1] + x))
                weights[part] += fade
        made: Image = np.divide(total, weights, out=total, where=weights > 0)
        return made[: image.shape[0], : image.shape[1]]

    def _once(self, source: Image, direction: Direction, origin: tuple[int, int]) -> Image:
        """Translate one tile, or take what was made of the same pixels at the same place."""
        key = (self.noise.seed, direction, origin, sha256(source.tobytes()).digest())
        if key not in self._made:
            made = self._tile(source, direction, origin)
            while len(self._made) >= max(1, KEPT_BYTES // made.nbytes):
                self._made.popitem(last=False)
            self._made[key] = made
        self._made.move_to_end(key)
        return self._made[key]

    @torch.no_grad()
    def _tile(self, source: Image, direction: Direction, origin: tuple[int, int]) -> Image:
        """Translate one tile whose first pixel is at `origin`."""
        net = self.generators[direction]
        assert isinstance(net, NcsnPlusPlus)
        settings, device = net.settings, net.open.weight.device
        steps = settings.diffusion_steps

        def drawn(numbers: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(numbers.copy()).to(device)[None]

        x = sample(
            net,
            vp_schedule(steps, device),
            torch.from_numpy(np.ascontiguousarray(source, np.float32)).to(device)[None, None],
            lambda step: drawn(self.noise.window(stream_of(direction, step, steps), origin, source.shape))[None],
            lambda step: drawn(self.noise.latent(stream_of(direction, step, steps), settings.latent)),
        )
        tile: Image = x[0, 0].clamp(-1, 1).cpu().numpy()
        return tile

    @staticmethod
    def empty(card: TranslatorCard) -> nn.Module:
        """Generator of the shape that a card tells, its weights to be read."""
        net = NcsnPlusPlus(card.config.syndiff)
        set_mode(net, "fixed" if card.config.syndiff.fixed_statistics else "live")
        return net


def tiling(config: TrainTranslatorConfig) -> tuple[int, int]:
    """Side of the tiles, and the step from one to the next, in pixels: multiples of the coarsest pixel."""
    coarsest = 2 ** (len(config.syndiff.multipliers) - 1)
    tile = -(-(config.syndiff.tile_px or config.crop_px) // coarsest) * coarsest
    overlap = round(tile * config.syndiff.tile_overlap / coarsest) * coarsest
    return tile, tile - overlap


def halo_of_tiles(config: TrainTranslatorConfig) -> int:
    """Pixels to read around a window to have all tiles that touch it, as a multiple of their step."""
    tile, step = tiling(config)
    return -(-(tile - step) // step) * step


def _touches(start: int, tile: int, wanted: slice) -> bool:
    return bool(start < wanted.stop and wanted.start < start + tile)


def _fade(tile: int, overlap: int) -> NDArray[np.float32]:
    """Weight of each pixel of a tile, (tile, tile): 1 inside, falling linearly over the overlap."""
    line = np.minimum(1, (np.arange(tile) + 0.5) / overlap) if overlap else np.ones(tile)
    line = np.minimum(line, line[::-1])
    return np.outer(line, line).astype(np.float32)


@torch.no_grad()
def fix_statistics(net: NcsnPlusPlus, sources: Tensor, random: torch.Generator) -> None:
    """Fix the statistics of every norm of `net`, in place, at what it meets when it translates `sources`.

    Each step has its own: the same layer sees noise first and an image last. Layers are measured behind those already
    fixed, and steps behind those already fixed.

    Parameters
    ----------
    net : NcsnPlusPlus
        Trained with the statistics of each image.
    sources : Tensor, (N, 1, Y, X)
        Crops to be translated, on the network's device.
    random : torch.Generator
        For noise and latents, on the same device.
    """
    settings = net.settings
    set_mode(net.eval(), "measuring")
    try:
        sample(
            net,
            vp_schedule(settings.diffusion_steps, sources.device),
            sources,
            lambda step: torch.randn(sources.shape, generator=random, device=sources.device),
            lambda step: torch.randn(len(sources), settings.latent, generator=random, device=sources.device),
        )
    finally:
        set_mode(net, "fixed")
