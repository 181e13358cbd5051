"""Settings of terms by which a network agrees with itself."""

from typing import Literal

from pydantic import Field, NonNegativeFloat

from histobridge.core.segment.terms.term_settings import Settings


class GammaModelSettings(Settings):
    """Turning an image turns its labels and changes nothing else (transformation consistency)."""

    kind: Literal["gamma-model"] = "gamma-model"
    """Which term."""

    weight: NonNegativeFloat = 5.0
    """Weight of the term at full strength."""


class PiModelSettings(Settings):
    """Say the same twice of one image, whatever its noise and look (Laine and Aila 2017)."""

    kind: Literal["pi-model"] = "pi-model"
    """Which term."""

    noise: NonNegativeFloat = 0.1
    """Standard deviation of the noise on each view, whose grey values lie in [-1, 1]."""


class TemporalEnsemblingSettings(Settings):
    """Agree with what the network has said of the same pixels earlier in the training (Laine and Aila 2017)."""

    kind: Literal["temporal-ensembling"] = "temporal-ensembling"
    """Which term."""

    memory: float = Field(0.6, ge=0, lt=1)
    """Share of the earlier answers in the running average of a pixel, each time it is seen."""


class MultiViewSettings(Settings):
    """Say the same of an image as it is, in another look, and turned (multi-view learning)."""

    kind: Literal["multi-view"] = "multi-view"
    """Which term."""


class EntropySettings(Settings):
    """Be sure of every pixel (Grandvalet and Bengio 2005). Too much of it lets the commonest class win everywhere."""

    kind: Literal["entropy"] = "entropy"
    """Which term."""

    weight: NonNegativeFloat = 0.01
    """Weight of the term at full strength."""
