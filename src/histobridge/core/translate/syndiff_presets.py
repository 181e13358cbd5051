"""SynDiff as published, ours for a GPU, and ours for two cores."""

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.syndiff_settings import SynDiffSettings

UPSTREAM = SynDiffSettings(
    width=64,
    multipliers=(1, 1, 2, 2, 4, 4),
    residual_blocks=2,
    attention_levels=(4,),
    middle_attention=True,
    latent=100,
    latent_width=256,
    spare_output=True,
    judge_width=64,
    judge_halvings=6,
    judge_time_width=256,
    learning_rate=1.6e-4,
    judge_learning_rate=1e-4,
    share_fakes=False,
    fixed_statistics=False,
)
FAST = SynDiffSettings(
    width=64,
    multipliers=(1, 2, 2, 4),
    residual_blocks=1,
    latent=64,
    latent_width=128,
    judge_width=32,
    judge_halvings=5,
    judge_time_width=128,
    learning_rate=3e-4,
    judge_learning_rate=2e-4,
)

PUBLISHED = TrainTranslatorConfig(
    method="syndiff",
    steps=100_000,
    crop_px=256,
    channels=64,
    blocks=6,
    published=True,
    orientation="upright",
    identity_weight=0.0,
    checkpoint_every=1000,
    syndiff=UPSTREAM,
)

HISTOLOGY = PUBLISHED.model_copy(
    update={
        "crop_px": 512,
        "orientation": "flipped",
        "syndiff": UPSTREAM.model_copy(update={"attention_levels": (5,)}),
    }
)

SYNDIFF: dict[str, TrainTranslatorConfig] = {
    "faithful": HISTOLOGY,
    "faithful-256": PUBLISHED,
    "fast": TrainTranslatorConfig(
        method="syndiff",
        steps=20_000,
        batch_size=4,
        crop_px=256,
        channels=32,
        blocks=6,
        half_precision=True,
        checkpoint_every=500,
        syndiff=FAST,
    ),
    "cpu": TrainTranslatorConfig(
        method="syndiff",
        steps=400,
        crop_px=64,
        channels=16,
        blocks=3,
        syndiff=SynDiffSettings(learning_rate=1e-3, tile_px=128),
    ),
}
"""`faithful` is the configuration of the histology paper (arXiv 2412.02858), crops of 512 px, attention where a crop is
16 px wide; `faithful-256` that of SynDiff's authors (arXiv 2207.08208). Both count 500 epochs over their own images;
100,000 steps of one crop are 500 epochs of 200 crops."""
