"""How segmenters are trained."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from histobridge.core.base_config import Config, Seed
from histobridge.core.segment.terms.settings import PretrainTermSettings, TermSettings


class SegmenterTraining(Config):
    """How a segmenter is trained."""

    preset: Literal["tiny", "cpu", "gpu"] = "cpu"
    """Network: `tiny` 0.1 M parameters (tests, demo), `cpu` MONAI UNet 1.6 M, `gpu` MONAI DynUNet 7.8 M."""

    steps: PositiveInt = 900
    """Optimizer steps; one step sees `batch_size` crops."""

    batch_size: PositiveInt = 6
    """Crops a step."""

    crop_px: PositiveInt = Field(96, multiple_of=16)
    """Side of a training crop in pixels of the working scale."""

    learning_rate: PositiveFloat = 1e-3
    """AdamW learning rate after the warm-up; decays to zero as a polynomial of power 0.9."""

    weight_decay: NonNegativeFloat = 1e-4
    """AdamW weight decay."""

    augmentation: float = Field(1.0, ge=0, le=1)
    """Strength of the random changes of look and shape: 0 none, 1 strong."""

    sheath_variation: float = Field(2.0, ge=1)
    """Sheaths (of a class that another lies inside) are also shown up to so many times thinner and thicker; 1: no."""

    background_shift: NonNegativeFloat = 0.3
    """How much darker or brighter the background is shown against the objects (standard deviation, where grey values go
    from -1 to 1); 0: no. Needs some augmentation."""

    terms: tuple[TermSettings, ...] = ()
    """Further terms of the loss: semi-supervised ones learn from images without labels."""

    pretrain_terms: tuple[PretrainTermSettings, ...] = ()
    """Terms learned alone before any label is shown, from images without labels; none: no pre-training."""

    pretrain_steps: PositiveInt = 300
    """Optimizer steps of the pre-training, if there is one."""

    average: float = Field(0.0, ge=0, lt=1)
    """Decay of the running average of the weights that is kept in place of the last ones; 0: the last ones."""

    checkpoint_every: PositiveInt = 100
    """Steps between two checkpoints."""

    seed: Seed = 0
    """Seed of weights, crops and augmentation."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes the GPU if there is one."""
