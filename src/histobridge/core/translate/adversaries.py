"""One step of CycleGAN training: two generators against two discriminators."""

from typing import Any

import torch
from torch import Tensor

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.contest import Contest
from histobridge.core.translate.generators import discriminator_of, generator_of
from histobridge.core.translate.losses import FakePool, discriminator_loss, least_squares

GENERATORS = ("source_to_target", "target_to_source")
DISCRIMINATORS = ("source", "target")


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
                {name: generator_of(config) for name in GENERATORS}
                | {name: discriminator_of(config) for name in DISCRIMINATORS}
            ),
            {"generators": GENERATORS, "discriminators": DISCRIMINATORS},
        )
        self.pools = {"source": FakePool(seed=config.seed), "target": FakePool(seed=config.seed + 1)}

    def step(self, source: Tensor, target: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Update generators, then discriminators.

        Parameters
        ----------
        source, target : Tensor, (N, 1, Y, X) float32
            Crops of both domains with target looks, in [-1, 1].
        labels : Tensor, optional
            Not used.

        Returns
        -------
        dict
            Losses ``generator``, ``discriminator``, ``cycle``, ``identity``; empty when the step was skipped because
            a loss or gradient was not finite, after which the networks are their running means again.

        Raises
        ------
        ProjectError
            If many steps in a row had to be skipped.
        """
        self.set_learning_rate()
        self.sides["discriminators"].requires_grad_(False)
        parts, fakes = self._generator_losses(source, target)
        weighted = (
            parts["generator"]
            + self.config.cycle_weight * parts["cycle"]
            + self.config.identity_weight * parts["identity"]
        )
        taken = self.update("generators", weighted)
        self.sides["discriminators"].requires_grad_(True)
        if taken:
            parts["discriminator"] = self._discriminator_losses({"source": source, "target": target}, fakes)
            taken = self.update("discriminators", parts["discriminator"])
        self.end_step(taken)
        return {name: part.item() for name, part in parts.items()} if taken else {}

    def _generator_losses(self, source: Tensor, target: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses by name, unweighted and summed over both directions, and the fakes by domain."""
        with self.autocast():
            fake_target, same_target = self._make("source_to_target", source, target)
            fake_source, same_source = self._make("target_to_source", target, source)
            source_again = self.networks["target_to_source"](fake_target)
            target_again = self.networks["source_to_target"](fake_source)
        fooled = least_squares(self.judge("target", fake_target), True) + least_squares(
            self.judge("source", fake_source), True
        )
        cycle = (source_again.float() - source).abs().mean() + (target_again.float() - target).abs().mean()
        identity = (same_target.float() - target).abs().mean() + (same_source.float() - source).abs().mean()
        losses = {"generator": fooled, "cycle": cycle, "identity": identity}
        return losses, {"source": fake_source, "target": fake_target}

    def _make(self, direction: str, start: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Translate images of the start; also of the goal, which shall stay as they are, unless that has no weight."""
        net = self.networks[direction]
        if self.config.identity_weight == 0:
            return net(start), goal
        fake, same = net(torch.cat([start, goal])).chunk(2)
        return fake, same

    def _discriminator_losses(self, real: dict[str, Tensor], fakes: dict[str, Tensor]) -> Tensor:
        total = torch.zeros((), device=self.device)
        for domain, fake in fakes.items():
            judged = self.judge(domain, torch.cat([real[domain], self.pools[domain].swap(fake.float())]))
            total = total + discriminator_loss(*judged.chunk(2))
        return total

    # -- checkpoint ------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors, values = super().state()
        values["pools"] = {}
        for domain, pool in self.pools.items():
            tensors[f"pool/{domain}"], values["pools"][domain] = pool.state()
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError if the weights are of other networks."""
        super().restore(tensors, values)
        for domain, pool in self.pools.items():
            pool.restore(tensors[f"pool/{domain}"].to(self.device), values["pools"][domain])
