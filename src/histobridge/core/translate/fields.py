"""What the training of a translator sees of a project: parts of its images with target looks, and labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.errors import ProjectError
from histobridge.core.images.working import Window, WorkingImage, resample_labels
from histobridge.core.matching import Matching, working_image
from histobridge.core.project import Project
from histobridge.core.segment.crops import Field as Trained
from histobridge.core.segment.sheaths import LEVELS, vary_sheaths
from histobridge.core.translate.crops import Field, Labelled
from histobridge.core.translate.instant import Instant

DOMAIN_PIXELS = 1 << 26
BLOCK_PX = 512


def image_ids(project: Project, domain: Domain) -> list[str]:
    """Images of one domain, by id; training sees no others. Raises `ProjectError` if there are none."""
    ids = [record.id for record in project.images(domain)]
    if not ids:
        raise ProjectError(
            f"there are no {domain} images yet; add some (Images page, or `histobridge add --domain {domain}`)"
        )
    return ids


def fields_of(project: Project, domain: Domain, matching: Matching, config: TrainTranslatorConfig) -> list[Field]:
    """Read images of one domain at the working scale.

    Parameters
    ----------
    project : Project
    domain : {"source", "target"}
    matching : Matching
    config : TrainTranslatorConfig
        Says whether labels are used.

    Returns
    -------
    list of array, (Y, X) float32, or Labelled
        With target looks, in [-1, 1]: whole images, or evenly spread blocks of large ones. Those of the source with
        their reviewed labels where the training uses these; for BridgeCUT also with other sheaths, see `vary_sheaths`.

    Raises
    ------
    ProjectError
        If there are no images.
    """
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    ids = image_ids(project, domain)
    pair = _varied_pair(project, domain, config)
    budget = DOMAIN_PIXELS // len(ids) // (1 + 2 * LEVELS if pair else 1)
    fields: list[Field] = []
    for image_id in ids:
        image = working_image(project, image_id, matching)
        classes = _classes(project, image_id, image) if domain == "source" and uses_labels(config) else None
        for window in _windows(image.shape, budget):
            field = image.read(window)
            if domain == "source":
                field = instant.translate(field, "source_to_target", image.look)
            fields.append(field if classes is None else Labelled(field, classes[window]))
    return [*fields, *_varied(fields, pair, config)]


def uses_labels(config: TrainTranslatorConfig) -> bool:
    """Whether a training looks at labels of the source."""
    return config.class_balanced or (config.method == "bridgecut" and config.bridge.segmentation > 0)


def _varied_pair(project: Project, domain: Domain, config: TrainTranslatorConfig) -> tuple[int, int] | None:
    """Values of the enclosed and the enclosing class where images are to be shown with other sheaths too."""
    pair = project.manifest.nested_pair()
    varied = config.method == "bridgecut" and uses_labels(config) and config.bridge.sheath_variation > 1
    if domain == "target" or not varied or pair is None:
        return None
    return pair[0].value, pair[1].value


def _varied(fields: Sequence[Field], pair: tuple[int, int] | None, config: TrainTranslatorConfig) -> list[Field]:
    """Copies of labelled fields with thinner and thicker sheaths, so that thickness does not give a domain away."""
    labelled = [Trained(*field, None) for field in fields if isinstance(field, Labelled)]
    varied = vary_sheaths(labelled, pair, config.bridge.sheath_variation)
    return [Labelled(field.image, field.labels) for field in varied[len(labelled) :]]


def _classes(project: Project, image_id: str, image: WorkingImage) -> NDArray[np.uint8] | None:
    """Class values at the working scale, (Y, X) uint8, 255 where not reviewed; none if the image has no labels."""
    from histobridge.core.scale import read_labels
    from histobridge.core.segment.learn import is_labelled

    if not is_labelled(project, project.image(image_id)):
        return None
    return resample_labels(read_labels(project, image_id), image.zoom)


def _windows(shape: tuple[int, ...], budget: int) -> Sequence[Window]:
    """All of an image, or evenly spread blocks of about `budget` pixels."""
    if shape[0] * shape[1] <= budget:
        return [(slice(0, shape[0]), slice(0, shape[1]))]
    count = max(1, int((budget / BLOCK_PX**2) ** 0.5))
    rows, columns = (np.linspace(0, max(0, size - BLOCK_PX), count).astype(int) for size in shape)
    high, wide = (min(BLOCK_PX, size) for size in shape)
    return [(slice(y, y + high), slice(x, x + wide)) for y in rows for x in columns]
