"""Data folders of real images: what their masks mean, which images belong together, which pairs are compared."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec

MITOCHONDRION = ClassSpec(name="mitochondrion", value=2, color="#D55E00")
CLASSES = {
    "em-sstem-drosophila-vnc": (
        ClassSpec(name="membrane", value=1, color="#0072B2"),
        MITOCHONDRION,
        ClassSpec(name="glia", value=3, color="#009E73"),
        ClassSpec(name="synapse", value=4, color="#CC79A7"),
    ),
    "em-sbem-mito": (MITOCHONDRION,),
}
"""Name of a data folder -> classes of its masks; folders that are not here have axons in myelin sheaths."""

PAIRS = (
    "myelin-tem-mouse>myelin-sem-rat",
    "myelin-sem-rat>myelin-tem-mouse",
    "em-sstem-drosophila-vnc>em-sbem-mito",
    "em-sbem-mito>em-sstem-drosophila-vnc",
)
"""The standard pairs, source before target, in both directions."""

BLOCK = "block"
BLOCKS = 3
"""Blocks of consecutive slices that stand for subjects where a folder has none: it is one volume."""
GAP = 1
"""Slices of the index next to a held-out block that do not train either; they resemble it."""


def classes_of(pair: str) -> tuple[ClassSpec, ...]:
    """Classes of a pair, `source>target`: those of the source, in the target only where it has them too."""
    source, _, target = pair.partition(">")
    there = {spec.name for spec in CLASSES.get(target, MYELINATED_FIBRE)}
    return tuple(
        spec if spec.name in there else spec.model_copy(update={"domains": ("source",)})
        for spec in CLASSES.get(source, MYELINATED_FIBRE)
    )


def scored_classes(pair: str) -> tuple[ClassSpec, ...]:
    """Classes of a pair that both folders have: what can be proposed, and is scored."""
    return tuple(spec for spec in classes_of(pair) if "target" in spec.domains)


def read_set(folder: Path) -> list[dict]:
    """Rows of an index; images without subject get the block of slices they lie in, named as one."""
    with (folder / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    nameless = [row for row in rows if not row["subject"]]
    for number, block in enumerate(np.array_split(np.arange(len(nameless)), BLOCKS), 1):
        for index in block:
            nameless[index]["subject"] = f"{BLOCK}{number}"
    return rows


def is_block(subject: str) -> bool:
    """Whether a subject is a block of slices of one volume, next to others of it, and no animal."""
    return subject.startswith(BLOCK) and subject.removeprefix(BLOCK).isdigit()


def training_rows(rows: list[dict], held_out: str) -> list[dict]:
    """Rows that may train where a subject is held out: of other subjects, less slices next to a held-out block."""
    gap = GAP if is_block(held_out) else 0
    held = [index for index, row in enumerate(rows) if row["subject"] == held_out]
    return [row for index, row in enumerate(rows) if all(abs(index - other) > gap for other in held)]


def read_masks(folder: Path, file: str, classes: Iterable[ClassSpec]) -> np.ndarray:
    """Class values of one image, (Y, X) uint8; classes of the folder that are not asked for are background."""
    masks = np.array(Image.open(folder / "masks" / file))
    wanted = {spec.value for spec in classes}
    others = [spec.value for spec in CLASSES.get(folder.name, MYELINATED_FIBRE) if spec.value not in wanted]
    masks[np.isin(masks, others)] = 0
    return masks
