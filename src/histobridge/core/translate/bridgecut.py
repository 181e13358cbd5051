"""A trained pair of bridges as a translator whose tiles join."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from histobridge.core.config import Direction, TrainTranslatorConfig
from histobridge.core.translate.bridge import bridge_times, walk
from histobridge.core.translate.bridge_networks import BridgeGenerator
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.card import TranslatorCard
from histobridge.core.translate.drawing import Drawing, stream_of
from histobridge.core.translate.group_norm import set_mode
from histobridge.core.translate.networks import halo_of


class BridgeCut(Drawing):
    """Instant translation refined by a bridge of one to three steps a direction; see `Drawing`.

    Noise on the way belongs to places of the mosaic, and every step looks only so far, so tiles join exactly.
    """

    def apply(self, x: Tensor, direction: Direction, origin: tuple[int, int]) -> Tensor:
        """Walk one bridge from (1, 1, Y, X) whose first pixel is at `origin`."""

        steps = self.card.config.bridge.steps

        def noise(step: int) -> Tensor:
            stream = stream_of(direction, step, steps)
            window = self.noise.window(stream, origin, (x.shape[2], x.shape[3]))
            return torch.from_numpy(window.copy()).to(x)[None, None]

        return cross(self.generators[direction], x, self.card.config.bridge, noise).clamp(-1, 1)

    @staticmethod
    def empty(card: TranslatorCard) -> nn.Module:
        """Generator of the shape that a card tells, its weights to be read."""
        net = BridgeGenerator(card.config)
        set_mode(net, "fixed")
        return net


def cross(
    net: Callable[[Tensor, int], Tensor], x: Tensor, settings: BridgeSettings, noise: Callable[[int], Tensor]
) -> Tensor:
    """Go from images (N, 1, Y, X) to the end of the bridge; for `noise` see `walk`."""
    last = settings.steps - 1
    state = walk(net, x, last, bridge_times(settings.steps), settings.noise, noise)
    return net(state, last)


def halo_of_bridge(config: TrainTranslatorConfig) -> int:
    """Pixels to read around a window: the reach of the network, once for each step."""
    return config.bridge.steps * halo_of(config.blocks)


@torch.no_grad()
def fix_statistics(net: BridgeGenerator, images: Tensor, settings: BridgeSettings, seed: int) -> None:
    """Fix the statistics of every norm of `net`, in place, at what it meets when it translates `images`.

    Parameters
    ----------
    net : BridgeGenerator
        Trained with the statistics of each image.
    images : Tensor, (N, 1, Y, X)
        Crops to be translated, on the network's device.
    settings : BridgeSettings
    seed : int
        Of the noise on the way.
    """
    random = torch.Generator(images.device).manual_seed(seed)
    set_mode(net.eval(), "measuring")
    try:
        cross(net, images, settings, lambda _: torch.randn(images.shape, generator=random, device=images.device))
    finally:
        set_mode(net, "fixed")
