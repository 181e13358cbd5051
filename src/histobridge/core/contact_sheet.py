"""One picture of a whole loop: source, translated, target, proposal, truth."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histobridge.core.files import write_bytes
from histobridge.core.manifest import ClassSpec
from histobridge.core.matching import load_matching, working_image
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.sample import read_truth
from histobridge.core.translate.base import translate_window
from histobridge.core.translate.learn import load_translator

SIDE = 230
GAP = 8
HEADING = 26
OPACITY = 0.45
COLUMNS = ("source (labelled)", "source, translated", "target (unlabelled)", "proposal", "hidden truth")


def contact_sheet(project: Project, translator_id: str, proposals: str, file: Path) -> Path:
    """Draw one row an image pair and save it as PNG.

    Parameters
    ----------
    project : Project
        The synthetic sample, with its truth.
    translator_id : str
        Run of the translator shown, or `instant`.
    proposals : str
        Run of the proposals shown.
    file : Path

    Returns
    -------
    Path
        `file`.
    """
    from io import BytesIO

    from PIL import Image, ImageDraw, ImageFont

    pairs = list(zip(project.images("source"), project.images("target"), strict=False))
    width = len(COLUMNS) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, HEADING + len(pairs) * (SIDE + GAP)), "#1b1f24")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for number, heading in enumerate(COLUMNS):
        draw.text((GAP + number * (SIDE + GAP) + SIDE / 2, HEADING / 2), heading, "#e6e6e6", font, anchor="mm")
    for row, (source, target) in enumerate(pairs):
        panels = _panels(project, translator_id, proposals, (source.id, target.id))
        for column, panel in enumerate(panels):
            picture = Image.fromarray(panel).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            sheet.paste(picture, (GAP + column * (SIDE + GAP), HEADING + row * (SIDE + GAP)))
    stream = BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    write_bytes(file, stream.getvalue())
    return file


def _panels(project: Project, translator_id: str, proposals: str, ids: tuple[str, str]) -> list[NDArray[np.uint8]]:
    """The five panels of one row, each (Y, X, 3) uint8."""
    matching = load_matching(project)
    source, target = (working_image(project, image_id, matching) for image_id in ids)
    translator = load_translator(project, translator_id, matching)
    window = (slice(0, source.shape[0]), slice(0, source.shape[1]))
    translated = translate_window(translator, source.read, source.shape, window, "source_to_target", source.look)
    whole = (slice(None), slice(None))
    native = _to_grey(project.pixels(ids[1]).read((slice(0, 1 << 30), slice(0, 1 << 30))))
    proposed, _ = read_proposal(project, proposals, ids[1], whole)
    return [
        _grey(source.whole()),
        _grey(translated),
        _grey(target.whole()),
        painted(native, proposed, project.classes),
        painted(native, read_truth(project, ids[1]), project.classes),
    ]


def painted(image: NDArray[np.uint8], classes: NDArray[np.uint8], specs: tuple[ClassSpec, ...]) -> NDArray[np.uint8]:
    """Lay class colours over a grey image; (Y, X) uint8 each, result (Y, X, 3) uint8."""
    result = np.repeat(image[..., None], 3, axis=2).astype(np.float32)
    for spec in specs:
        colour = np.array([int(spec.color[start : start + 2], 16) for start in (1, 3, 5)], np.float32)
        chosen = classes == spec.value
        result[chosen] = (1 - OPACITY) * result[chosen] + OPACITY * colour
    return np.rint(result).astype(np.uint8)


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn [-1, 1] into three equal channels of uint8."""
    return np.repeat(np.rint((image + 1) * 127.5).astype(np.uint8)[..., None], 3, axis=2)


def _to_grey(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Stretch native grey values to uint8 between the 0.5 and 99.5 percentile."""
    low, high = np.percentile(image, (0.5, 99.5))
    scaled: NDArray[np.uint8] = np.rint(np.clip((image - low) / max(high - low, 1), 0, 1) * 255).astype(np.uint8)
    return scaled
