"""What is known of a trained segmenter; readable without torch."""

from importlib.metadata import version
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, model_validator

from histobridge.core.config import Config, Domain
from histobridge.core.manifest import IGNORE

CARD_SCHEMA_VERSION = 1


def _versions() -> dict[str, str]:
    """Versions of the packages that made a model."""
    return {name: version(name) for name in ("napari-histobridge", "torch", "monai")}


class ModelCard(Config):
    """Says what a segmenter's channels mean and what images it expects."""

    schema_version: int = CARD_SCHEMA_VERSION
    """Format of the model's folder."""

    preset: Literal["tiny", "cpu", "gpu"]
    """Network, see `networks.build_network`."""

    classes: tuple[str, ...]
    """Names of the classes of channels 1, 2, ...; channel 0 is background."""

    values: tuple[int, ...]
    """Label values of the same classes."""

    domain: Domain
    """The look it was trained on."""

    working_um: PositiveFloat
    """µm per pixel of the images it expects, of the domain it was trained on."""

    object_diameter_px: PositiveFloat
    """Median diameter in working pixels of the objects that set the scale."""

    quantiles: tuple[float, ...] = Field(min_length=257, max_length=257)
    """Grey quantiles of the training images at the working scale, from minimum to maximum, in [-1, 1]."""

    trained_on: tuple[str, ...]
    """Ids of the images it was trained on."""

    subjects: tuple[str, ...] = ()
    """Subjects of the source that it was held to, and that all made with it is; empty, as in old cards: all."""

    pixel_sizes_um: dict[str, PositiveFloat] = {}
    """Pixel sizes of these images when they set the scale; empty in cards of older versions and of other scales."""

    run: str = ""
    """The run that trained it."""

    versions: dict[str, str] = Field(default_factory=_versions)
    """Packages it was trained with."""

    weights_sha256: str = ""
    """Of `model.safetensors`; written when saved, checked when loaded."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.values)) != len(self.classes) or not set(self.values) <= set(range(1, IGNORE)):
            raise ValueError(f"expected values of 1 to 254, one a class {self.classes}, found values {self.values}")
        return self

    def to_channels(self, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn label values into channels; values the segmenter does not know become unlabelled."""
        return to_channels(classes, self.values)

    def to_values(self, channels: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Turn channels, such as the argmax of probabilities, into label values."""
        classes: NDArray[np.uint8] = np.array([0, *self.values], np.uint8)[channels]
        return classes


def to_channels(classes: NDArray[np.uint8], values: tuple[int, ...]) -> NDArray[np.uint8]:
    """Turn label values into channels, 1 for the first of `values`; 0 stays, all others become unlabelled (255)."""
    table = np.full(256, IGNORE, np.uint8)
    table[[0, *values]] = np.arange(len(values) + 1)
    channels: NDArray[np.uint8] = table[classes]
    return channels
