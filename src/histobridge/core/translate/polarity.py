"""Whether what is dark is dark in both domains once they are matched: losses that hold images still need that."""

from histobridge.core.matching import Matching
from histobridge.core.translator_config import TrainTranslatorConfig

UNSETTLED = "identity loss is off, since it is not certain that the polarity of the domains is the same after matching"


def polarity_is_settled(matching: Matching) -> bool:
    """Whether dark means the same in both domains once the source is brought to the look of the target.

    Parameters
    ----------
    matching : Matching

    Returns
    -------
    bool
        No where the estimate is not certain, nor where the user took the polarity against which every image that was
        looked at speaks: then it may be meant to stay different.
    """
    if not matching.certain:
        return False
    found = set(matching.polarity_by_image.values())
    return matching.polarity_from == "estimate" or found != {not matching.invert}


def with_fitting_identity(config: TrainTranslatorConfig, matching: Matching) -> TrainTranslatorConfig:
    """Switch the identity losses off where the polarity of the domains may differ: there they hold the wrong one.

    Parameters
    ----------
    config : TrainTranslatorConfig
    matching : Matching

    Returns
    -------
    TrainTranslatorConfig
        Itself where the polarity is settled, or the method has no such loss.
    """
    if polarity_is_settled(matching):
        return config
    if config.method in ("cyclegan", "syndiff"):
        return config.model_copy(update={"identity_weight": 0.0})
    if config.method in ("cut", "fastcut"):
        return config.model_copy(update={"contrast": config.contrast.model_copy(update={"identity": False})})
    return config
