"""One step of CycleGAN training: two generators against two discriminators."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.translate import crew
from histobridge.core.translate.contest import DIRECTIONS, DOMAINS, Contest, Losses, Part
from histobridge.core.translate.generators import discriminator_of, generator_of
from histobridge.core.translate.guarded import LAST
from histobridge.core.translate.losses import FakePool, least_squares


class Adversaries(Contest):
    """CycleGAN in training: its networks, see `Contest`, and the pools of earlier fakes.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device
    """

    def __init__(self, config: TrainTranslatorConfig, device: torch.device):
        super().__init__(
            config,
            device,
            lambda: (
                {name: generator_of(config) for name in DIRECTIONS}
                | {name: discriminator_of(config) for name in DOMAINS}
            ),
            {"generators": DIRECTIONS, "discriminators": DOMAINS},
        )
        if config.published:
            self.average_limit = LAST  # as its authors did
        self.pools: dict[Domain, FakePool] = {"source": FakePool(seed=config.seed)}
        self.pools["target"] = FakePool(seed=config.seed + 1)

    def make(self, part: Part) -> tuple[Losses, dict[Domain, Tensor]]:
        """Losses ``generator``, ``cycle`` and ``identity``, and the fakes by domain."""
        source, target = part.real["source"], part.real["target"]
        with self.autocast():
            fake_target, same_target = self._make("source_to_target", source, target)
            fake_source, same_source = self._make("target_to_source", target, source)
            source_again = self.compute(self.networks["target_to_source"], fake_target)
            target_again = self.compute(self.networks["source_to_target"], fake_source)
        fooled = least_squares(self.judge("target", fake_target), True) + least_squares(
            self.judge("source", fake_source), True
        )
        cycle = (source_again.float() - source).abs().mean() + (target_again.float() - target).abs().mean()
        identity = (same_target.float() - target).abs().mean() + (same_source.float() - source).abs().mean()
        weighted = fooled + self.config.cycle_weight * cycle + self.config.identity_weight * identity
        losses = {"loss": weighted, "generator": fooled, "cycle": cycle, "identity": identity}
        return losses, {"source": fake_source.detach().float(), "target": fake_target.detach().float()}

    def _make(self, direction: str, start: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Translate images of the start; also of the goal, which shall stay as they are, unless that has no weight."""
        net = self.networks[direction]
        if self.config.identity_weight == 0:
            return self.compute(net, start), goal
        fake, same = self.compute(net, torch.cat([start, goal])).chunk(2)
        return fake, same

    def learn_to_judge(self, parts: Sequence[Part], made: Sequence[dict[Domain, Tensor]], said: Losses) -> bool:
        """Update the discriminators by real images, and by fakes of now and before; say whether."""
        shown: list[dict[Domain, Tensor]] = [{} for _ in parts]
        for domain, pool in self.pools.items():
            fakes = crew.whole(torch.cat([fakes[domain] for fakes in made]))
            mine = pool.swap(fakes).chunk(crew.size())[crew.rank()]
            for of_part, kept in zip(shown, mine.split([len(fakes[domain]) for fakes in made]), strict=True):
                of_part[domain] = kept
        return super().learn_to_judge(parts, shown, said)

    def judge_made(self, part: Part, made: dict[Domain, Tensor]) -> Tensor:
        """What the discriminators lose on real images and on fakes."""
        return self.told_apart(part.real, made)

    # -- checkpoint ------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors, values = super().state()
        values["pools"] = {}
        for domain, pool in self.pools.items():
            tensors[f"pool/{domain}"], values["pools"][domain] = pool.state()
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError or KeyError if the weights are of other networks."""
        super().restore(tensors, values)
        for domain, pool in self.pools.items():
            fakes = tensors[f"pool/{domain}"].to(self.device)
            if fakes.shape[-1] != self.config.crop_px:  # Of before crops became smaller, as memory was short.
                fakes = fakes[:0]
            pool.restore(fakes, values["pools"][domain])
