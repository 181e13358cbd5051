"""Settings of terms that carry what is sure of an image over to strongly changed views of it."""

from typing import Literal

from pydantic import Field

from histobridge.core.segment.terms.term_settings import Settings


class FixMatchSettings(Settings):
    """Of an image in another look say what is sure of it as it is (Sohn et al. 2020)."""

    kind: Literal["fixmatch"] = "fixmatch"
    """Which term."""

    threshold: float = Field(0.95, ge=0, lt=1)
    """Pixels whose class is less sure are left out; 0: all count."""

    cutmix: float = Field(0.0, ge=0, le=1)
    """Probability that a crop in another look has a box of another crop pasted in."""


class UniMatchSettings(Settings):
    """Of an image in two other looks, and with features dropped, say what is sure of it as it is (Yang et al. 2023)."""

    kind: Literal["unimatch"] = "unimatch"
    """Which term."""

    threshold: float = Field(0.95, ge=0, lt=1)
    """Pixels whose class is less sure are left out; 0: all count."""

    cutmix: float = Field(0.5, ge=0, le=1)
    """Probability that a crop in another look has a box of another crop pasted in."""

    dropout: float = Field(0.5, ge=0, lt=1)
    """Share of the encoder's feature maps that are dropped in the pass with features dropped."""

    strength: float = Field(1.0, ge=0, le=1)
    """Strength of the second other look."""
