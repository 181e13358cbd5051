"""Write open layers and the sample as files, so that they come in the same way as all images do."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import AddImagesConfig
from histobridge.widgets.open_layers import LayerPixels

FIELDS, SIDE = 3, 256


def sample_files(folder: Path) -> list[AddImagesConfig]:
    """Write the two-modality sample below `folder` and say how to import it; runs outside the GUI thread."""
    from histobridge.core.synthetic import two_modalities

    configs = []
    fields = two_modalities(FIELDS, SIDE)
    for domain in ("source", "target"):
        images, masks = folder / domain / "images", folder / domain / "masks"
        mine = [field for field in fields if field.domain == domain]
        for index, field in enumerate(mine):
            name = f"{field.subject}_{domain}{index}.tif"
            _write(images / name, field.image)
            if domain == "source":
                _write(masks / name, field.classes)
        configs.append(
            AddImagesConfig(
                domain="source" if domain == "source" else "target",
                paths=(images,),
                masks=(masks,) if domain == "source" else (),
                pixel_size_um=mine[0].pixel_size_um,
            )
        )
    return configs


def save_layers(folder: Path, taken: LayerPixels, known: AddImagesConfig) -> Sequence[AddImagesConfig]:
    """Write one open layer, and its labels, below `folder` and say how to import it; runs outside the GUI thread.

    Each has a place of its own, named after what it shows: another one of the same name must neither replace it before
    it was imported nor get its labels.
    """
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in taken.name) or "layer"
    pixels = np.asarray(taken.image)
    labels = None if taken.labels is None else np.asarray(taken.labels).astype(np.uint8)
    own = folder / _digest(pixels, labels, taken)
    image, mask = own / "images" / f"{name}.tif", own / "masks" / f"{name}.tif"
    _write(image, pixels, "rgb" if taken.rgb else "minisblack")
    changes: dict[str, Any] = {"paths": (image,)}
    if labels is not None:
        _write(mask, labels)
        changes["masks"] = (mask,)
    if taken.pixel_size_um is not None:
        changes["pixel_size_um"] = taken.pixel_size_um
    if taken.subject and not known.subject:
        changes["subject"] = taken.subject
    return [AddImagesConfig.model_validate(known.model_dump() | changes)]


def _digest(pixels: NDArray[Any], labels: NDArray[np.uint8] | None, taken: LayerPixels) -> str:
    """Tell layers apart by their pixels, their labels and whose they are."""
    digest = hashlib.sha256(f"{pixels.shape} {taken.subject} {taken.pixel_size_um}".encode())
    for part in (pixels, labels):
        if part is not None:
            digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()[:16]


def _write(path: Path, pixels: NDArray[Any], photometric: str = "minisblack") -> None:
    """Write a TIFF; that three or four sections are no colours has to be said."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric=photometric)
