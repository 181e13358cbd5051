"""What CycleGAN and CUT share: generators against discriminators, from their config to a translator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.translate.card import card_of
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.generators import reach_of
from histobridge.core.translate.guarded import GuardedTraining
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.losses import discriminator_loss
from histobridge.core.translate.norms import freeze_norms

if TYPE_CHECKING:
    from histobridge.core.translate.learner import TrainedTranslator

WAYS: tuple[tuple[Direction, Domain, Domain], ...] = (
    ("source_to_target", "source", "target"),
    ("target_to_source", "target", "source"),
)
"""Each direction, the domain it starts in, and the domain whose discriminator judges what it makes."""

DIRECTIONS: tuple[Direction, ...] = tuple(direction for direction, _, _ in WAYS)
DOMAINS: tuple[Domain, ...] = ("source", "target")

Losses = dict[str, Tensor]
"""Scalars by name, unweighted; ``loss`` is what is minimised."""


class Part(NamedTuple):
    """Images of both domains that are computed at once: a batch, or a share of it."""

    real: dict[Domain, Tensor]
    """(N, 1, Y, X) in [-1, 1], with target looks."""

    labels: Tensor | None
    """(N, Y, X) uint8 class values of the source, 255 where unknown; none without labels."""

    drawn: Any
    """What was drawn for these images."""

    share: float
    """Of the images of the batch, so many."""


class Contest(GuardedTraining):
    """Generators and discriminators of one training; its optimizers are called by its sides.

    A method says what its generators make and what they lose by it (`make`), and what its discriminators lose
    (`judge_made`); networks ``source`` and ``target`` judge images of a domain. What it draws at random comes from
    `random`.

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
        self.random = torch.Generator(device).manual_seed(config.seed)
        fused = device.type == "cuda"
        super().__init__(
            networks,
            {
                side: torch.optim.Adam(nets.parameters(), lr=config.learning_rate, betas=(0.5, 0.999), fused=fused)
                for side, nets in self.sides.items()
            },
        )

    # -- one step --------------------------------------------------------------------------------------------------

    def step(self, source: Tensor, target: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Update generators and discriminators.

        Parameters
        ----------
        source, target : Tensor, (N, 1, Y, X) float32
            Crops of both domains with target looks, in [-1, 1].
        labels : Tensor, (N, Y, X) uint8, optional
            Class values of the source, 255 where unknown, for methods that learn from them.

        Returns
        -------
        dict
            Losses ``generator``, ``discriminator`` and those of the method, unweighted, summed over both domains; empty
            when the step was skipped because a loss or gradient was not finite, after which the networks are their
            running means again.

        Raises
        ------
        ProjectError
            If many steps in a row had to be skipped.
        """
        self.set_learning_rate()
        said: Losses = {}
        taken = self.learn(self.parts({"source": source, "target": target}, labels), said)
        self.end_step(taken)
        if not taken:
            return {}
        return dict(zip(said, torch.stack(list(said.values())).tolist(), strict=True))

    def parts(self, real: dict[Domain, Tensor], labels: Tensor | None) -> list[Part]:
        """Divide a batch into the parts that are computed at once."""
        return [Part(real, labels, self.draw(real), 1.0)]

    def draw(self, real: Mapping[Domain, Tensor]) -> Any:
        """Draw what the images of a part need; nothing by default."""

    def learn(self, parts: Sequence[Part], said: Losses) -> bool:
        """Update generators, then discriminators by what was made; say whether, and add to `said` what they lost."""
        taken, made = self.learn_to_make(parts, said)
        return taken and self.learn_to_judge(parts, made, said)

    def learn_to_make(self, parts: Sequence[Part], said: Losses) -> tuple[bool, list[Any]]:
        """Update the generators; say whether, and what they made before of each part."""
        made: list[Any] = []

        def losses() -> Iterator[Tensor]:
            for part in parts:
                found, of_part = self.make(part)
                made.append(of_part)
                yield _add(said, found, part.share)

        self.sides["discriminators"].requires_grad_(False)
        taken = self.update("generators", losses())
        self.sides["discriminators"].requires_grad_(True)
        return taken, made

    def learn_to_judge(self, parts: Sequence[Part], made: Sequence[Any], said: Losses) -> bool:
        """Update the discriminators by real images and by what was made of each part; say whether."""

        def losses() -> Iterator[Tensor]:
            for part, of_part in zip(parts, made, strict=True):
                loss = self.judge_made(part, of_part)
                yield _add(said, {"loss": loss, "discriminator": loss}, part.share)

        return self.update("discriminators", losses())

    def make(self, part: Part) -> tuple[Losses, Any]:
        """Translate; return what the generators lose, and what the discriminators shall look at."""
        raise NotImplementedError

    def judge_made(self, part: Part, made: Any) -> Tensor:
        """What the discriminators lose on real images and on what `make` returned of the same part."""
        raise NotImplementedError

    # -- what methods are made of ----------------------------------------------------------------------------------

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

    def told_apart(self, real: Mapping[Domain, Tensor], fakes: Mapping[Domain, Tensor]) -> Tensor:
        """What the discriminators of images lose on real ones and on as many fakes, each (N, 1, Y, X)."""
        losses = [
            discriminator_loss(*self.judge(domain, torch.cat([real[domain], fake])).chunk(2))
            for domain, fake in fakes.items()
        ]
        return torch.stack(losses).sum()

    def set_learning_rate(self) -> None:
        """Constant at first, then linear towards zero over the last `decay` of the steps."""
        left = 1 - self.steps_done / self.config.steps
        rate = self.config.learning_rate * min(1.0, left / self.config.decay)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate

    # -- checkpoint ------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors, values = super().state()
        return tensors | {"random": self.random.get_state()}, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError or KeyError if the weights are of other networks."""
        super().restore(tensors, values)
        self.random.set_state(tensors["random"])


def _add(said: Losses, found: Losses, share: float) -> Tensor:
    """Add what a part of a batch lost to `said`; return what is to be minimised for it."""
    for name, loss in found.items():
        if name != "loss":
            said[name] = said.get(name, 0) + share * loss.detach()
    return share * found["loss"]
