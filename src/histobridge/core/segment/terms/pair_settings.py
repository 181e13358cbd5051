"""Settings of terms with a second network."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from histobridge.core.segment.terms.term_settings import Settings


class CrossPseudoSettings(Settings):
    """Two networks that start apart teach each other on images without labels (Chen et al. 2021; Qiao et al. 2018)."""

    kind: Literal["cross-pseudo"] = "cross-pseudo"
    """Which term."""

    weight: NonNegativeFloat = 0.1
    """Weight of the term at full strength."""

    agreement: Literal["classes", "probabilities"] = "classes"
    """Learn each other's `classes` (cross pseudo-supervision), or bring `probabilities` together (co-training)."""

    learning_rate: PositiveFloat = 1e-3
    """AdamW learning rate of the second network after the warm-up; decays like that of the first."""
