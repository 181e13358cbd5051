"""What CycleGAN and CUT share: generators against discriminators, from their config to a translator."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.translate.card import card_of
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.generators import reach_of
from histobridge.core.translate.guarded import GuardedTraining
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.norms import freeze_norms

if TYPE_CHECKING:
    from histobridge.core.translate.learner import TrainedTranslator

WAYS: tuple[tuple[Direction, Domain, Domain], ...] = (
    ("source_to_target", "source", "target"),
    ("target_to_source", "target", "source"),
)
"""Each direction, the domain it starts in, and the domain whose discriminator judges what it makes."""


class Contest(GuardedTraining):
    """Generators and discriminators of one training; its optimizers are called by its sides.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device
    build : callable
        Makes the networks by name, `WAYS` among them; called with the random state of `config.seed`.
    sides : mapping of str to sequence of str
        Of each optimizer, the names of the networks it moves.
    """

    def __init__(
        self,
        config: TrainTranslatorConfig,
        device: torch.device,
        build: Callable[[], dict[str, nn.Module]],
        sides: Mapping[str, Sequence[str]],
    ):
        self.config, self.device = config, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            networks = nn.ModuleDict(build()).to(device)
        self.sides = {side: nn.ModuleList(networks[name] for name in names) for side, names in sides.items()}
        fused = device.type == "cuda"
        super().__init__(
            networks,
            {
                side: torch.optim.Adam(nets.parameters(), lr=config.learning_rate, betas=(0.5, 0.999), fused=fused)
                for side, nets in self.sides.items()
            },
        )

    def translator(self, instant: Instant, calibration: Mapping[Domain, Tensor] | None = None) -> "TrainedTranslator":
        """Copy the averaged generators into a translator; see `Learner.translator`."""
        generators = {direction: deepcopy(self.average[direction]) for direction, _, _ in WAYS}
        if calibration is not None:
            for direction, start, _ in WAYS:
                freeze_norms(generators[direction], calibration[start])
        return CycleGan(generators, instant, card_of(self.config, instant, reach_of(self.config)))

    def autocast(self) -> torch.autocast:
        """Compute in bfloat16 where it was asked for and the hardware has it; slow elsewhere, so never there."""
        wanted = self.config.half_precision and self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=wanted and torch.cuda.is_bf16_supported())

    def judge(self, domain: str, images: Tensor) -> Tensor:
        """Logits of the discriminator of a domain, float32."""
        with self.autocast():
            judged = self.networks[domain](images)
        logits: Tensor = judged[-1] if isinstance(judged, list) else judged
        return logits.float()

    def set_learning_rate(self) -> None:
        """Constant at first, then linear towards zero over the last `decay` of the steps."""
        left = 1 - self.steps_done / self.config.steps
        rate = self.config.learning_rate * min(1.0, left / self.config.decay)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
