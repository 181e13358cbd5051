"""Pictures of a matching: both domains at one scale, and what the source segmenter sees under either polarity."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.judge import POLARITIES, Judge, Polarity, eventful
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import Matching, working_image
from histobridge.core.project import Project

PREVIEW_PX = 192


def previews(project: Project, matching: Matching) -> dict[str, NDArray[np.uint8]]:
    """Draw one crop of each domain at the working scale, and the target in the look of the source; (Y, X) uint8."""
    from histobridge.core.translate.instant import Instant

    crops = {}
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    shown = {"source": _first_open(project.images("source")), "target": matching.images[0]}
    for domain, image_id in shown.items():
        if image_id is None:
            continue
        image = working_image(project, image_id, matching)
        crops[domain] = image.read(image.centre(PREVIEW_PX))
        if domain == "target":
            crops["matched"] = instant.translate(crops["target"], "target_to_source", image.look)
    return {name: _grey(crop) for name, crop in crops.items()}


def both_polarities(project: Project, judge: Judge, working_um: float) -> dict[Polarity, NDArray[np.uint8]]:
    """Draw one crop of the target with its grey values kept and inverted, and outlines of what is seen in each.

    It is of the image that scores highest under either polarity, for there is most to compare.

    Parameters
    ----------
    project : Project
    judge : Judge
    working_um : float
        Scale of the target, µm per working pixel.

    Returns
    -------
    dict of str to ndarray, (2 Y, 2 X, 3) uint8
        ``keep`` and ``invert``, with the outlines in the colours of the classes.
    """
    scores = judge.scores(working_um)
    best = max(scores, key=lambda name: max(scores[name].values()))
    image = judge.images(working_um)[best]
    window = eventful(image, PREVIEW_PX)
    drawn: dict[Polarity, NDArray[np.uint8]] = {}
    for polarity in POLARITIES:
        crop, probabilities = judge.predict(image, window, polarity)
        drawn[polarity] = outlined(project, _grey(crop), judge.values[probabilities.argmax(axis=0)])
    return drawn


def outlined(project: Project, grey: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the outline of each class from inside, twice as large so that a line hides little; (2 Y, 2 X, 3) uint8."""
    from skimage.segmentation import find_boundaries

    large = np.kron(classes, np.ones((2, 2), np.uint8))
    picture = np.repeat(np.kron(grey, np.ones((2, 2), np.uint8))[..., None], 3, axis=2)
    for spec in project.manifest.classes:
        inside = large == spec.value
        if inside.any():
            rgb = [int(spec.color[start : start + 2], 16) for start in (1, 3, 5)]
            picture[find_boundaries(inside, mode="inner")] = rgb
    return picture


def _grey(crop: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey values of a crop in [-1, 1]."""
    return np.asarray(np.rint((np.clip(crop, -1, 1) + 1) * 127.5), np.uint8)


def _first_open(records: list[ImageRecord]) -> str | None:
    """Id of the first image whose scale is known, labelled ones before others."""
    known = [each for each in records if each.pixel_size_um is not None or each.zoom_override is not None]
    return next((each.id for each in sorted(known, key=lambda each: not each.has_masks)), None)
