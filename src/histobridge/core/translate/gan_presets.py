"""CycleGAN, CUT and FastCUT as published, ours for a GPU, and ours for two cores; readable without torch."""

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.contrast_settings import ContrastSettings

FEW_PATCHES = ContrastSettings(patches=128, width=64)
FAST_CONTRAST = ContrastSettings(weight=10.0, identity=False, flip=True)

PUBLISHED = TrainTranslatorConfig(
    method="cyclegan",
    steps=200_000,
    crop_px=256,
    channels=64,
    blocks=9,
    published=True,
    orientation="mirrored",
    learning_rate=2e-4,
    checkpoint_every=2000,
)
FAST = TrainTranslatorConfig(
    method="cyclegan",
    steps=20_000,
    batch_size=4,
    crop_px=128,
    channels=32,
    blocks=6,
    learning_rate=4e-4,
    half_precision=True,
    checkpoint_every=500,
)

CYCLEGAN: dict[str, TrainTranslatorConfig] = {
    "faithful": PUBLISHED,
    "fast": FAST,
    "cpu": TrainTranslatorConfig(method="cyclegan", steps=800),
}
"""Zhu et al. 2017, arXiv 1703.10593: 100 epochs, and 100 in which the rate decays, over some 1000 images."""

CUT: dict[str, TrainTranslatorConfig] = {
    "faithful": PUBLISHED.model_copy(update={"method": "cut", "steps": 400_000}),
    "fast": FAST.model_copy(update={"method": "cut"}),
    "cpu": TrainTranslatorConfig(method="cut", steps=600, contrast=FEW_PATCHES),
}
"""Park et al. 2020, arXiv 2007.15651: 200 epochs, and 200 in which the rate decays."""

FASTCUT: dict[str, TrainTranslatorConfig] = {
    "faithful": PUBLISHED.model_copy(update={"method": "fastcut", "decay": 0.25, "contrast": FAST_CONTRAST}),
    "fast": FAST.model_copy(update={"method": "fastcut", "decay": 0.25, "contrast": FAST_CONTRAST}),
    "cpu": TrainTranslatorConfig(
        method="fastcut",
        steps=800,
        decay=0.25,
        contrast=FAST_CONTRAST.model_copy(update={"patches": 128, "width": 64}),
    ),
}
"""The same paper: 150 epochs, and 50 in which the rate decays."""
