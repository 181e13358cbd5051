"""Every method with its settings: as published, fast on a GPU, and small enough for two cores; needs no torch."""

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.bridge_presets import BRIDGECUT
from histobridge.core.translate.gan_presets import CUT, CYCLEGAN, FASTCUT
from histobridge.core.translate.syndiff_presets import SYNDIFF

PRESETS: dict[str, dict[str, TrainTranslatorConfig]] = {
    "cyclegan": CYCLEGAN,
    "cut": CUT,
    "fastcut": FASTCUT,
    "syndiff": SYNDIFF,
    "bridgecut": BRIDGECUT,
}
"""By method, then by name: ``faithful``, ``fast`` and ``cpu``."""
