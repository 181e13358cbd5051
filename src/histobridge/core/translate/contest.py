"""What CycleGAN and CUT share: generators against discriminators, from their config to a translator."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.device import has_bfloat16
from histobridge.core.errors import InputError
from histobridge.core.translate import crew
from histobridge.core.translate.card import card_of
from histobridge.core.translate.cyclegan import CycleGan
from histobridge.core.translate.diffaug import augmented
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

COMPILED_FROM = 2000
"""Steps of a training from which on compiling its networks is worth the minutes."""

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
        self._half = config.half_precision and has_bfloat16(device)
        if self._half and device.type == "cuda":
            networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        self._modules_of_sides: dict[str, nn.Module] = {}
        if config.compiled == "on" or (config.compiled == "auto" and fused and config.steps >= COMPILED_FROM):
            for net in self.worth_compiling():
                net.compile()

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
        """Take this process's share of a batch, in the parts that are computed at once."""
        count = len(real["source"])
        ranks, rank = crew.size(), crew.rank()
        if count % ranks:
            raise InputError(
                f"batch_size: {count} found, a multiple of {ranks} expected, as so many processes share every batch; "
                "change it, or use fewer processes"
            )
        share = count // ranks
        pieces = torch.arange(rank * share, (rank + 1) * share).tensor_split(min(self.config.parts, share))
        places = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces]
        drawn = self.draw(real)
        return [
            Part(
                {domain: images[place] for domain, images in real.items()},
                None if labels is None else labels[place],
                self.divide(drawn, place),
                (place.stop - place.start) / share,
            )
            for place in places
        ]

    def draw(self, real: Mapping[Domain, Tensor]) -> Any:
        """Draw what the images of a batch need; nothing by default."""

    def divide(self, drawn: Any, place: slice) -> Any:
        """Take of what was drawn for a batch what some of its images need; all by default."""
        return drawn

    def learn(self, parts: Sequence[Part], said: Losses) -> bool:
        """Update generators, then discriminators by what was made; say whether, and add to `said` what they lost."""
        taken, made = self.learn_to_make(parts, said)
        return taken and self.learn_to_judge(parts, made, said)

    def learn_to_make(self, parts: Sequence[Part], said: Losses) -> tuple[bool, list[Any]]:
        """Update the generators; say whether, and what they made before of each part."""
        made: list[Any] = []
        side = self._computed("generators", self.make)

        def losses() -> Iterator[Tensor]:
            for left, part in zip(reversed(range(len(parts))), parts, strict=True):
                with crew.apart(side) if left else nullcontext():
                    found, of_part = side(part)
                    made.append(of_part)
                    yield _add(said, found, part.share)

        self.sides["discriminators"].requires_grad_(False)
        taken = self.update("generators", losses())
        self.sides["discriminators"].requires_grad_(True)
        return taken, made

    def learn_to_judge(self, parts: Sequence[Part], made: Sequence[Any], said: Losses) -> bool:
        """Update the discriminators by real images and by what was made of each part; say whether."""
        side = self._computed("discriminators", self.judge_made)

        def losses() -> Iterator[Tensor]:
            for left, part, of_part in zip(reversed(range(len(parts))), parts, made, strict=True):
                with crew.apart(side) if left else nullcontext():
                    loss = side(part, of_part)
                    yield _add(said, {"loss": loss, "discriminator": loss}, part.share)

        return self.update("discriminators", losses())

    def _computed(self, name: str, loss: Callable[..., Any]) -> nn.Module:
        """Side of the contest as a module that computes its loss, in this process or in all together."""
        if name not in self._modules_of_sides:
            self._modules_of_sides[name] = crew.together(_Side(self.sides[name], loss))
        return self._modules_of_sides[name]

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
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)

    def compute(self, function: Callable[..., Any], *inputs: Any) -> Any:
        """Apply a network, or a function of one that draws nothing; where memory is short, not keeping its insides."""
        if self.config.recompute and torch.is_grad_enabled():
            return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
        return function(*inputs)

    def worth_compiling(self) -> Iterable[nn.Module]:
        """Modules that are compiled, each where it is called; all networks by default."""
        return self.networks.values()

    def judge(self, domain: str, images: Tensor) -> Tensor:
        """Logits of the discriminator of a domain, float32; of augmented images if that is set."""
        if self.config.augment:
            images = augmented(images, self.random)
        with self.autocast():
            judged = self.compute(self.networks[domain], images)
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
        if len(tensors["random"]) == len(self.random.get_state()):
            self.random.set_state(tensors["random"])
        else:  # Taken on another kind of device, whose random numbers are others anyway.
            self.random.manual_seed(self.config.seed + self.steps_done)


class _Side(nn.Module):
    """Networks that one optimizer moves, as a module that maps a part of a batch to what they lose."""

    def __init__(self, nets: nn.Module, loss: Callable[..., Any]):
        super().__init__()
        self.nets, self.loss = nets, loss

    def forward(self, *inputs: Any) -> Any:
        return self.loss(*inputs)


def _add(said: Losses, found: Losses, share: float) -> Tensor:
    """Add what a part of a batch lost to `said`; return what is to be minimised for it."""
    for name, loss in found.items():
        if name != "loss":
            said[name] = said.get(name, 0) + share * loss.detach()
    return share * found["loss"]
