"""How a generator that was trained elsewhere becomes a translator of a project, readable without torch."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveInt

from histobridge.core.base_config import Config, Direction

Spread: TypeAlias = Literal["pooled", "interpolated"]
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


def _there(path: Path) -> Path:
    """Check that a file is there and can be read without running it; whole, as workers have another folder."""
    if path == Path():
        return path
    path = path.expanduser().absolute()
    if path.suffix.lower() in PICKLES:
        raise ValueError(
            f"a safetensors file is expected: one that ends in {path.suffix} can hide programs, so it is not opened; "
            "save the weights with safetensors.torch.save_file where the generator was trained"
        )
    if not path.is_file():
        raise ValueError("there is no such file; choose the safetensors file of a generator")
    return path


Weights: TypeAlias = Annotated[
    Path, AfterValidator(_there), Field(json_schema_extra={"files": "Weights (*.safetensors);;All files (*)"})
]


class ImportTranslatorConfig(Config):
    """Take over generators with instance norms that were trained elsewhere: residual networks as published."""

    source_to_target: Weights = Path()
    """Safetensors file of the generator that makes target images of source images; needed for tutorship."""

    target_to_source: Weights = Path()
    """Safetensors file of the other generator; needed for adaptation."""

    matching: str = ""
    """Run that matched the domains, for their scale; empty: the one in use. Grey values are left to the generators."""

    spread: Spread = "pooled"
    """Statistics of the norms: `pooled` over the whole image, or `interpolated` between tiles where the illumination
    drifts over an image."""

    tile_px: int = Field(512, multiple_of=4, ge=64, le=1024)
    """Side of the tiles in which an image is measured, at the working scale."""

    sweeps: PositiveInt = 2
    """How often an image is read to be measured; each time but the first makes one more layer exact, so that with as
    many as there are norms pooled statistics are those of the image as a whole, without its empty tiles."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to look at the result; `auto` takes the GPU if there is one."""

    @property
    def files(self) -> dict[Direction, Path]:
        """The files that were named, by direction."""
        named: dict[Direction, Path] = {
            "source_to_target": self.source_to_target,
            "target_to_source": self.target_to_source,
        }
        return {way: path for way, path in named.items() if path != Path()}
