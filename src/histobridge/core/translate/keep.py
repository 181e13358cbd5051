"""Keep what a trained translator makes of an image: the job `translate-image`."""

from typing import Any

from histobridge.core.config import Direction, TranslateImageConfig
from histobridge.core.device import quick_device
from histobridge.core.errors import InputError
from histobridge.core.job import Job, Progress, standing
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import load_matching, working_image
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.tiles import Window
from histobridge.core.translate.base import check_direction, translate_blocks
from histobridge.core.translate.learn import load_translator
from histobridge.core.translations import (
    TranslationCard,
    begin_translation,
    blocks,
    card_of,
    read_translation,
    to_bytes,
    working_window,
)


def translate_image(project: Project, run: Run, config: TranslateImageConfig) -> Job[dict[str, Any]]:
    """Translate an image to the look of the other domain, block by block, what lies near `config.window` first.

    Memory does not grow with the image. Blocks that this or another run has made are not made again.

    Parameters
    ----------
    project : Project
    run : Run
        Gets ``translated/<image>/``, see `histobridge.core.translations`.
    config : TranslateImageConfig

    Yields
    ------
    Progress
        After every block.

    Returns
    -------
    dict
        ``image``, ``translator``, ``matching``, and the number of ``blocks`` that there are now.

    Raises
    ------
    InputError
        If the window lies outside the image, or the translator has no such direction.
    ProjectError
        If there is no such image, no trained translator, no matching, or the translator does not fit the matching.
    """
    record = project.image(config.image)
    window = _window(record, config)
    named = project.need("translator", config.translator, "train one on the Translate page, or name its run")
    settled = run.settle(translator=named.id, matching=load_matching(project, config.matching).run)
    matching = load_matching(project, settled["matching"])
    device, words = quick_device() if config.device == "auto" else (config.device, "")
    translator = load_translator(project, settled["translator"], matching, device)
    direction: Direction = "target_to_source" if record.domain == "target" else "source_to_target"
    check_direction(translator, direction)
    image = working_image(project, record.id, matching)
    card = card_of(project, record.id, settled["translator"], matching)
    pixels = begin_translation(run.path, card)
    order = _ordered(card, window, whole=config.whole)
    message = f"translating {record.id} {words}".rstrip()
    yield Progress(0, len(order), message)
    for done, block in enumerate(order, start=1):
        made = read_translation(project, card, block)
        if not made.all():
            job = translate_blocks(translator, image.read, image.shape, block, direction, image.look)
            made = to_bytes((yield from standing(job, Progress(done - 1, len(order), message))))
        pixels[block] = made
        yield Progress(done, len(order), message)
    return {"image": record.id, **settled, "blocks": len(order)}


def _window(record: ImageRecord, config: TranslateImageConfig) -> Window:
    """Native pixels that come first; the whole image, and so its middle, if nothing is said."""
    top, left, bottom, right = config.window or (0, 0, *record.shape)
    if bottom > record.shape[0] or right > record.shape[1]:
        raise InputError(
            f"window: {top} {left} {bottom} {right} found, but image {record.id} has {record.shape[0]} rows and "
            f"{record.shape[1]} columns; choose a window inside"
        )
    return slice(top, bottom), slice(left, right)


def _ordered(card: TranslationCard, window: Window, *, whole: bool) -> list[Window]:
    """Blocks that are wanted, those nearest to the middle of the window first."""
    first = working_window(window, card.zoom, card.shape)
    middle = [side.start + side.stop for side in first]

    def distance(block: Window) -> int:
        return sum((side.start + side.stop - at) ** 2 for side, at in zip(block, middle, strict=True))

    return sorted(blocks(card.shape, None if whole else first), key=distance)
