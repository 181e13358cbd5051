"""One step of CUT or FastCUT: a generator a direction, held to its input by the contrast between patches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.translate import crew
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


class Drawn(NamedTuple):
    """What is drawn for a batch."""

    mirrored: dict[Direction, bool]
    """Whether images are translated mirrored, as FastCUT does now and then."""

    random: Tensor
    """Where the random numbers stand: every part of a batch is looked at in the same places."""


class Contrast(Contest):
    """CUT in training (arXiv 2007.15651): its networks, see `Contest`; the directions share nothing.

    As published, discriminators are updated before generators, which are then judged by the new ones.

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
        self._ahead: tuple[Losses, dict[Domain, Tensor]] | None = None

    def worth_compiling(self) -> Iterable[nn.Module]:
        """Discriminators, and the residual blocks of generators, whose layers are called one by one."""
        blocks = (Residual, ResidualBlock)
        yield from (self.networks[name] for name in DOMAINS)
        yield from (
            layer for name in DIRECTIONS for layer in self.networks[name].children() if isinstance(layer, blocks)
        )

    def draw(self, real: Mapping[Domain, Tensor]) -> Drawn:
        """Draw for each direction whether images are mirrored."""
        mirrored = dict.fromkeys(DIRECTIONS, False)
        if self.config.contrast.flip:
            drawn = torch.rand(len(DIRECTIONS), generator=self.random, device=self.device) < 0.5
            mirrored = dict(zip(DIRECTIONS, drawn.tolist(), strict=True))
        return Drawn(mirrored, self.random.get_state())

    def learn(self, parts: Sequence[Part], said: Losses) -> bool:
        """Update generators first; as published, discriminators first, by the same images."""
        if not self.config.published:
            return super().learn(parts, said)
        if len(parts) == 1 and crew.size() == 1:
            # What generators learn from later is kept meanwhile; of several parts that would be too much.
            self._ahead = self._translated(parts[0])
            made = [{domain: fake.detach() for domain, fake in self._ahead[1].items()}]
        else:
            with torch.no_grad():
                made = [self._fakes(part) for part in parts]
        try:
            return self.learn_to_judge(parts, made, said) and self.learn_to_make(parts, said)[0]
        finally:
            self._ahead = None

    def _fakes(self, part: Part) -> dict[Domain, Tensor]:
        """Translate, as `make` does, and do nothing more."""
        fakes: dict[Domain, Tensor] = {}
        for direction, start, goal in WAYS:
            real = part.real[start].flip(3) if part.drawn.mirrored[direction] else part.real[start]
            with self.autocast():
                fakes[goal] = self.compute(self.networks[direction], real).float()
        return fakes

    def make(self, part: Part) -> tuple[Losses, dict[Domain, Tensor]]:
        """Losses ``generator``, ``contrast`` and, where the goal is translated too, ``identity``; and the fakes."""
        losses, fakes = self._ahead or self._translated(part)
        fooled = [least_squares(self.judge(goal, fake), True) for goal, fake in fakes.items()]
        contrast = losses["contrast"]
        if "identity" in losses:
            contrast = (contrast + losses["identity"]) / 2
        losses = losses | {"generator": torch.stack(fooled).sum()}
        total = losses["generator"] + self.config.contrast.weight * contrast
        return losses | {"loss": total}, {domain: fake.detach() for domain, fake in fakes.items()}

    def _translated(self, part: Part) -> tuple[Losses, dict[Domain, Tensor]]:
        """Contrasts of both directions, and the fakes."""
        self.random.set_state(part.drawn.random)
        losses: Losses = {}
        fakes: dict[Domain, Tensor] = {}
        for direction, start, goal in WAYS:
            found, fakes[goal] = self._losses(direction, part, (start, goal))
            losses = {name: loss + losses.get(name, 0) for name, loss in found.items()}
        return losses, fakes

    def judge_made(self, part: Part, made: dict[Domain, Tensor]) -> Tensor:
        """What the discriminators lose on real images and on fakes."""
        return self.told_apart(part.real, made)

    def _losses(self, direction: Direction, part: Part, ends: tuple[Domain, Domain]) -> tuple[Losses, Tensor]:
        """Contrasts of one direction, and the fakes; keys come from the pass that makes the fakes where they can."""
        settings, net = self.config.contrast, self.networks[direction]
        start, goal = (part.real[domain] for domain in ends)
        real = torch.cat([start, goal]) if settings.identity else start
        mirrored = part.drawn.mirrored[direction]
        with self.autocast():
            made, keys = self.compute(with_taps, net, real.flip(3) if mirrored else real, self.taps)
            queries = self.compute(features_at, net, made, self.taps)
            if mirrored:
                queries = [query.flip(3) for query in queries]
                with torch.no_grad():
                    keys = features_at(net, real, self.taps)
        count = len(start)
        losses: Losses = {
            "contrast": self._contrast(direction, [q[:count] for q in queries], [k[:count] for k in keys])
        }
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
