"""Settings of what is done to a model on images of the target just before it proposes, readable without torch."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from histobridge.core.base_config import Config


class AtTestTime(Config):
    """Fit a trained model to the images it proposes for, without labels; all of it is off unless asked for."""

    adapt_statistics: float = Field(0.0, ge=0, le=1)
    """How far the normalisation statistics go from those of the training to those of the images (AdaBN): 0 not at all,
    0.5 halfway, 1 all the way."""

    entropy_steps: NonNegativeInt = 0
    """Steps that make the model surer of what it sees (TENT), 10 are many; 0: none. A model that is wrong becomes surer
    of that as well."""

    entropy_learning_rate: PositiveFloat = 1e-3
    """Adam learning rate of these steps."""

    tiles: PositiveInt = 32
    """Tiles that are looked at, drawn from all images that are proposed for."""

    turns: bool = False
    """Average over quarter turns too: with flips eight views, and twice the time of four."""
