"""Settings of SynDiff, readable without torch."""

from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from histobridge.core.base_config import Config

STARTED_FROM = "from_source"


class SynDiffSettings(Config):
    """Networks and losses of SynDiff beside those of its cycle, which are those of a CycleGAN."""

    diffusion_steps: PositiveInt = 4
    """Steps from noise to an image; one pass of the network each."""

    width: PositiveInt = Field(16, multiple_of=4)
    """Channels of the diffusive generators at full resolution."""

    multipliers: tuple[PositiveInt, ...] = Field((1, 2, 2), min_length=1)
    """Channels at each resolution, in multiples of `width`; each further one is half as fine."""

    residual_blocks: PositiveInt = 1
    """Residual blocks at each resolution on the way down; one more on the way up."""

    attention_levels: tuple[NonNegativeInt, ...] = ()
    """Resolutions at which all places of a tile see each other; 0 is the finest."""

    middle_attention: bool = False
    """Attention at the coarsest place of the network, as published."""

    latent: PositiveInt = 32
    """Random numbers that style an image, one set for the whole mosaic."""

    latent_width: PositiveInt = 64
    """Width of the network that reads them."""

    latent_layers: NonNegativeInt = 3
    """Its layers after the first."""

    spare_output: bool = False
    """A second output that nobody looks at, as published."""

    judge_width: PositiveInt = 8
    """The discriminators of the diffusion start with twice as many channels."""

    judge_halvings: PositiveInt = 4
    """How often they halve the resolution."""

    judge_time_width: PositiveInt = Field(64, multiple_of=2, ge=4)
    """Width of what they know of the time."""

    clean_weight: NonNegativeFloat = 0.5
    """Weight of the difference between the predicted and the real image."""

    cycle_weight: NonNegativeFloat = 0.5
    """Weight of the cycle."""

    learning_rate: PositiveFloat = 5e-4
    """Adam learning rate of the generators; falls along a cosine."""

    judge_learning_rate: PositiveFloat = 5e-4
    """Adam learning rate of the discriminators."""

    last_learning_rate: NonNegativeFloat = 1e-5
    """Where both learning rates end."""

    penalty: NonNegativeFloat = 1.0
    """Weight of the squared gradient of the discriminators at real images (R1)."""

    penalty_every: PositiveInt = 10
    """Steps from one such penalty to the next."""

    share_fakes: bool = True
    """Discriminators learn from the images that the generators just learned from; off: from others, as published, which
    takes a sixth longer."""

    recompute: bool = False
    """Compute layers twice to need far less memory."""

    tile_px: NonNegativeInt = 0
    """Side of the tiles that are translated at once, in pixels of the working scale; 0: that of the training crops."""

    tile_overlap: float = Field(0.25, ge=0, le=0.5)
    """Share of a tile that overlaps the next; there one fades into the other."""

    fixed_statistics: bool = True
    """After training, normalise by fixed statistics per step instead of those of each tile."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_was(cls, values: Any) -> Any:
        """Read files of when SynDiff could start from its source; `TrainTranslatorConfig` refuses one that did."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name != STARTED_FROM}
