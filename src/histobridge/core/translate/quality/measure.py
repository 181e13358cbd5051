"""Measure a translator on a panel of crops, without labels of the target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from histobridge.core.base_config import Direction
from histobridge.core.metrics import dice_of_shown
from histobridge.core.translate.base import Image, Look, MeasuresImages, Translator
from histobridge.core.translate.quality.boundary import boundary_displacement
from histobridge.core.translate.quality.consistency import consistency
from histobridge.core.translate.quality.cycle import cycle_score, disturbed
from histobridge.core.translate.quality.evidence import Evidence, structure_picture, tile_picture
from histobridge.core.translate.quality.features import (
    Features,
    filter_features,
    segmenter_features,
    standardised,
    windows,
)
from histobridge.core.translate.quality.frechet import frechet_distance
from histobridge.core.translate.quality.grey import grey_distance
from histobridge.core.translate.quality.hallucination import hallucinated_share, hallucination_map
from histobridge.core.translate.quality.kernel_distance import kernel_distance, lag_error
from histobridge.core.translate.quality.lines import FARTHER
from histobridge.core.translate.quality.objects import objects_kept
from histobridge.core.translate.quality.panel import Panel, Shown
from histobridge.core.translate.quality.report import Cycle, Looks, Quality, Structure, WayQuality
from histobridge.core.translate.quality.spectrum import spectrum_distance
from histobridge.core.translate.quality.tiling import SMALLEST_TILE, InTiles, in_tiles
from histobridge.core.translate.quality.upright import upright
from histobridge.core.translate.quality.verdict import judged

if TYPE_CHECKING:
    from histobridge.core.segment.model import Segmenter

THERE: Direction = "source_to_target"
BACK: Direction = "target_to_source"
BLIND = 0.1
"""Share of what is labelled in the source, as a share of the image, below which a segmenter hardly finds anything."""
OPPOSITE: dict[Direction, Direction] = {THERE: BACK, BACK: THERE}


def measure(translator: Translator, panel: Panel) -> Quality:
    """Measure and judge a translator, but for how its tiles join, which takes longer than all the rest.

    Parameters
    ----------
    translator : Translator
        What it does not bring back, as it has one direction only, the instant map does for the segmenter to look at.
    panel : Panel

    Returns
    -------
    Quality
        Judged.
    """
    return judged(_quality(_ways(translator, panel), panel)[0])


def examine(translator: Translator, panel: Panel) -> tuple[Quality, dict[str, Evidence]]:
    """Measure and judge a translator and how its tiles join, and show where it invents and where tiles can be seen.

    Parameters
    ----------
    translator : Translator
        See `measure`.
    panel : Panel

    Returns
    -------
    quality : Quality
        Judged.
    pictures : dict of array, (Y, X, 3) uint8
        ``structures``, where a segmenter looked at labelled images, and ``tiles``; see `structure_picture` and
        `tile_picture`.
    """
    ways = _ways(translator, panel)
    quality, changes = _quality(ways, panel)
    cut = {way.direction: _in_tiles(translator, way.direction, way.start[0]) for way in ways}
    pictures = {"tiles": tile_picture(list(cut.values()))}
    if changes:
        there = ways[0]
        pictures["structures"] = structure_picture([one.image for one in there.start], there.returned, changes)
    return judged(quality.model_copy(update={"tiling": {way: tiles.joined for way, tiles in cut.items()}})), pictures


def _ways(translator: Translator, panel: Panel) -> list["_Way"]:
    return [_Way(translator, panel, direction) for direction in (THERE, BACK) if direction in translator.directions]


def _quality(ways: Sequence["_Way"], panel: Panel) -> tuple[Quality, list[NDArray[np.float32]]]:
    """What was found, not judged, and the hallucination map of each labelled crop."""
    structure, changes = _structure(ways[0], panel)
    return Quality(ways={way.direction: way.quality() for way in ways}, structure=structure), changes


def _in_tiles(translator: Translator, direction: Direction, shown: Shown) -> InTiles:
    """Look at one crop in tiles of a third of its side, or in tiles of the translator's own.

    Where the crop is too small to show a border of these, it is continued by its reflection.
    """
    image = shown.image
    tile = max(SMALLEST_TILE, min(image.shape) // 3)
    own = translator.alignment
    if own >= SMALLEST_TILE:
        image = np.pad(image, [(0, max(0, own + tile - size)) for size in image.shape], mode="reflect")
        tile = max(tile, own)
    return in_tiles(translator, image, direction, shown.look, tile)


class _Way:
    """Fakes of one direction, and what comes back of them."""

    def __init__(self, translator: Translator, panel: Panel, direction: Direction):
        self.panel, self.direction = panel, direction
        self.start, self.goal = (panel.source, panel.target) if direction == THERE else (panel.target, panel.source)
        self.look: Look = panel.instant.target_look if direction == THERE else panel.instant.source_look
        homewards = OPPOSITE[direction]
        self.returns = homewards in translator.directions
        self.keeps_looks = self.returns and isinstance(translator, MeasuresImages)  # generators from elsewhere
        back = translator if self.returns else panel.instant
        random = np.random.default_rng(0)
        self.fakes = [translator.translate(shown.image, direction, shown.look) for shown in self.start]
        self.back = [back.translate(fake, homewards, self.look) for fake in self.fakes] if self.returns else []
        noisy = [disturbed(fake, random) for fake in self.fakes]
        self.returned = [back.translate(fake, homewards, self.look) for fake in noisy]

    def quality(self) -> WayQuality:
        """Measure everything that needs no labels."""
        bare = [self.panel.instant.translate(shown.image, self.direction, shown.look) for shown in self.start]
        real = [shown.image for shown in self.goal]
        sides = [real, bare, self.fakes]
        features = [self._features(images) for images in sides]
        scaled = standardised(np.concatenate(features[:2]), *features)
        by_image = [_by_image(rows, images) for rows, images in zip(scaled, sides, strict=True)]
        wanted = [shown.image for shown in self.start]
        if not self.keeps_looks:
            # What comes back has the look of its domain: so has what it is compared with, else none could be perfect.
            wanted = [self.panel.instant.translate(image, OPPOSITE[self.direction], self.look) for image in bare]
        return WayQuality(
            cycle=_cycle(wanted, self.back) if self.returns else None,
            robust=_cycle(wanted, self.returned) if self.returns else None,
            looks=_looks((real, scaled[0]), (self.fakes, scaled[2])),
            instant=_looks((real, scaled[0]), (bare, scaled[1])),
            agreement=self._agreement(bare),
            lag_error=lag_error(by_image[0], by_image[1], by_image[2], FARTHER),
            upright=upright(self.fakes, bare),
        )

    def _agreement(self, bare: Sequence[Image]) -> float | None:
        """Compare what the segmenter finds in fakes and in images whose polarity and grey values alone were matched.

        Where it hardly finds anything in these, there is nothing to agree with: that it does in fakes is the point.
        """
        segmenter = self.panel.segmenter
        if segmenter is None or self.direction == THERE:
            return None
        found = [[_classes(segmenter, image) for image in images] for images in (self.fakes, bare)]
        labels = [shown.classes for shown in self.panel.source if shown.classes is not None]
        if _share(found[1], segmenter.card.values) < BLIND * _share(labels, segmenter.card.values):
            return None
        return dice_of_shown(found[0], found[1], segmenter.card.values)

    def _features(self, images: Sequence[Image]) -> Features:
        if self.panel.segmenter is None:
            return filter_features(images)
        return segmenter_features(self.panel.segmenter)([self._for_segmenter(image) for image in images])

    def _for_segmenter(self, image: Image) -> Image:
        """Bring images to the look that the segmenter knows; those of the target by their polarity and grey values."""
        if self.direction == BACK:
            return image
        return self.panel.instant.translate(image, BACK, self.look)


def _share(maps: Sequence[NDArray[np.uint8]], values: Sequence[int]) -> float:
    """Share of the pixels that are of one of some classes, mean over maps; 0 without any."""
    return float(np.mean([np.isin(one, values).mean() for one in maps])) if maps else 0.0


def _by_image(features: Features, images: Sequence[Image]) -> list[Features]:
    """Part the windows by the image they are of."""
    counts = [len(windows([image])) for image in images]
    return np.split(features, np.cumsum(counts)[:-1])


def _looks(real: tuple[Sequence[Image], Features], fake: tuple[Sequence[Image], Features]) -> Looks:
    """Distances between two sets of images with their features."""
    return Looks(
        kid=kernel_distance(real[1], fake[1]),
        fid=frechet_distance(real[1], fake[1]),
        grey=grey_distance(real[0], fake[0]),
        spectrum=spectrum_distance(real[0], fake[0]),
    )


def _cycle(wanted: Sequence[Image], back: Sequence[Image]) -> Cycle:
    """Mean scores of images and what came back of them."""
    scores = [cycle_score(one, other) for one, other in zip(wanted, back, strict=True)]
    return Cycle(
        ssim=float(np.mean([score.ssim for score in scores])),
        psnr_db=float(np.mean([score.psnr_db for score in scores])),
        l1=float(np.mean([score.l1 for score in scores])),
    )


def _structure(way: _Way, panel: Panel) -> tuple[Structure | None, list[NDArray[np.float32]]]:
    """Compare what the source segmenter finds before and after with the labels; nothing without either.

    The maps say where it finds another class.
    """
    segmenter = panel.segmenter
    shown = [one for one in panel.source if one.classes is not None]
    if segmenter is None or way.direction == BACK or len(shown) < len(panel.source):
        return None, []
    labels = [one.classes for one in shown if one.classes is not None]

    before = [_probabilities(segmenter, one.image) for one in shown]
    after = [_probabilities(segmenter, image) for image in way.returned]
    classes = [[segmenter.card.to_values(one.argmax(axis=0)) for one in side] for side in (before, after)]
    agreement = consistency(classes[0], classes[1], labels, segmenter.card.values)
    if agreement is None:
        return None, []
    kept = objects_kept(*([one == panel.reference for one in side] for side in reversed(classes)))
    borders = boundary_displacement(way.fakes, labels)
    own = boundary_displacement([one.image for one in shown], labels)
    chance = boundary_displacement([_elsewhere(one.image) for one in shown], labels)
    changes = [hallucination_map(one, other) for one, other in zip(before, after, strict=True)]
    found = Structure(
        dice_before=agreement.before,
        dice_after=agreement.after,
        count=kept.count if kept else None,
        size=kept.size if kept else None,
        hallucinated=float(np.mean([hallucinated_share(change) for change in changes])),
        boundary_px=borders.median_px if borders else None,
        boundary_high_px=borders.high_px if borders else None,
        boundary_before_px=own.median_px if own else None,
        boundary_chance_px=chance.median_px if chance else None,
    )
    return found, changes


def _elsewhere(image: Image) -> Image:
    """The image, turned and moved, so that its borders are where none of its labels has one but by chance."""
    return np.roll(image[::-1, ::-1], (image.shape[0] // 4, image.shape[1] // 3), axis=(0, 1))


def _probabilities(segmenter: "Segmenter", image: Image) -> NDArray[np.float32]:
    """Of each class, (K, Y, X)."""
    seen = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    found: NDArray[np.float32] = segmenter.probabilities(seen)[0].cpu().numpy()
    return found


def _classes(segmenter: "Segmenter", image: Image) -> NDArray[np.uint8]:
    """Class values of the likeliest, (Y, X)."""
    return segmenter.card.to_values(_probabilities(segmenter, image).argmax(axis=0))
