"""One step of SynDiff training: a diffusion and a cycle, each against discriminators of its own."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import cos, pi
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.errors import InputError
from histobridge.core.translate.card import card_of
from histobridge.core.translate.contest import DOMAINS, WAYS, Contest, Losses, Part
from histobridge.core.translate.diffaug import augmented
from histobridge.core.translate.diffusion import vp_schedule
from histobridge.core.translate.generators import discriminator_of, generator_of
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.ncsnpp import NcsnPlusPlus
from histobridge.core.translate.syndiff import SynDiff, fix_statistics, halo_of_tiles
from histobridge.core.translate.time_discriminator import TimeDiscriminator

SIDES = {
    "generators": ("source_to_target", "target_to_source", "make_source", "make_target"),
    "discriminators": ("source", "target", "judge_source", "judge_target"),
}
BETAS = (0.5, 0.9)


class Noised(NamedTuple):
    """What is drawn for the images of one domain in one step."""

    step: Tensor
    """(N,) int64, t."""

    now: Tensor
    """(N, 1, Y, X), x_t of the real images."""

    later: Tensor
    """(N, 1, Y, X), x_(t + 1)."""

    noise: Tensor
    """(N, 1, Y, X), for the way back from x_(t + 1) to x_t."""

    latent: Tensor
    """(N, Z)."""


class Made(NamedTuple):
    """What the generators made of real images, by the domain of what was made."""

    cycle: dict[Domain, Tensor]
    """(N, 1, Y, X), of the cycle's generators, from real images of the other domain."""

    clean: dict[Domain, Tensor]
    """(N, 1, Y, X), x_0 as predicted beside the cycle's estimate of the other domain."""

    earlier: dict[Domain, Tensor]
    """(N, 1, Y, X), x_t drawn from that."""

    def detached(self) -> "Made":
        """Return the same without gradients."""
        return Made(*({domain: image.detach() for domain, image in images.items()} for images in self))


class SynDiffLearner(Contest):
    """SynDiff in training (arXiv 2207.08208); see `Contest`.

    Networks ``make_source`` and ``make_target`` predict images of a domain from noise and an image of the other,
    ``judge_source`` and ``judge_target`` judge what they make, at every time; the rest is a cycle as in CycleGAN, which
    estimates that other image, since none was ever taken.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device

    Raises
    ------
    InputError
        If the crops do not fit the networks.
    """

    def __init__(self, config: TrainTranslatorConfig, device: torch.device):
        if config.recompute:
            config = config.model_copy(update={"syndiff": config.syndiff.model_copy(update={"recompute": True})})
        self.settings = config.syndiff
        coarsest = 2 ** max(len(self.settings.multipliers) - 1, self.settings.judge_halvings)
        if config.crop_px % coarsest:
            raise InputError(
                f"crop_px: {config.crop_px} found, a multiple of {coarsest} expected, as the networks halve so often; "
                "change it, or use fewer multipliers and judge_halvings"
            )
        super().__init__(config, device, lambda: _networks(config), SIDES)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["betas"] = BETAS
        self.schedule = vp_schedule(self.settings.diffusion_steps, device)

    def learn(self, parts: Sequence[Part], said: Losses) -> bool:
        """Update both sides by the same images, or, as published, discriminators first and by others."""
        if self.settings.share_fakes:
            return super().learn(parts, said)
        others = [part._replace(drawn=part.drawn[0]) for part in parts]
        parts = [part._replace(drawn=part.drawn[1]) for part in parts]
        with torch.no_grad():
            made = [self._made(part) for part in others]
        return self.learn_to_judge(others, made, said) and self.learn_to_make(parts, said)[0]

    def draw(self, real: Mapping[Domain, Tensor]) -> tuple[dict[Domain, Noised], ...]:
        """Draw for both domains; first for discriminators that learn from other images than the generators."""
        return tuple(self._noised(real) for _ in range(1 if self.settings.share_fakes else 2))

    def divide(self, drawn: tuple[dict[Domain, Noised], ...], place: slice) -> Any:
        """Take what was drawn for some of the images."""
        parts = [
            {domain: Noised(*(tensor[place] for tensor in noised)) for domain, noised in of_side.items()}
            for of_side in drawn
        ]
        return parts[0] if self.settings.share_fakes else parts

    def _noised(self, real: Mapping[Domain, Tensor]) -> dict[Domain, Noised]:
        """Draw times, noise and latents for both domains."""
        drawn: dict[Domain, Noised] = {}
        for domain, images in real.items():
            step = torch.randint(self.schedule.steps, (len(images),), generator=self.random, device=self.device)
            noise, more, back = self._normal(3, *images.shape)
            now, later = self.schedule.pair(images, step, noise, more)
            drawn[domain] = Noised(step, now, later, back, self._normal(len(images), self.settings.latent))
        return drawn

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.random, device=self.device)

    def _made(self, part: Part) -> Made:
        """Estimate the other domain of both, and take a step of noise back beside it."""
        cycle: dict[Domain, Tensor] = {}
        clean: dict[Domain, Tensor] = {}
        earlier: dict[Domain, Tensor] = {}
        for direction, start, goal in WAYS:
            with self.autocast():
                cycle[goal] = self.compute(self.networks[direction], part.real[start]).float()
                drawn = part.drawn[start]
                make = self.networks[f"make_{start}"]
                clean[start] = make(drawn.later, cycle[goal], drawn.step, drawn.latent)
            earlier[start] = self.schedule.earlier(clean[start], drawn.later, drawn.step, drawn.noise)
        return Made(cycle, clean, earlier)

    def make(self, part: Part) -> tuple[Losses, Made]:
        """Losses ``generator``, ``clean``, ``cycle`` and ``identity``, and what was made."""
        made = self._made(part)
        zero = torch.zeros((), device=self.device)
        losses = {"generator": zero, "clean": zero, "cycle": zero, "identity": zero}
        for direction, start, goal in WAYS:
            again, same = self._again(direction, made.cycle[start], part.real[goal])
            losses["cycle"] = losses["cycle"] + l1_loss(again, part.real[goal])
            losses["identity"] = losses["identity"] + l1_loss(same, part.real[goal])
            losses["clean"] = losses["clean"] + l1_loss(made.clean[goal], part.real[goal])
            logits = self._judge_pair(goal, made.earlier[goal], part.drawn[goal])
            fooled = softplus(-logits).mean() + softplus(-self.judge(goal, made.cycle[goal])).mean()
            losses["generator"] = losses["generator"] + fooled
        weighted = self.settings.clean_weight * losses["clean"] + self.settings.cycle_weight * losses["cycle"]
        weighted = weighted + self.config.identity_weight * losses["identity"]
        return losses | {"loss": losses["generator"] + weighted}, made.detached()

    def _again(self, direction: Direction, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Bring back a fake of what is real; also what becomes of the real, unless its identity has no weight."""
        net = self.networks[direction]
        with self.autocast():
            if self.config.identity_weight == 0:
                return self.compute(net, fake).float(), real
            again, same = self.compute(net, torch.cat([fake, real])).float().chunk(2)
        return again, same

    def judge_made(self, part: Part, made: Made) -> Tensor:
        """What the discriminators lose on real images, on those of the cycle and on those of the diffusion."""
        loss = torch.zeros((), device=self.device)
        for domain in DOMAINS:
            loss = loss + self._told_apart(domain, part.drawn[domain], made.earlier[domain])
            loss = loss + softplus(-self.judge(domain, part.real[domain])).mean()
            loss = loss + softplus(self.judge(domain, made.cycle[domain])).mean()
        return loss

    def _told_apart(self, domain: Domain, noised: Noised, fake: Tensor) -> Tensor:
        """Loss of the discriminator of the diffusion; every so often with a penalty on its gradient at real images."""
        penalised = self.settings.penalty > 0 and self.steps_done % self.settings.penalty_every == 0
        now = noised.now.detach().requires_grad_(penalised)
        logits = self._judge_pair(domain, now, noised, exactly=penalised)
        loss = softplus(-logits).mean() + softplus(self._judge_pair(domain, fake, noised)).mean()
        if penalised:
            (gradient,) = torch.autograd.grad(logits.sum(), now, create_graph=True)
            loss = loss + self.settings.penalty / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
        return loss

    def _judge_pair(self, domain: Domain, earlier: Tensor, noised: Noised, exactly: bool = False) -> Tensor:
        """Logits of the discriminator of the diffusion, (N,) float32; `exactly`: computed so."""
        judge, later = self.networks[f"judge_{domain}"], noised.later
        if self.config.augment:
            earlier, later = augmented(torch.cat([earlier, later], dim=1), self.random).chunk(2, dim=1)
        if exactly:
            # Its gradient gets a gradient, which compiled networks do not give.
            logits: Tensor = judge.forward(earlier, noised.step, later)
            return logits
        with self.autocast():
            logits = self.compute(judge, earlier, noised.step, later)
        return logits

    def set_learning_rate(self) -> None:
        """Follow half a cosine from the first rates to the last one."""
        last = self.settings.last_learning_rate
        share = (1 + cos(pi * self.steps_done / self.config.steps)) / 2
        for side, first in (
            ("generators", self.settings.learning_rate),
            ("discriminators", self.settings.judge_learning_rate),
        ):
            for group in self.optimizers[side].param_groups:
                group["lr"] = last + (first - last) * share

    def translator(self, instant: Instant, calibration: Mapping[Domain, Tensor] | None = None) -> SynDiff:
        """Copy the averaged generators of the diffusion into a translator; see `Learner.translator`."""
        makers: dict[Direction, NcsnPlusPlus] = {}
        for direction, start, goal in WAYS:
            net = deepcopy(self.average[f"make_{goal}"])
            assert isinstance(net, NcsnPlusPlus)
            if calibration is not None and self.settings.fixed_statistics:
                random = torch.Generator(self.device).manual_seed(self.config.seed)
                fix_statistics(net, calibration[start], random)
            makers[direction] = net
        return SynDiff(makers, instant, card_of(self.config, instant, halo_of_tiles(self.config)))


def _networks(config: TrainTranslatorConfig) -> dict[str, nn.Module]:
    """All networks by name, new."""
    settings = config.syndiff
    judge = (settings.judge_width, settings.judge_halvings, settings.judge_time_width)
    return (
        {direction: generator_of(config) for direction, _, _ in WAYS}
        | {f"make_{domain}": NcsnPlusPlus(settings) for domain in DOMAINS}
        | {domain: discriminator_of(config) for domain in DOMAINS}
        | {f"judge_{domain}": TimeDiscriminator(*judge) for domain in DOMAINS}
    )
