"""Settings of BridgeCUT, readable without torch."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from histobridge.core.base_config import Config


class BridgeSettings(Config):
    """What holds a translation to its image, and how it is reached; each weight of 0 switches its part off."""

    steps: PositiveInt = Field(1, le=3)
    """Steps of the bridge from one look to the other, with the same network; 1: at once."""

    noise: NonNegativeFloat = 0.01
    """Variance of the bridge: how freely an image may stray on its way; without effect at one step."""

    transport: NonNegativeFloat = 0.0
    """Weight of the squared change that the way costs (0.01 was tried); at one step it has not earned its place."""

    segmentation: NonNegativeFloat = 3.0
    """Weight of a segmenter that must find the labels of the source in its translation; needs labels. It counts as far
    as the segmenter is right about them (`trust_in`)."""

    agreement: NonNegativeFloat = 3.0
    """Weight of the same segmenter finding in the translation of a target image what it found in the image itself; none
    without `segmentation`."""

    sheath_variation: float = Field(2.0, ge=1)
    """Labelled images are shown with sheaths so many times thinner and thicker too; 1: as they are."""

    segmenter_width: PositiveInt = 8
    """Channels of its first layer."""

    segmenter_sees_fakes: bool = True
    """The segmenter learns from translated images too; off: only from images whose look was matched."""

    similarity: NonNegativeFloat = 0.0
    """Weight of the self-similarity: what looks alike stays alike, whether dark or bright (0.2 was tried); at one step
    it has not earned its place."""

    contrast: NonNegativeFloat = 0.1
    """Weight of the contrast between patches where the segmenter is trusted: less than in CUT, since labels hold the
    image too."""

    contrast_alone: NonNegativeFloat = 1.0
    """The same where it is not trusted, or there is none, as in CUT; without effect if `contrast` is 0."""

    patches: PositiveInt = 128
    """Patches of an image that are told apart, in each layer."""

    projection_width: PositiveInt = 64
    """Numbers by which a patch is described."""

    temperature: PositiveFloat = 0.07
    """How clearly a patch must be closer to its own translation than to that of others."""

    demodulated: bool = False
    """Scale weights instead of images: no statistics at all, but harder to train; off: instance norms, fixed after
    training."""
