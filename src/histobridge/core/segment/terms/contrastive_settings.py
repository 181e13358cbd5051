"""Settings of terms that tell pairs of views from others."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from histobridge.core.segment.terms.term_settings import Settings


class ContrastiveSettings(Settings):
    """Of terms that pull two views of the same together and push others apart."""

    weight: NonNegativeFloat = 0.1
    """Weight of the term at full strength."""

    temperature: PositiveFloat = 0.1
    """Similarities are divided by this; small: the nearest others count most."""

    width: PositiveInt = 64
    """Length of the vectors that are compared."""


class ContrastiveGlobalSettings(ContrastiveSettings):
    """Recognise a crop in another look among the others (SimCLR; Chaitanya et al. 2020, global)."""

    kind: Literal["contrastive-global"] = "contrastive-global"
    """Which term."""


class ContrastiveLocalSettings(ContrastiveSettings):
    """Recognise a place of a crop in another look among its other places (Chaitanya et al. 2020, local)."""

    kind: Literal["contrastive-local"] = "contrastive-local"
    """Which term."""

    stride: Literal[2, 4, 8] = 4
    """Of the decoder's features, in pixels."""

    regions: int = Field(13, ge=2)
    """Regions of 3 x 3 features compared within a crop."""
