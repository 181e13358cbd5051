"""One step of CUT or FastCUT: a generator a direction, held to its input by the contrast between patches."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.translate.contest import DIRECTIONS, DOMAINS, WAYS, Contest, Losses, Part
from histobridge.core.translate.generators import (
    discriminator_of,
    generator_of,
    tap_channels,
    taps_of,
    weights_of,
)
from histobridge.core.translate.guarded import LAST
from histobridge.core.translate.losses import least_squares
from histobridge.core.translate.networks import Residual
from histobridge.core.translate.patch_nce import (
    Projection,
    draw_places,
    features_at,
    patch_contrast,
    with_taps,
)
from histobridge.core.translate.resnet import ResidualBlock

PROJECTIONS = tuple(f"projection_{direction}" for direction in DIRECTIONS)


class Contrast(Contest):
    """CUT in training (arXiv 2007.15651): its networks, see `Contest`; the directions share nothing.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device
    """

    def __init__(self, config: TrainTranslatorConfig, device: torch.device):
        settings = config.contrast
        super().__init__(
            config,
            device,
            lambda: (
                {name: generator_of(config) for name in DIRECTIONS}
                | {name: discriminator_of(config) for name in DOMAINS}
                | {name: Projection(tap_channels(config), settings.width, weights_of(config)) for name in PROJECTIONS}
            ),
            {"generators": (*DIRECTIONS, *PROJECTIONS), "discriminators": DOMAINS},
        )
        if config.published:
            self.average_limit = LAST  # as its authors did
        self.taps = taps_of(config)

    def worth_compiling(self) -> Iterable[nn.Module]:
        """Discriminators, and the residual blocks of generators, whose layers are called one by one."""
        blocks = (Residual, ResidualBlock)
        yield from (self.networks[name] for name in DOMAINS)
        yield from (
            layer for name in DIRECTIONS for layer in self.networks[name].children() if isinstance(layer, blocks)
        )

    def draw(self, real: Mapping[Domain, Tensor]) -> Tensor:
        """Where the random numbers stand: every part of a batch is looked at in the same places."""
        return self.random.get_state()

    def make(self, part: Part) -> tuple[Losses, dict[Domain, Tensor]]:
        """Losses ``generator``, ``contrast`` and, where the goal is translated too, ``identity``; and the fakes."""
        self.random.set_state(part.drawn)
        losses: Losses = {}
        fakes: dict[Domain, Tensor] = {}
        for direction, start, goal in WAYS:
            found, fake = self._losses(direction, part.real[start], part.real[goal])
            found["generator"] = least_squares(self.judge(goal, fake), True)
            losses = {name: loss + losses.get(name, 0) for name, loss in found.items()}
            fakes[goal] = fake.detach()
        contrast = losses["contrast"]
        if "identity" in losses:
            contrast = (contrast + losses["identity"]) / 2
        return losses | {"loss": losses["generator"] + self.config.contrast.weight * contrast}, fakes

    def judge_made(self, part: Part, made: dict[Domain, Tensor]) -> Tensor:
        """What the discriminators lose on real images and on fakes."""
        return self.told_apart(part.real, made)

    def _losses(self, direction: Direction, start: Tensor, goal: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Contrasts of one direction, and the fakes; keys come from the pass that makes the fakes where they can."""
        settings, net = self.config.contrast, self.networks[direction]
        real = torch.cat([start, goal]) if settings.identity else start
        mirrored = settings.flip and bool(torch.rand((), generator=self.random, device=self.device) < 0.5)
        with self.autocast():
            made, keys = self.compute(with_taps, net, real.flip(3) if mirrored else real, self.taps)
            queries = self.compute(features_at, net, made, self.taps)
            if mirrored:
                queries = [query.flip(3) for query in queries]
                with torch.no_grad():
                    keys = features_at(net, real, self.taps)
        count = len(start)
        losses = {"contrast": self._contrast(direction, [q[:count] for q in queries], [k[:count] for k in keys])}
        if settings.identity:
            losses["identity"] = self._contrast(direction, [q[count:] for q in queries], [k[count:] for k in keys])
        return losses, made[:count].float()

    def _contrast(self, direction: Direction, queries: list[Tensor], keys: list[Tensor]) -> Tensor:
        """Contrast between what a network finds in its results and in its inputs, at random places."""
        project = self.networks[f"projection_{direction}"]
        places = draw_places(keys, self.config.contrast.patches, self.random)
        with torch.no_grad():
            wanted = project([key.detach().float() for key in keys], places)
        found = project([query.float() for query in queries], places)
        return patch_contrast(found, wanted, self.config.contrast.temperature)
