"""Settings of terms that play against a discriminator."""

from typing import Literal

from pydantic import Field, NonNegativeFloat

from histobridge.core.segment.terms.term_settings import Settings


class AdversarialSettings(Settings):
    """Of every term that plays against a discriminator, a small network that tells labelled from unlabelled."""

    weight: NonNegativeFloat = 0.01
    """Weight of the term at full strength."""

    loss: Literal["bce", "lsgan", "wgan-gp"] = "bce"
    """What the two play for: `bce` cross-entropy, `lsgan` least squares, `wgan-gp` Wasserstein and gradient penalty."""

    spectral_norm: bool = False
    """Keep the discriminator smooth by dividing its weights by their largest singular value (Miyato et al. 2018)."""

    discriminator_learning_rate: NonNegativeFloat = 5e-4
    """Adam learning rate of the discriminator; 0: it stays as it is."""


class MasksSettings(AdversarialSettings):
    """Of terms whose discriminator sees masks."""

    real: Literal["labels", "predictions"] = "labels"
    """What stands for labelled: the `labels` themselves (Hung) or `predictions` on labelled images (Zhang)."""

    with_image: bool = False
    """The discriminator sees the image beside the mask (Zhang)."""


class AdversarialMasksSettings(MasksSettings):
    """Make predictions on images without labels look like label masks (Hung et al. 2018; Zhang et al. 2017)."""

    kind: Literal["adversarial-masks"] = "adversarial-masks"
    """Which term."""


class DiscriminatorSelfTrainingSettings(MasksSettings):
    """Learn one's own classes where a discriminator takes them for labels (Hung et al. 2018)."""

    kind: Literal["discriminator-self-training"] = "discriminator-self-training"
    """Which term."""

    weight: NonNegativeFloat = 0.1
    """Weight of the term at full strength."""

    loss: Literal["bce", "lsgan"] = "bce"
    """What the two play for; `wgan-gp` gives no probability."""

    threshold: float = Field(0.2, ge=0, lt=1)
    """Pixels count where the discriminator is surer than this that they are labelled."""

    adversarial: NonNegativeFloat = 0.1
    """Weight, within the term, of fooling the same discriminator."""


class AdversarialOutputSettings(AdversarialSettings):
    """Make predictions on unlabelled images look like those on labelled ones (AdaptSegNet, Tsai et al. 2018)."""

    kind: Literal["adversarial-output"] = "adversarial-output"
    """Which term."""


class AdversarialEntropySettings(AdversarialSettings):
    """Be as sure, at the same places, on unlabelled images as on labelled ones (ADVENT, Vu et al. 2019)."""

    kind: Literal["adversarial-entropy"] = "adversarial-entropy"
    """Which term."""


class AdversarialFeaturesSettings(AdversarialSettings):
    """Let the features not tell which images are labelled (Ganin et al. 2016; Kamnitsas et al. 2017)."""

    kind: Literal["adversarial-features"] = "adversarial-features"
    """Which term."""

    scales: Literal["bottleneck", "all"] = "bottleneck"
    """Features of the `bottleneck` alone (Ganin), or of `all` resolutions together (Kamnitsas)."""
