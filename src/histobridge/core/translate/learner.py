"""What the training loop and the rest of the program need of a method: the one place that lists the methods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from histobridge.core.config import Direction, Domain, TrainTranslatorConfig
from histobridge.core.translate.base import Image, Translator
from histobridge.core.translate.card import TranslatorCard, read_card
from histobridge.core.translate.instant import Instant

if TYPE_CHECKING:
    from histobridge.core.translate.cyclegan import CycleGan


class TrainedTranslator(Translator, Protocol):
    """A translator with weights and a card."""

    card: TranslatorCard

    def generate(self, image: Image, direction: Direction) -> Image:
        """Apply only what was learned, between target looks, to (Y, X); for previews."""

    def save(self, folder: Path) -> None:
        """Write the two files of the translator into the folder of its run."""


class Learner(Protocol):
    """Networks in training: everything that differs between methods. Both domains have target looks here."""

    steps_done: int

    def step(self, source: Tensor, target: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Learn from crops of both domains, (N, 1, Y, X) in [-1, 1]; return losses, none if the step was skipped.

        `labels`, (N, Y, X) uint8 class values and 255 where unknown, are of the source, for methods that use them.
        """

    def translator(self, instant: Instant, calibration: Mapping[Domain, Tensor] | None = None) -> TrainedTranslator:
        """Copy the averaged networks into a translator.

        With crops of each domain, (N, 1, Y, X), their norms are fixed at what these show, so that tiles join.
        """

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON values."""

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue where `state` was taken; raise RuntimeError or KeyError if it is of other networks."""


def build_learner(config: TrainTranslatorConfig, device: torch.device, values: Sequence[int] = ()) -> Learner:
    """Build the networks of `config.method`, new, on `device`.

    Parameters
    ----------
    config : TrainTranslatorConfig
    device : torch.device
    values : sequence of int
        Class values that the labels of the source have; none: it has no labels.
    """
    if config.method == "syndiff":
        from histobridge.core.translate.syndiff_learning import SynDiffLearner

        return SynDiffLearner(config, device)
    if config.method == "bridgecut":
        from histobridge.core.translate.bridge_learning import BridgeLearner

        return BridgeLearner(config, device, values)
    from histobridge.core.translate.adversaries import Adversaries
    from histobridge.core.translate.cut import Contrast

    return Contrast(config, device) if config.method in ("cut", "fastcut") else Adversaries(config, device)


def load_trained(folder: Path, device: str = "auto") -> TrainedTranslator:
    """Read a translator of any method.

    Parameters
    ----------
    folder : Path
        Of the run that trained it.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    ProjectError
        If a file is missing, damaged, of another version, or does not fit the other; names the file.
    """
    return _kind_of(read_card(folder)).load(folder, device)


def _kind_of(card: TranslatorCard) -> "type[CycleGan]":
    """Class of the translators that a card describes."""
    if card.spread != "fixed":
        from histobridge.core.translate.imported import Imported

        return Imported
    if card.method == "syndiff":
        from histobridge.core.translate.syndiff import SynDiff

        return SynDiff
    if card.method == "bridgecut":
        from histobridge.core.translate.bridgecut import BridgeCut

        return BridgeCut
    from histobridge.core.translate.cyclegan import CycleGan

    return CycleGan
