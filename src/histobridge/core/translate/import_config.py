"""How a generator that was trained elsewhere becomes a translator of a project, readable without torch."""

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, PositiveInt

from histobridge.core.base_config import Config

Spread: TypeAlias = Literal["pooled", "interpolated"]


class ImportTranslatorConfig(Config):
    """Take over generators with instance norms that were trained elsewhere: residual networks as published."""

    source_to_target: Path = Path()
    """Safetensors file of the generator that makes target images of source images; needed for tutorship."""

    target_to_source: Path = Path()
    """Safetensors file of the other generator; needed for adaptation."""

    matching: str = ""
    """Run that matched the domains, for their scale; empty: the latest. Grey values are left to the generators."""

    spread: Spread = "pooled"
    """Statistics of the norms: `pooled` over the whole image, or `interpolated` between tiles where the illumination
    drifts over an image."""

    tile_px: PositiveInt = Field(512, multiple_of=4, le=1024)
    """Side of the tiles in which an image is measured, at the working scale."""

    sweeps: PositiveInt = 2
    """How often an image is read to be measured; with more, pooled statistics come closer to those of the image as a
    whole."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to look at the result; `auto` takes the GPU if there is one."""
