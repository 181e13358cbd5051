"""How a translator is trained, readable without torch."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from histobridge.core.base_config import Config, Seed
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.contrast_settings import ContrastSettings
from histobridge.core.translate.syndiff_settings import STARTED_FROM, SynDiffSettings

SIMILARITY_PX = 32
"""Smallest crop in which places of BridgeCUT's self-similarity have others around them."""

JUDGED_PX = 32
"""Smallest crop of which a published discriminator sees more than one place."""

Orientation = Literal["upright", "mirrored", "flipped", "turned"]
Method = Literal["cyclegan", "cut", "fastcut", "syndiff", "bridgecut"]


class TrainTranslatorConfig(Config):
    """Learn to give images of one domain the look of the other."""

    method: Method = "bridgecut"
    """The translation method. The default gave better labels than `instant` from SEM to TEM of nerve, with each seed;
    elsewhere it gained by less than its seeds differ, or lost: compare both in Review."""

    preset: Literal["", "faithful", "faithful-256", "fast", "cpu"] = ""
    """Where all comes from that you do not set: `faithful` as published, `fast` for a GPU, `cpu` for two cores, which
    the command line takes if you name none. For
    SynDiff `faithful` is that of the histology paper, 512 px, `faithful-256` that of its original authors."""

    matching: str = ""
    """Run that matched the domains; empty: the one in use."""

    steps: PositiveInt = 600
    """Optimizer steps, `batch_size` crops of each domain a step."""

    batch_size: PositiveInt = 1
    """Crops of each domain a step; the published methods take one."""

    crop_px: PositiveInt = Field(96, multiple_of=16)
    """Side of a training crop in pixels of the working scale."""

    channels: PositiveInt = 16
    """Channels of the first layer of the generators and discriminators."""

    blocks: PositiveInt = 4
    """Residual blocks of each generator."""

    published: bool = False
    """Networks as published; off: ours, which are smaller and upsample without a checkerboard."""

    orientation: Orientation = "turned"
    """How crops are shown: `upright` as they are, `mirrored` left to right too, `flipped` along both axes, `turned` by
    quarters too."""

    learning_rate: PositiveFloat = 5e-4
    """Adam learning rate; decays linearly to zero at the end. SynDiff has its own two."""

    decay: float = Field(0.5, gt=0, le=1)
    """Share of the steps, the last ones, over which the learning rate decays; not of SynDiff."""

    cycle_weight: NonNegativeFloat = 10.0
    """Weight of the cycle loss."""

    identity_weight: NonNegativeFloat = 5.0
    """Weight of the identity loss; SynDiff was published without. Off by itself where it is not certain that the
    polarity is the same after matching: there it would hold the wrong one."""

    contrast: ContrastSettings = ContrastSettings()
    """Of the methods `cut` and `fastcut` alone, which have neither cycle nor identity loss."""

    augment: bool = False
    """Show discriminators real and made images shifted, partly covered, brighter or darker: for very few images."""

    class_balanced: bool = False
    """Draw crops of the source around all classes equally often, where it has labels."""

    half_precision: bool = False
    """Compute in bfloat16 on GPUs that have it and on processors with AMX; losses stay in float32."""

    compiled: Literal["auto", "on", "off"] = "auto"
    """Compile the networks before they learn; `auto` does on a GPU from 2000 steps on, as it takes minutes at first."""

    parts: PositiveInt = 1
    """Compute a batch in so many parts to need less memory, with the same result; with about the same for SynDiff and
    BridgeCUT, which look at a batch as a whole too, and with `augment`. More of them by itself when memory runs out."""

    images_on_gpu: bool = True
    """Keep images in the memory of the GPU if they take at most a quarter of what is free there; slower without, with
    the same result. Off by itself when memory runs out."""

    recompute: bool = False
    """Compute networks twice to need far less memory, with the same result. On by itself when memory runs out."""

    processes: PositiveInt = 1
    """Worker processes, each with a GPU of its own, that share every batch; `batch_size` is a multiple of it. Needs the
    engine: `--engine`, or `--scheduler` for those of a cluster."""

    checkpoint_every: PositiveInt = 100
    """Steps between two checkpoints."""

    keep_best: bool = True
    """Keep the checkpoint that looks best without labels of the target; off: the last one."""

    keep_checkpoints: bool = False
    """Keep what was made of every checkpoint that is looked at, to find out later how well the best was chosen."""

    seed: Seed = 0
    """Seed of weights and crops."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes the GPU if there is one."""

    syndiff: SynDiffSettings = SynDiffSettings()
    """Of the method `syndiff` alone. It has its own learning rates and weights; what is said above of rates and cycle
    is not for it."""

    bridge: BridgeSettings = BridgeSettings()
    """Of the method `bridgecut` alone, which has neither cycle nor identity loss."""

    @model_validator(mode="before")
    @classmethod
    def _paints_anew(cls, values: Any) -> Any:
        """Refuse a SynDiff that changed its source: it is computed otherwise now, though its weights would fit."""
        settings = values.get("syndiff") if isinstance(values, dict) and values.get("method") == "syndiff" else None
        if isinstance(settings, dict) and settings.get(STARTED_FROM):
            raise ValueError("this SynDiff changes its source instead of making images anew, which is no longer there")
        return values

    @model_validator(mode="after")
    def _crops_show_similarity(self) -> "TrainTranslatorConfig":
        """Refuse crops in which nothing is as far apart as self-similarity looks."""
        if self.method == "bridgecut" and self.bridge.similarity and self.crop_px < SIMILARITY_PX:
            raise ValueError(
                f"crop_px: {self.crop_px} found, at least {SIMILARITY_PX} expected by bridgecut, whose similarity "
                "looks that far; take larger crops, or set bridge.similarity to 0"
            )
        return self

    @model_validator(mode="after")
    def _crops_can_be_judged(self) -> "TrainTranslatorConfig":
        """Refuse crops that a published discriminator sees as one pixel, of which there are no statistics."""
        if self.published and self.crop_px < JUDGED_PX:
            raise ValueError(
                f"crop_px: {self.crop_px} found, at least {JUDGED_PX} expected by discriminators as published; "
                "take larger crops, or set published to false"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        """Fill in what a preset says and nobody has set."""
        if not isinstance(values, dict) or not values.get("preset"):
            return values
        from histobridge.core.translate.presets import PRESETS

        presets = PRESETS.get(values.get("method", "bridgecut"))
        if presets is None:
            return values  # The method itself is wrong, and that is said.
        if values["preset"] not in presets:
            if any(values["preset"] in of_method for of_method in PRESETS.values()):
                raise ValueError(
                    f"preset {values['preset']!r} is of another method; choose one of {', '.join(presets)}"
                )
            return values
        chosen = presets[values["preset"]].model_dump()
        inner = {
            name: chosen[name] | value
            for name, value in values.items()
            if isinstance(value, dict) and isinstance(chosen.get(name), dict)
        }
        return chosen | values | inner
