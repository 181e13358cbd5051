"""One step of BridgeCUT: a bridge a direction, held to its image by labels, patches and what else is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.manifest import IGNORE
from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.translate.bridge import bridge_times, walk
from histobridge.core.translate.bridge_networks import BridgeGenerator, SmallSegmenter, StepResidual
from histobridge.core.translate.bridgecut import BridgeCut, fix_statistics, halo_of_bridge
from histobridge.core.translate.card import card_of
from histobridge.core.translate.contest import DIRECTIONS, DOMAINS, WAYS, Contest, Losses, Part
from histobridge.core.translate.generators import discriminator_of
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.losses import least_squares
from histobridge.core.translate.patch_nce import Projection, draw_places, patch_contrast
from histobridge.core.translate.self_similarity import similarity_loss
from histobridge.core.translate.trust import trust_in

BACKGROUND = 0


class Drawn(NamedTuple):
    """What is drawn for a batch."""

    steps: dict[Direction, int]
    """The state of the bridge that is translated."""

    noise: dict[Direction, Tensor]
    """(step, N, 1, Y, X), for the way there; none where there is but one step."""

    random: Tensor
    """Where the random numbers stand: every part of a batch is looked at in the same places."""


class BridgeLearner(Contest):
    """BridgeCUT in training; see `Contest`.

    Beside a generator and a discriminator a direction there is, where the source has labels, a segmenter. It learns on
    labelled crops with matched looks and on their translations, and its running mean judges translations: these must
    still be segmented as the labels say. Images of the target have none: their translations must be segmented as they
    are themselves. Discriminator and generator lose by LSGAN; with x(k) a state of the bridge and x₁ = G(x(k), k) the
    generator loses further

        transport |x(k) - x₁|² + similarity |S(x₀) - S(x₁)| + (t contrast + (1 - t) contrast_alone) NCE(x₀, x₁)
        + t segmentation L(U(x₁), y, 1) from the source, t agreement L(U(x₁), arg max U(x₀), max U(x₀)) from the target,

    each a mean with its weight from `BridgeSettings`, L cross-entropy and Dice with the weight of each pixel, and t how
    far the segmenter is trusted (`trust_in`), by what it finds in the labelled crops themselves; 0 without labels. A
    segmenter that finds few of the objects would have translations lose them too.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device
    values : sequence of int
        Class values that the labels of the source have; without any but background there is no segmenter.

    Notes
    -----
    Bridge: UNSB (Kim et al. 2024, arXiv 2305.15086), k drawn uniformly and x(k) walked to without gradients.
    Its entropy term is left out: the generators draw nothing, so given x(k) there is no entropy for them to keep.
    Segmenter: Zeng et al. (contrastive translation learning) and SECGAN (Januszewski and Jain 2019) train one along.
    Agreement: semantic consistency of CyCADA (Hoffman et al. 2018, arXiv 1711.03213, eq. 4), by a network that learns.
    """

    def __init__(self, config: TrainTranslatorConfig, device: torch.device, values: Sequence[int] = ()):
        self.settings = config.bridge
        self.times = bridge_times(self.settings.steps)
        self.channels = (BACKGROUND, *sorted(set(values) - {BACKGROUND}))
        self.segments = len(self.channels) > 1 and self.settings.segmentation > 0
        sides = {"generators": _makers(config), "discriminators": DOMAINS}
        if self.segments:
            sides["segmenter"] = ("segmenter",)
        super().__init__(config, device, lambda: _networks(config, len(self.channels) if self.segments else 0), sides)

    def worth_compiling(self) -> Iterable[nn.Module]:
        """Discriminators and segmenter, and the residual blocks of generators, whose layers are called one by one."""
        yield from (self.networks[name] for name in (*DOMAINS, "segmenter") if name in self.networks)
        yield from (
            layer for name in DIRECTIONS for layer in self.networks[name].modules() if isinstance(layer, StepResidual)
        )

    def draw(self, real: Mapping[Domain, Tensor]) -> Drawn:
        """Draw the step of the bridge for each direction, and the noise on the way there."""
        if self.settings.steps == 1:
            return Drawn(dict.fromkeys(DIRECTIONS, 0), {}, self.random.get_state())
        drawn = torch.randint(self.settings.steps, (len(WAYS),), generator=self.random, device=self.device).tolist()
        steps = dict(zip(DIRECTIONS, drawn, strict=True))
        noise = {
            direction: torch.randn((steps[direction], *real[start].shape), generator=self.random, device=self.device)
            for direction, start, _ in WAYS
        }
        return Drawn(steps, noise, self.random.get_state())

    def divide(self, drawn: Drawn, place: slice) -> Drawn:
        """Take the noise of some of the images."""
        return drawn._replace(noise={direction: noise[:, place] for direction, noise in drawn.noise.items()})

    def learn(self, parts: Sequence[Part], said: Losses) -> bool:
        """Update generators, discriminators and the segmenter; say whether, and add to `said` what they lost."""
        taken, made = self.learn_to_make(parts, said)
        taken = taken and self.learn_to_judge(parts, made, said)
        return taken and self._learn_to_segment(parts, made, said)

    def make(self, part: Part) -> tuple[Losses, dict[Domain, Tensor]]:
        """Losses ``generator`` and those of `BridgeSettings` that have a weight, ``trust``, and the fakes by domain."""
        self.random.set_state(part.drawn.random)
        losses: Losses = {}
        fakes: dict[Domain, Tensor] = {}
        trust = torch.zeros((), device=self.device)
        for direction, start, goal in WAYS:
            found, fake = self._losses(direction, part.real[start], part.drawn)
            found["generator"] = least_squares(self.judge(goal, fake), True)
            if self.segments and part.labels is not None:
                if start == "source":
                    wanted = self._channels(part.labels)
                    trust = trust_in(self._found(part.real[start])[1], wanted, len(self.channels))
                    found["segmentation"] = self._misread(self.average["segmenter"], fake, wanted)
                elif self.settings.agreement > 0:
                    sure, seen = self._found(part.real[start])
                    found["agreement"] = self._misread(self.average["segmenter"], fake, seen, sure)
            losses |= {name: loss + losses.get(name, 0) for name, loss in found.items()}
            fakes[goal] = fake.detach()
        weights = self._weights(trust)
        loss = torch.stack([weights[name] * found for name, found in losses.items()]).sum()
        told = {"trust": trust} if "segmentation" in losses else {}
        return losses | told | {"loss": loss}, fakes

    @torch.no_grad()
    def _found(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """How sure the mean segmenter is of what it finds in images, and the channels that it finds, each (N, Y, X)."""
        with self.autocast():
            logits = self.average["segmenter"](images)
        sure, found = logits.float().softmax(dim=1).max(dim=1)
        return sure, found

    def judge_made(self, part: Part, made: dict[Domain, Tensor]) -> Tensor:
        """What the discriminators lose on real images and on fakes."""
        return self.told_apart(part.real, made)

    def _weights(self, trust: Tensor) -> dict[str, float | Tensor]:
        """Weight of each loss of the generators: patches hold what the segmenter cannot be trusted with."""
        settings = self.settings
        return {
            "generator": 1.0,
            "transport": settings.transport,
            "similarity": settings.similarity,
            "contrast": trust * settings.contrast + (1 - trust) * settings.contrast_alone,
            "segmentation": trust * settings.segmentation,
            "agreement": trust * settings.agreement,
        }

    def _losses(self, direction: Direction, start: Tensor, drawn: Drawn) -> tuple[Losses, Tensor]:
        """What a translation from a state of the bridge loses but for discriminator and labels, and the translation."""
        settings, net, step = self.settings, self.networks[direction], drawn.steps[direction]
        assert isinstance(net, BridgeGenerator)
        with self.autocast():
            state = walk(net, start, step, self.times, settings.noise, lambda now: drawn.noise[direction][now])
        # A context of its own: older torch keeps casted weights within one, and those of the walk have no gradient.
        with self.autocast():
            fake, keys = self.compute(net.with_features, state, step)
        fake = fake.float()
        losses: Losses = {}
        if settings.transport > 0:
            losses["transport"] = mse_loss(fake, state)
        if settings.similarity > 0:
            losses["similarity"] = similarity_loss(start, fake)
        if settings.contrast > 0:
            with self.autocast():
                queries = self.compute(net.features, fake)
            if step > 0:
                with torch.no_grad(), self.autocast():
                    keys = net.features(start)
            losses["contrast"] = self._contrast(direction, queries, keys)
        return losses, fake

    def _contrast(self, direction: Direction, queries: list[Tensor], keys: list[Tensor]) -> Tensor:
        """Contrast between what a network finds in its results and in its inputs, at random places."""
        project = self.networks[f"projection_{direction}"]
        places = draw_places(keys, self.settings.patches, self.random)
        with torch.no_grad():
            wanted = project([key.float() for key in keys], places)
        found = project([query.float() for query in queries], places)
        return patch_contrast(found, wanted, self.settings.temperature)

    # -- the segmenter ---------------------------------------------------------------------------------------------

    def _learn_to_segment(self, parts: Sequence[Part], made: Sequence[Mapping[Domain, Tensor]], said: Losses) -> bool:
        """Update the segmenter, if there is one and labels are at hand; say whether nothing went wrong."""
        if not self.segments or parts[0].labels is None:
            return True
        side = self._computed("segmenter", self._segment)

        def losses() -> Iterator[Tensor]:
            for part, fakes in zip(parts, made, strict=True):
                loss = part.share * side(part, fakes)
                said["segmenter"] = said.get("segmenter", 0) + loss.detach()
                yield loss

        return self.update("segmenter", losses())

    def _segment(self, part: Part, fakes: Mapping[Domain, Tensor]) -> Tensor:
        """What the segmenter loses on labelled images and their translations."""
        assert part.labels is not None
        images, labels = part.real["source"], part.labels
        if self.settings.segmenter_sees_fakes:
            images, labels = torch.cat([images, fakes["target"]]), torch.cat([labels, labels])
        return self._misread(self.networks["segmenter"], images, self._channels(labels))

    def _channels(self, labels: Tensor) -> Tensor:
        """Channels of the segmenter, (N, Y, X) int64, of class values; 255 where there is none."""
        wanted = torch.full(labels.shape, IGNORE, dtype=torch.int64, device=labels.device)
        for channel, value in enumerate(self.channels):
            wanted[labels == value] = channel
        return wanted

    def _misread(self, segmenter: nn.Module, images: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
        """Cross-entropy and Dice of what a segmenter finds in images (N, 1, Y, X) against channels (N, Y, X)."""
        with self.autocast():
            logits = self.compute(segmenter, images)
        even = torch.ones_like(wanted, dtype=torch.float32)
        return masked_dice_ce(logits.float(), wanted, even if weight is None else weight)

    def translator(self, instant: Instant, calibration: Mapping[Domain, Tensor] | None = None) -> BridgeCut:
        """Copy the averaged generators into a translator; see `Learner.translator`."""
        nets: dict[Direction, BridgeGenerator] = {}
        for direction, start, _ in WAYS:
            net = deepcopy(self.average[direction])
            assert isinstance(net, BridgeGenerator)
            if calibration is not None and not self.settings.demodulated:
                fix_statistics(net, calibration[start], self.settings, self.config.seed)
            nets[direction] = net
        return BridgeCut(nets, instant, card_of(self.config, instant, halo_of_bridge(self.config)))


def _makers(config: TrainTranslatorConfig) -> tuple[str, ...]:
    """Names of the networks that the generators' optimizer moves."""
    projections = tuple(f"projection_{direction}" for direction in DIRECTIONS) if config.bridge.contrast > 0 else ()
    return *DIRECTIONS, *projections


def _networks(config: TrainTranslatorConfig, classes: int) -> dict[str, nn.Module]:
    """All networks by name, new; a segmenter if there are classes."""
    settings = config.bridge
    networks: dict[str, Any] = {direction: BridgeGenerator(config) for direction in DIRECTIONS}
    if settings.contrast > 0:
        widths = networks[DIRECTIONS[0]].tap_channels
        networks |= {f"projection_{one}": Projection(widths, settings.projection_width) for one in DIRECTIONS}
    networks |= {domain: discriminator_of(config) for domain in DOMAINS}
    if classes:
        networks["segmenter"] = SmallSegmenter(settings.segmenter_width, classes)
    return networks
