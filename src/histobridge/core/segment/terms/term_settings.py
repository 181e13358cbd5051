"""What the settings of all terms share."""

from pydantic import Field, NonNegativeFloat

from histobridge.core.base_config import Config


class Settings(Config):
    """Of a term of the loss; each kind adds its `kind` and its own."""

    kind: str
    """Which term; each has its own."""

    weight: NonNegativeFloat = 1.0
    """Weight of the term at full strength."""

    ramp: float = Field(0.3, ge=0, le=1)
    """Share of the training over which the weight rises, as exp(-5 (1 - t)^2) (Laine and Aila 2017); 0: at once."""
