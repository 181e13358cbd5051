"""What there is to import in the layers that the user has open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Image, Labels


@dataclass(frozen=True, slots=True)
class LayerPixels:
    """An open layer of the user's, as far as an import wants to know.

    Parameters
    ----------
    name : str
    image : array-like
        (Y, X), (Z, Y, X) or (Y, X, RGB); perhaps lazy.
    labels : array-like or None
        Of the same size.
    pixel_size_um : float or None
        None when the layer's scale has no unit of length.
    subject : str
        Animal or patient, if the layer says so.
    rgb : bool
        Whether the last axis of the image is colour.
    """

    name: str
    image: Any
    labels: Any
    pixel_size_um: float | None
    subject: str = ""
    rgb: bool = False


def take(layer: "Image", masks: Sequence["Labels"]) -> LayerPixels:
    """Describe an image layer and the topmost labels layer of its size that lies on it; no pixel is read yet."""
    image = layer.data[0] if layer.multiscale else layer.data
    shape = image.shape[:-1] if layer.rgb else image.shape
    corner = tuple(layer.translate)
    over = [mask for mask in masks if not mask.multiscale and tuple(mask.translate) == corner]
    fitting = [mask.data for mask in over if mask.data.shape == shape]
    said = layer.metadata.get("histobridge", {})
    size = said.get("pixel_size_um") or _um(layer.scale[-1], layer.units[-1])
    return LayerPixels(layer.name, image, fitting[-1] if fitting else None, size, said.get("subject", ""), layer.rgb)


def _um(size: float, unit: Any) -> float | None:
    """Turn the scale of a layer into µm; none if its unit is pixels."""
    if not unit.is_compatible_with("um"):
        return None
    return float((size * unit).to("um").magnitude)
