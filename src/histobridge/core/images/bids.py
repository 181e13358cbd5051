"""BIDS microscopy datasets: images, subjects, inherited sidecars, masks under ``derivatives``.

Tables (``participants.tsv``, ``samples.tsv``) are not read: what counts is which files are there.
Source: BIDS 1.9, microscopy and the inheritance principle.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histobridge.core.images.problem import FileError
from histobridge.core.images.raster import ENDINGS, is_zarr, stem
from histobridge.core.images.tiff import MICROMETRES

DESCRIPTION = "dataset_description.json"
MASK = re.compile(r"(?P<image>.+)_seg-(?P<kind>[A-Za-z0-9]+)(?P<origin>-[A-Za-z0-9]+)?")
NO_PIXELS = frozenset({"photo", "participants", "samples", "sessions"})


@dataclass(frozen=True)
class BidsImage:
    """One image of a dataset.

    Parameters
    ----------
    path, root : Path
        The file and the dataset.
    entities : dict
        Such as ``{"sub": "rat1", "sample": "data1"}``.
    suffix : str
        Such as ``SEM``.
    masks : tuple of (str, Path)
        Files under ``derivatives`` that are named after the image, with what they say they show.
    """

    path: Path
    root: Path
    entities: dict[str, str]
    suffix: str
    masks: tuple[tuple[str, Path], ...]

    @property
    def subject(self) -> str:
        """Label of the subject, without ``sub-``."""
        return self.entities["sub"]

    @property
    def section(self) -> str:
        """Sample, and what else tells the images of one subject apart."""
        named = {"sample": "", "ses": "ses-", "stain": "stain-", "run": "run-", "chunk": "chunk-"}
        return "_".join(mark + self.entities[key] for key, mark in named.items() if key in self.entities)

    def pixel_sizes_um(self) -> tuple[tuple[float, float], str] | None:
        """Return (height, width) of a pixel in µm and the sidecar that states it; none if none does.

        Raises
        ------
        FileError
            If a sidecar is no JSON, or what it states is no size in a unit of length.
        """
        stated: dict[str, tuple[Any, Path]] = {}
        for sidecar in self._sidecars():
            stated.update({key: (value, sidecar) for key, value in _read(sidecar).items()})
        if "PixelSize" not in stated:
            return None
        value, sidecar = stated["PixelSize"]
        unit = MICROMETRES.get(str(stated.get("PixelSizeUnits", ("",))[0]).lower())
        sizes = value if isinstance(value, list) else [value, value]
        if unit is None or len(sizes) < 2 or not all(isinstance(size, int | float) and size > 0 for size in sizes):
            found = f"states PixelSize {value} in {stated.get('PixelSizeUnits', ('no unit',))[0]}"
            raise FileError(sidecar, found, 'write PixelSize as [x, y] and PixelSizeUnits as "um", "nm" or "mm"')
        return (sizes[1] * unit, sizes[0] * unit), sidecar.name

    def _sidecars(self) -> Iterator[Path]:
        """Yield the JSON files that apply, the general before the special."""
        folders = [self.path.parent]
        while folders[-1] != self.root:
            folders.append(folders[-1].parent)
        for folder in reversed(folders):
            applying = []
            for path in folder.glob("*.json"):
                entities, suffix = parse(path.stem)
                if suffix == self.suffix and entities.items() <= self.entities.items():
                    applying.append((len(entities), path))
            yield from (path for _, path in sorted(applying))


def root_of(path: Path) -> Path | None:
    """Return the dataset that a path is or lies in: the nearest folder with a description and subjects."""
    path = path.absolute()
    for folder in (path, *path.parents):
        if (folder / DESCRIPTION).is_file() and any(folder.glob("sub-*")):
            return folder
    return None


def images(root: Path) -> list[BidsImage]:
    """Return the images of the dataset in a folder, in order."""
    masks = _masks(root)
    found = []
    for path in sorted(root.glob("sub-*/**/*")):
        entities, suffix = parse(stem(path))
        shown = path.name.lower().endswith(ENDINGS) or (path.suffix == ".zarr" and is_zarr(path))
        if shown and "sub" in entities and suffix not in NO_PIXELS and not MASK.fullmatch(stem(path)):
            found.append(BidsImage(path, root, entities, suffix, tuple(masks.get(stem(path), ()))))
    return found


def parse(name: str) -> tuple[dict[str, str], str]:
    """Split a name such as ``sub-rat1_sample-data1_SEM`` into entities and suffix."""
    *pairs, suffix = name.split("_")
    parts = (pair.partition("-") for pair in pairs)
    return {key: value for key, dash, value in parts if dash}, suffix


def _masks(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Masks by the name of their image; drawn ones and those in ``labels`` before others."""
    found: dict[str, list[tuple[str, Path]]] = {}
    paths = [path for path in root.glob("derivatives/**/*_seg-*") if path.name.lower().endswith(ENDINGS)]
    for path in sorted(paths, key=lambda path: ("-manual." not in path.name, "labels" not in path.parts, path)):
        if match := MASK.fullmatch(stem(path)):
            found.setdefault(match["image"], []).append((match["kind"], path))
    return found


def _read(path: Path) -> dict[str, Any]:
    """Read one sidecar."""
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise FileError(path, f"is no readable JSON ({error})", "correct the file; it describes images") from error
    return values if isinstance(values, dict) else {}
