"""One step of CycleGAN training: two generators against two discriminators."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from histobridge.core.checkpoint import optimizer_tensors, part, prefixed, restore_optimizer
from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.errors import ProjectError
from histobridge.core.translate.card import card_of
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.losses import FakePool, average_weight, discriminator_loss, least_squares
from histobridge.core.translate.networks import build_discriminator, build_generator, halo_of
from histobridge.core.translate.norms import freeze_norms

AVERAGE_LIMIT = 0.999
MOST_SKIPPED = 20


class Adversaries:
    """Networks, running means, optimizers and pools of one training.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device

    Attributes
    ----------
    networks : nn.ModuleDict
        Generators ``source_to_target`` and ``target_to_source``; discriminators ``source`` and ``target``.
    average : nn.ModuleDict
        Running means of their weights; its generators are what is used in the end.
    steps_done : int
        Steps taken or skipped.
    """

    def __init__(self, config: TrainTranslatorConfig, device: torch.device):
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.networks = nn.ModuleDict(
                {
                    "source_to_target": build_generator(config.channels, config.blocks),
                    "target_to_source": build_generator(config.channels, config.blocks),
                    "source": build_discriminator(config.channels),
                    "target": build_discriminator(config.channels),
                }
            ).to(device)
        self.average = deepcopy(self.networks).requires_grad_(False).eval()
        self._generators = nn.ModuleList([self.networks[name] for name in ("source_to_target", "target_to_source")])
        self._discriminators = nn.ModuleList([self.networks[name] for name in ("source", "target")])
        self.optimizers = {
            "generators": _adam(self._generators, config),
            "discriminators": _adam(self._discriminators, config),
        }
        self.pools = {"source": FakePool(seed=config.seed), "target": FakePool(seed=config.seed + 1)}
        self.steps_done = 0
        self._skipped = 0

    def translator(self, instant: Instant, calibration: Mapping[Domain, Tensor] | None = None) -> CycleGan:
        """Copy the averaged generators into a translator; see `Learner.translator`."""
        directions: tuple[Direction, ...] = ("source_to_target", "target_to_source")
        generators = {direction: deepcopy(self.average[direction]) for direction in directions}
        if calibration is not None:
            freeze_norms(generators["source_to_target"], calibration["source"])
            freeze_norms(generators["target_to_source"], calibration["target"])
        return CycleGan(generators, instant, card_of(self.config, instant, halo_of(self.config.blocks)))

    def step(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Update generators, then discriminators.

        Parameters
        ----------
        source, target : Tensor, (N, 1, Y, X) float32
            Crops of both domains with target looks, in [-1, 1].

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
        self._set_learning_rate()
        self._discriminators.requires_grad_(False)
        parts, fakes = self._generator_losses(source, target)
        weighted = (
            parts["generator"]
            + self.config.cycle_weight * parts["cycle"]
            + self.config.identity_weight * parts["identity"]
        )
        taken = self._update("generators", weighted)
        self._discriminators.requires_grad_(True)
        if taken:
            parts["discriminator"] = self._discriminator_losses({"source": source, "target": target}, fakes)
            taken = self._update("discriminators", parts["discriminator"])
        self.steps_done += 1
        if not taken:
            self._recover()
            return {}
        self._skipped = 0
        weight = average_weight(self.steps_done, AVERAGE_LIMIT)
        torch._foreach_lerp_(list(self.average.parameters()), list(self.networks.parameters()), 1 - weight)
        return {name: part.item() for name, part in parts.items()}

    def _generator_losses(self, source: Tensor, target: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses by name, unweighted and summed over both directions, and the fakes by domain."""
        there, back = self._generators
        fake_target, same_target = there(torch.cat([source, target])).chunk(2)
        fake_source, same_source = back(torch.cat([target, source])).chunk(2)
        fooled = least_squares(self._judge("target", fake_target), True) + least_squares(
            self._judge("source", fake_source), True
        )
        cycle = (back(fake_target) - source).abs().mean() + (there(fake_source) - target).abs().mean()
        identity = (same_target - target).abs().mean() + (same_source - source).abs().mean()
        losses = {"generator": fooled, "cycle": cycle, "identity": identity}
        return losses, {"source": fake_source, "target": fake_target}

    def _discriminator_losses(self, real: dict[str, Tensor], fakes: dict[str, Tensor]) -> Tensor:
        total = torch.zeros((), device=real["source"].device)
        for domain, fake in fakes.items():
            of_real, of_fake = self._judge(domain, torch.cat([real[domain], self.pools[domain].swap(fake)])).chunk(2)
            total = total + discriminator_loss(of_real, of_fake)
        return total

    def _judge(self, domain: str, images: Tensor) -> Tensor:
        logits: Tensor = self.networks[domain](images)[-1]
        return logits

    def _update(self, name: str, loss: Tensor) -> bool:
        """Take one optimizer step if loss and gradient are finite; say whether."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        weights = optimizer.param_groups[0]["params"]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not bool(loss.isfinite() & get_total_norm(gradients).isfinite()):
            return False
        optimizer.step()
        return True

    def _recover(self) -> None:
        """Go back to the running means, which only ever saw finite weights."""
        self._skipped += 1
        if self._skipped >= MOST_SKIPPED:
            raise ProjectError(
                f"{self._skipped} training steps in a row gave numbers that are not finite; "
                "try a smaller learning_rate, and check the images for damage"
            )
        self.networks.load_state_dict(self.average.state_dict())
        for optimizer in self.optimizers.values():
            optimizer.state.clear()

    def _set_learning_rate(self) -> None:
        """Constant over the first half of the steps, then linear towards zero."""
        left = 1 - self.steps_done / self.config.steps
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.config.learning_rate * min(1.0, 2 * left)

    # -- checkpoint ------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors = prefixed("networks", self.networks.state_dict()) | prefixed("average", self.average.state_dict())
        for name, optimizer in self.optimizers.items():
            tensors |= prefixed(name, optimizer_tensors(optimizer))
        values: dict[str, Any] = {"step": self.steps_done, "skipped": self._skipped, "pools": {}}
        for domain, pool in self.pools.items():
            tensors[f"pool/{domain}"], values["pools"][domain] = pool.state()
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises
        ------
        RuntimeError
            If the weights are of other networks.
        """
        self.networks.load_state_dict(part("networks", tensors))
        self.average.load_state_dict(part("average", tensors))
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, part(name, tensors))
        self.steps_done, self._skipped = int(values["step"]), int(values["skipped"])
        device = next(self.networks.parameters()).device
        for domain, pool in self.pools.items():
            pool.restore(tensors[f"pool/{domain}"].to(device), values["pools"][domain])


def _adam(nets: nn.Module, config: TrainTranslatorConfig) -> torch.optim.Adam:
    return torch.optim.Adam(nets.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))
