"""What the training of a translator sees of a project: parts of its images with target looks, and labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Domain, TrainTranslatorConfig
from histobridge.core.errors import ProjectError
from histobridge.core.images.working import Window, WorkingImage, resample_labels
from histobridge.core.manifest import IGNORE
from histobridge.core.matching import Matching, working_image
from histobridge.core.project import Project
from histobridge.core.segment.crops import Field as Trained
from histobridge.core.segment.learn import is_labelled
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
        With target looks, in [-1, 1]: whole images, or evenly spread blocks of large ones, see `windows`. Those of the
        source with their reviewed labels where the training uses these; for BridgeCUT also with other sheaths, see
        `vary_sheaths`.

    Raises
    ------
    ProjectError
        If there are no images.
    """
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    pair = _varied_pair(project, domain, config)
    fields: list[Field] = []
    for image_id, budget in seen_of(project, domain, matching, config).items():
        image = working_image(project, image_id, matching)
        taught = domain == "source" and uses_labels(config) and _teaches(project, image_id, matching)
        classes = _classes(project, image_id, image) if taught else None
        for window in windows(image.shape, budget, None if classes is None else classes != IGNORE):
            field = image.read(window)
            if domain == "source":
                field = instant.translate(field, "source_to_target", image.look)
            fields.append(field if classes is None else Labelled(field, classes[window]))
    return [*fields, *_varied(fields, pair, config)]


def seen_of(project: Project, domain: Domain, matching: Matching, config: TrainTranslatorConfig) -> dict[str, int]:
    """Images of one domain that a training sees, by id, and about how many pixels of each; see `fields_of`."""
    ids = image_ids(project, domain)
    shapes = [working_image(project, image_id, matching).shape for image_id in ids]
    wanted = domain == "source" and uses_labels(config)
    labelled = [wanted and _teaches(project, image_id, matching) for image_id in ids]
    copies = 1 + 2 * LEVELS if _varied_pair(project, domain, config) else 1
    budgets = shared(shapes, DOMAIN_PIXELS // copies, labelled)
    return {image_id: budget for image_id, budget in zip(ids, budgets, strict=True) if budget}


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


def _teaches(project: Project, image_id: str, matching: Matching) -> bool:
    """Whether a source image has labels, and they are not held out."""
    record = project.image(image_id)
    return (not matching.subjects or record.subject in matching.subjects) and is_labelled(project, record)


def _classes(project: Project, image_id: str, image: WorkingImage) -> NDArray[np.uint8]:
    """Class values at the working scale, (Y, X) uint8, 255 where not reviewed."""
    from histobridge.core.scale import read_labels

    return resample_labels(read_labels(project, image_id), image.zoom)


def shared(shapes: Sequence[tuple[int, ...]], total: int, labelled: Sequence[bool] = ()) -> list[int]:
    """Share the pixels that are read of a domain among its images.

    Parameters
    ----------
    shapes : sequence of (Y, X)
    total : int
        Pixels; at most a block more is read.
    labelled : sequence of bool, optional
        Images that come first where not all can be read; none by default.

    Returns
    -------
    list of int
        Of each image: all of a small one, an equal share of what they leave of a large one. Where that is less than a
        block, a block of some of the large ones, evenly spread among them, and nothing of the others.
    """
    sizes = [rows * columns for rows, columns in shapes]
    left, share = total, 0
    for done, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - done)
        if size > share:
            break
        left -= size
    if share >= BLOCK_PX**2 or max(sizes) <= share:
        return [min(size, share) for size in sizes]
    found = [size if size <= share else 0 for size in sizes]
    for first in (True, False):
        group = [
            number
            for number, size in enumerate(sizes)
            if size > share and (bool(labelled) and labelled[number]) == first
        ]
        costs = [min(sizes[number], BLOCK_PX**2) for number in group]
        for place in _evenly(len(group), left * len(group) // max(1, sum(costs))):
            found[group[place]] = costs[place]
            left -= costs[place]
    if not any(found):
        found[sizes.index(max(sizes))] = min(max(sizes), BLOCK_PX**2)
    return found


def windows(shape: tuple[int, ...], budget: int, known: NDArray[np.bool_] | None = None) -> list[Window]:
    """Choose what is read of an image.

    Parameters
    ----------
    shape : (Y, X)
    budget : int
        Pixels, about.
    known : ndarray (Y, X) bool, optional
        Where there are labels; blocks with some come first.

    Returns
    -------
    list of tuple of slice
        All of the image if that is no more than `budget`, else evenly spread blocks.
    """
    if shape[0] * shape[1] <= budget:
        return [(slice(0, shape[0]), slice(0, shape[1]))]
    sides = [min(BLOCK_PX, size) for size in shape]
    most = [-(-size // side) for size, side in zip(shape, sides, strict=True)]
    count = max(1, budget // (sides[0] * sides[1]))
    rows = min(most[0], max(1, round((count * shape[0] / shape[1]) ** 0.5)))
    columns = min(most[1], max(1, count // rows))
    spread = _grid(shape, sides, (min(most[0], max(1, count // columns)), columns))
    if known is None:
        return spread
    found = [window for window in spread if known[window].any()]
    others = [window for window in _grid(shape, sides, most) if known[window].any() and window not in found]
    found += [others[place] for place in _evenly(len(others), len(spread) - len(found))]
    rest = [window for window in spread if window not in found]
    return found + [rest[place] for place in _evenly(len(rest), len(spread) - len(found))]


def _grid(shape: tuple[int, ...], sides: Sequence[int], counts: Sequence[int]) -> list[Window]:
    """Blocks in even rows and columns, each in the middle of its share of the image."""
    rows, columns = (
        [int(np.clip((place + 0.5) * size / count - side / 2, 0, size - side)) for place in range(count)]
        for size, side, count in zip(shape, sides, counts, strict=True)
    )
    return [(slice(y, y + sides[0]), slice(x, x + sides[1])) for y in rows for x in columns]


def _evenly(count: int, wanted: int) -> list[int]:
    """Take so many of the places 0 to count - 1, evenly spread; all if there are no more."""
    taken = max(0, min(count, wanted))
    return [int((place + 0.5) * count / taken) for place in range(taken)]
