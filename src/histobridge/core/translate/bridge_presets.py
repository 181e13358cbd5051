"""BridgeCUT whole and large, for a GPU, and for two cores; readable without torch."""

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.gan_presets import FAST, PUBLISHED

LARGE = BridgeSettings(steps=3, transport=0.01, similarity=0.2, segmenter_width=32, patches=256, projection_width=256)

BRIDGECUT: dict[str, TrainTranslatorConfig] = {
    "faithful": PUBLISHED.model_copy(update={"method": "bridgecut", "bridge": LARGE, "orientation": "turned"}),
    "fast": FAST.model_copy(
        update={"method": "bridgecut", "bridge": LARGE.model_copy(update={"steps": 2, "segmenter_width": 16})}
    ),
    "cpu": TrainTranslatorConfig(),
}
"""It was not published; `faithful` has all parts, at the size of the networks of CUT (arXiv 2007.15651), with the
discriminator of CycleGAN as published (`published`). Self-similarity and transport are in where there is a bridge of
several steps; for one step they did not earn their place (docs/decisions/0010)."""
