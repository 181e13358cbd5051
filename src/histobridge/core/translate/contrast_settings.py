"""Settings of the contrast between patches that CUT and FastCUT learn by, readable without torch."""

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from histobridge.core.base_config import Config


class ContrastSettings(Config):
    """How patches of an image and of its translation are held together (PatchNCE)."""

    weight: NonNegativeFloat = 1.0
    """Weight of the contrast; 1 in CUT, 10 in FastCUT. More of it keeps structures better and changes looks less."""

    identity: bool = True
    """Images that have the look already shall keep it, by the same contrast; CUT does, FastCUT does not."""

    flip: bool = False
    """Mirror half of the images on their way through, so that the network treats both sides alike; FastCUT does."""

    temperature: PositiveFloat = 0.07
    """How clearly a patch must be closer to its own translation than to that of others."""

    patches: PositiveInt = 256
    """Patches of an image that are told apart, in each layer."""

    width: PositiveInt = 256
    """Numbers by which a patch is described."""
