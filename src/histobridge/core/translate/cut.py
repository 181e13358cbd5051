"""One step of CUT or FastCUT: a generator a direction, held to its input by the contrast between patches."""

from typing import Any

import torch
from torch import Tensor

from histobridge.core.config import Direction, TrainTranslatorConfig
from histobridge.core.translate.contest import WAYS, Contest
from histobridge.core.translate.generators import (
    discriminator_of,
    generator_of,
    tap_channels,
    taps_of,
    weights_of,
)
from histobridge.core.translate.losses import discriminator_loss, least_squares
from histobridge.core.translate.patch_nce import (
    Projection,
    draw_places,
    features_at,
    patch_contrast,
    with_taps,
)

GENERATORS = tuple(direction for direction, _, _ in WAYS)
PROJECTIONS = tuple(f"projection_{direction}" for direction in GENERATORS)
DISCRIMINATORS = ("source", "target")


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
                {name: generator_of(config) for name in GENERATORS}
                | {name: discriminator_of(config) for name in DISCRIMINATORS}
                | {name: Projection(tap_channels(config), settings.width, weights_of(config)) for name in PROJECTIONS}
            ),
            {"generators": (*GENERATORS, *PROJECTIONS), "discriminators": DISCRIMINATORS},
        )
        self.taps = taps_of(config)
        self._random = torch.Generator().manual_seed(config.seed)

    def step(self, source: Tensor, target: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Update generators with the networks that describe patches, then discriminators.

        Parameters
        ----------
        source, target : Tensor, (N, 1, Y, X) float32
            Crops of both domains with target looks, in [-1, 1].
        labels : Tensor, optional
            Not used.

        Returns
        -------
        dict
            Losses ``generator``, ``discriminator``, ``contrast`` and, where images of the goal are translated too,
            ``identity``; unweighted, summed over both directions. Empty when the step was skipped, see
            `Adversaries.step`.

        Raises
        ------
        ProjectError
            If many steps in a row had to be skipped.
        """
        self.set_learning_rate()
        self.sides["discriminators"].requires_grad_(False)
        images = {"source": source, "target": target}
        parts: dict[str, Tensor] = {}
        fakes: dict[str, Tensor] = {}
        for direction, start, goal in WAYS:
            losses, fakes[goal] = self._losses(direction, images[start], images[goal])
            losses["generator"] = least_squares(self.judge(goal, fakes[goal]), True)
            parts = {name: loss + parts.get(name, 0) for name, loss in losses.items()}
        contrast = parts["contrast"]
        if "identity" in parts:
            contrast = (contrast + parts["identity"]) / 2
        taken = self.update("generators", parts["generator"] + self.config.contrast.weight * contrast)
        self.sides["discriminators"].requires_grad_(True)
        if taken:
            parts["discriminator"] = torch.stack(
                [
                    discriminator_loss(*self.judge(goal, torch.cat([images[goal], fake.detach()])).chunk(2))
                    for goal, fake in fakes.items()
                ]
            ).sum()
            taken = self.update("discriminators", parts["discriminator"])
        self.end_step(taken)
        return {name: part.item() for name, part in parts.items()} if taken else {}

    def _losses(self, direction: Direction, start: Tensor, goal: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Contrasts of one direction, and the fakes; keys come from the pass that makes the fakes where they can."""
        settings, net = self.config.contrast, self.networks[direction]
        real = torch.cat([start, goal]) if settings.identity else start
        mirrored = settings.flip and bool(torch.rand((), generator=self._random) < 0.5)
        with self.autocast():
            made, keys = with_taps(net, real.flip(3) if mirrored else real, self.taps)
            queries = features_at(net, made, self.taps)
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
        places = draw_places(keys, self.config.contrast.patches, self._random)
        with torch.no_grad():
            wanted = project([key.detach().float() for key in keys], places)
        found = project([query.float() for query in queries], places)
        return patch_contrast(found, wanted, self.config.contrast.temperature)

    # -- checkpoint ------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""
        tensors, values = super().state()
        return tensors | {"random": self._random.get_state()}, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError or KeyError if the weights are of other networks."""
        super().restore(tensors, values)
        self._random.set_state(tensors["random"])
