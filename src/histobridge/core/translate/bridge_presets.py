"""BridgeCUT whole and large, for a GPU, and for two cores; readable without torch."""

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.bridge_settings import BridgeSettings

LARGE = BridgeSettings(steps=3, segmenter_width=32, patches=256, projection_width=256)

BRIDGECUT: dict[str, TrainTranslatorConfig] = {
    "faithful": TrainTranslatorConfig(
        method="bridgecut",
        steps=200_000,
        crop_px=256,
        channels=64,
        blocks=9,
        published=True,
        learning_rate=2e-4,
        checkpoint_every=2000,
        bridge=LARGE,
    ),
    "fast": TrainTranslatorConfig(
        method="bridgecut",
        steps=20_000,
        batch_size=4,
        crop_px=128,
        channels=32,
        blocks=6,
        learning_rate=4e-4,
        half_precision=True,
        checkpoint_every=500,
        bridge=LARGE.model_copy(update={"steps": 2, "segmenter_width": 16}),
    ),
    "cpu": TrainTranslatorConfig(method="bridgecut", steps=500, learning_rate=1e-3),
}
"""It was not published; `faithful` has all parts, at the size of the networks of CUT (arXiv 2007.15651) and with its
discriminator (`published`)."""
