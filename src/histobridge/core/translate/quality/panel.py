"""The few fixed crops of both domains on which a translator is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.working import resample_labels
from histobridge.core.judge import eventful, labelled_window, spread
from histobridge.core.manifest import IGNORE
from histobridge.core.matching import Matching, working_image
from histobridge.core.project import Project
from histobridge.core.scale import read_labels, reference_class
from histobridge.core.translate.base import Image, Look, look_of
from histobridge.core.translate.instant import Instant

if TYPE_CHECKING:
    from histobridge.core.segment.model import Segmenter

CROPS = 6
CROP_PX = 160
SMALLEST_PX = 32


@dataclass(frozen=True, eq=False)
class Shown:
    """One crop.

    Parameters
    ----------
    image : (Y, X) float32
        In [-1, 1] at the working scale, in its own look.
    look : (257,) float32
        Grey quantiles of the image it comes from.
    classes : (Y, X) uint8 or None
        Its labels.
    """

    image: Image
    look: Look
    classes: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """Crops of both domains, and who looks at them.

    Parameters
    ----------
    source, target : sequence of Shown
    instant : Instant
        Polarity and grey values between them.
    segmenter : Segmenter or None
        Of the source.
    reference : int
        Class value whose objects are counted.
    """

    source: Sequence[Shown]
    target: Sequence[Shown]
    instant: Instant
    segmenter: "Segmenter | None" = None
    reference: int = 1


def panel_of_fields(source: Sequence[Image], target: Sequence[Image], instant: Instant) -> Panel:
    """Show the middles of some images, (Y, X) float32 in [-1, 1], each in its own look; without a segmenter."""
    shown = [[Shown(_middle(field), look_of(field)) for field in fields[:CROPS]] for fields in (source, target)]
    return Panel(shown[0], shown[1], instant)


def _middle(field: Image) -> Image:
    parts = [slice(max(0, (size - CROP_PX) // 2), max(0, (size - CROP_PX) // 2) + CROP_PX) for size in field.shape]
    return field[parts[0], parts[1]]


def panel_of_project(project: Project, matching: Matching, device: str = "auto") -> Panel | None:
    """Choose crops of the labelled source images and of the target, subjects taking turns.

    Parameters
    ----------
    project : Project
    matching : Matching
        Without a segmenter or labels any source images are shown, and nobody looks at structures.
    device : {"auto", "cpu", "cuda"}
        Of the segmenter.

    Returns
    -------
    Panel or None
        None where the images of a domain are too small to measure anything.
    """
    from histobridge.core.segment.learn import labelled_images
    from histobridge.core.segment.model import Segmenter

    segmenter = Segmenter.load(project.run(matching.segmenter).path, device) if matching.segmenter else None
    labelled = labelled_images(project, "source", matching.subjects) if segmenter else []
    names = {
        "source": labelled or [record.id for record in project.images("source")],
        "target": [record.id for record in project.images("target")],
    }
    shown: dict[str, list[Shown]] = {}
    for domain, ids in names.items():
        shown[domain] = []
        for record in spread([project.image(name) for name in ids], CROPS):
            image = working_image(project, record.id, matching)
            window, classes = eventful(image, CROP_PX), None
            if domain == "source" and labelled:
                labels = resample_labels(read_labels(project, record.id), image.zoom)
                window = labelled_window(image, labels != IGNORE, CROP_PX)
                classes = labels[window]
            if min(image.shape) >= SMALLEST_PX:
                shown[domain].append(Shown(image.read(window), image.look, classes))
    if not shown["source"] or not shown["target"]:
        return None
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    reference = reference_class(project.manifest, "source").value
    return Panel(shown["source"], shown["target"], instant, segmenter, reference)
