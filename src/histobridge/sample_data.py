"""File > Open Sample > HistoBridge."""

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]

GAP = 1.05


def two_modalities() -> list[LayerData]:
    """Return a TEM-like image with its labels and, to the right of it, an SEM-like image without."""
    from histobridge.core.manifest import MYELINATED_FIBRE
    from histobridge.core.synthetic import two_modalities as draw

    source, target = draw(fields=1, size=512)
    colors: dict[int | None, str] = {None: "transparent"}
    colors |= {spec.value: spec.color for spec in MYELINATED_FIBRE}
    shift = (0.0, GAP * source.image.shape[1] * source.pixel_size_um)
    labels = {"colormap": colors, "opacity": 0.4}
    return [
        (source.image, _described("TEM (labelled)", source), "image"),
        (source.classes, _described("TEM labels", source) | labels, "labels"),
        (target.image, _described("SEM (unlabelled)", target) | {"translate": shift}, "image"),
    ]


def _described(name: str, field: Any) -> dict[str, Any]:
    """Name, scale in µm and what HistoBridge wants to know of an image."""
    known = {"pixel_size_um": field.pixel_size_um, "domain": field.domain, "subject": field.subject}
    size = (field.pixel_size_um, field.pixel_size_um)
    return {"name": name, "scale": size, "units": ("µm", "µm"), "metadata": {"histobridge": known}}
