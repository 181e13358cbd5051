"""A simulated annotator: corrects a tile as a person with a brush would, through the same code, and counts the effort.

All of its results are simulated. They say how arms compare under one set of assumptions, not how long a person takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from histobridge.core.base_config import Config, Seed
from histobridge.core.brush import shaken, sweep
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE
from histobridge.core.metrics import mean_dice
from histobridge.core.tiles import Tile, Window

Classes = NDArray[np.uint8]
Error = tuple[int, Window, NDArray[np.bool_]]
"""The right class, a window, and pixels in it that show another one."""

EVERYWHERE = np.ones((3, 3), np.bool_)
"""Diagonal neighbours belong together too."""


class AnnotatorConfig(Config):
    """How the simulated annotator looks, paints and spends time; the defaults are assumptions, in native pixels."""

    target_dice: float | None = Field(None, ge=0, le=1)
    """Correct the largest errors first and stop at this mean Dice; empty: correct all that is seen, class by class."""

    looks: PositiveInt = 1
    """How often the tile is looked over; each look finds some of what was overlooked or spoiled before."""

    small_px: NonNegativeInt = 30
    """Connected errors of fewer pixels are small."""

    tolerated_width_px: NonNegativeFloat = 2.0
    """Errors nowhere wider than this, such as an outline that is a little off, are small too."""

    small_seen: float = Field(0.5, ge=0, le=1)
    """Chance that a small error is seen in one look; larger ones always are."""

    brush_radius_px: PositiveFloat = 8.0
    """Largest radius of the round brush; halved until a stroke fits where its class belongs."""

    stroke_extent_px: PositiveInt = 64
    """Longest side of what one stroke is to cover, about one fibre; larger errors take several strokes."""

    lag_px: NonNegativeFloat = 1.0
    """How far a stroke trails behind along its way; at most half the radius of the brush."""

    boundary_noise_px: NonNegativeFloat = 1.0
    """Standard deviation of the painted outline around the intended one; at most half the radius of the brush."""

    boundary_smooth_px: PositiveFloat = 4.0
    """Over how many pixels the painted outline wavers, as standard deviation of a Gaussian."""

    seconds_per_look: NonNegativeFloat = 5.0
    """Simulated seconds to look a tile over."""

    seconds_per_stroke: NonNegativeFloat = 0.8
    """Simulated seconds to aim, choose a brush and press, for every stroke."""

    seconds_per_class_change: NonNegativeFloat = 0.5
    """Simulated seconds to choose another class."""

    speed_px_per_second: PositiveFloat = 100.0
    """Simulated speed of the brush."""

    seed: Seed = 0
    """Of what is overlooked and of the unsteady hand."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a tile has cost, simulated.

    Parameters
    ----------
    strokes : int
        Strokes, also those that changed nothing.
    clicks : int
        Presses of a button or key: one for each stroke, class change, and for accepting or skipping the tile.
    painted_pixels : int
        Pixels under the brush.
    changed_pixels : int
        Pixels that got another class.
    seconds : float
        Looks, strokes and class changes.
    dice_before, dice_after : float
        Mean Dice of the tile over the classes of the truth, 0 to 1.
    """

    strokes: int
    clicks: int
    painted_pixels: int
    changed_pixels: int
    seconds: float
    dice_before: float
    dice_after: float


def correct_tile(
    edit: TileEdit, truth: Classes, config: AnnotatorConfig, rng: np.random.Generator | None = None
) -> Effort:
    """Correct a tile towards the truth, stroke by stroke, and accept it; skip it where the truth is unknown throughout.

    Each stroke gives one class to a connected error, or to a part of one, and goes through `TileEdit.commit`. Without
    `target_dice` errors are taken class by class (background first, then by value) and row by row; with it the largest
    errors come first until the Dice is reached or nothing more is seen. Pixels unknown in the truth are marked to be
    ignored.

    Parameters
    ----------
    edit : TileEdit
        Writable.
    truth : ndarray (Y, X) of uint8
        Class values; 255 unknown.
    config : AnnotatorConfig
    rng : numpy.random.Generator, optional
        None: from the seed of `config`.

    Returns
    -------
    Effort

    Raises
    ------
    ValueError
        If the truth has another shape than the tile.

    Notes
    -----
    Robot users who never err flatter interactive methods; misses and an unsteady hand answer that only in part
    (arXiv 2404.01816). Seconds are a sum of looks, presses and ways of the brush. Their defaults are assumptions,
    chosen so that one typical fibre (axon of 27 px, sheath of 9 px) painted from scratch takes a few seconds, as the
    3.27 s per object published for manual annotation of organoids in the user study of micro-sam.
    """
    if truth.shape != edit.tile.shape:
        raise ValueError(f"the truth is {truth.shape}, tile {edit.tile.id} is {edit.tile.shape}")
    return Session(edit, truth, config, rng or np.random.default_rng(config.seed)).work()


def paint_from_scratch(
    store: LabelStore, tile: Tile, truth: Classes, config: AnnotatorConfig, rng: np.random.Generator | None = None
) -> Effort:
    """Label a tile without a proposal: the same annotator before an empty tile, for comparison.

    Parameters
    ----------
    store : LabelStore
        Writable, with nothing decided in the tile.
    tile : Tile
    truth, config, rng
        As in `correct_tile`.

    Returns
    -------
    Effort
    """
    return correct_tile(TileEdit(store, tile, np.zeros(tile.shape, np.uint8)), truth, config, rng)


class Session:
    """One annotator before one tile, with a brush."""

    def __init__(self, edit: TileEdit, truth: Classes, config: AnnotatorConfig, rng: np.random.Generator):
        self.edit, self.truth, self.config, self.rng = edit, truth, config, rng
        self.known = truth != IGNORE
        # A tile with background only is scored by its background.
        self.values = [int(value) for value in np.unique(truth[self.known]) if value] or [0]
        reach = 2 * config.brush_radius_px + config.lag_px + 4 * config.boundary_noise_px
        self.margin = int(np.ceil(reach)) + 2
        # Beyond the border of the tile things go on as at the border.
        self.around = np.pad(truth, self.margin, mode="edge")
        self.strokes = self.presses = self.painted = self.changed = 0
        self.seconds = 0.0
        self.holding = -1
        self.before = self.dice()

    def work(self) -> Effort:
        """Correct the tile and accept it, or skip it."""
        self.presses += 1
        if not self.known.any():
            self.seconds += self.config.seconds_per_look
            self.edit.skip()
            return self.effort()
        if not self.known.all():
            self.edit.ignore(~self.known)
        for _ in range(self.config.looks):
            if not self.look():
                break
        self.edit.accept()
        return self.effort()

    def look(self) -> bool:
        """Look the tile over once and correct what is seen; false when there is nothing more to do."""
        self.seconds += self.config.seconds_per_look
        if self.satisfied():
            return False
        seen = list(self.seen())
        for value, window, part in self.ordered(seen):
            self.stroke(value, window, part)
            if self.satisfied():
                return False
        return bool(seen)

    def seen(self) -> Iterator[Error]:
        """Class, window and mask of what strokes are to cover, from the errors noticed in one look."""
        from scipy import ndimage

        shown = self.edit.classes
        for value in sorted(int(value) for value in np.unique(self.truth[self.known])):
            errors, count = ndimage.label((self.truth == value) & (shown != value), EVERYWHERE)
            for number, window in enumerate(ndimage.find_objects(errors, count), start=1):
                error = errors[window] == number
                if not self.small(error) or self.rng.random() < self.config.small_seen:
                    yield from ((value, *part) for part in _parts(error, window, self.config.stroke_extent_px))

    def ordered(self, seen: list[Error]) -> list[Error]:
        """What comes first; the largest errors if a Dice is aimed at."""
        largest_first = self.config.target_dice is not None
        return sorted(seen, key=lambda error: -int(np.count_nonzero(error[2]))) if largest_first else seen

    def small(self, error: NDArray[np.bool_]) -> bool:
        """Whether an error may be overlooked."""
        from scipy import ndimage

        if np.count_nonzero(error) < self.config.small_px:
            return True
        return bool(2 * ndimage.distance_transform_edt(np.pad(error, 1)).max() <= self.config.tolerated_width_px)

    def stroke(self, value: int, window: Window, part: NDArray[np.bool_]) -> None:
        """Paint one part, unless an earlier stroke has covered it."""
        shown = self.edit.classes
        wanted = part & (shown[window] != value)
        if not wanted.any():
            return
        wanted = np.pad(wanted, self.margin)
        near = tuple(slice(side.start, side.stop + 2 * self.margin) for side in window)
        planned = sweep(self.around[near] == value, wanted, self.config.brush_radius_px)
        config = self.config
        painted = shaken(planned, config.lag_px, config.boundary_noise_px, config.boundary_smooth_px, self.rng)
        inside, area = _clipped(window, self.margin, self.truth.shape)
        # What nobody can know is not painted.
        painted = painted[inside] & self.known[area]
        shown[area][painted] = value
        changed = self.edit.commit(shown, area)
        if self.holding != value:
            self.presses += self.holding >= 0
            self.seconds += config.seconds_per_class_change if self.holding >= 0 else 0.0
            self.holding = value
        self.strokes += 1
        self.presses += 1
        self.painted += int(np.count_nonzero(painted))
        self.changed += changed
        self.seconds += config.seconds_per_stroke + planned.length_px / config.speed_px_per_second

    def satisfied(self) -> bool:
        """Whether the Dice aimed at is reached."""
        return self.config.target_dice is not None and self.dice() >= self.config.target_dice

    def dice(self) -> float:
        """Mean Dice over the classes of the truth."""
        return mean_dice(self.edit.classes, self.truth, self.values, ignore=IGNORE)

    def effort(self) -> Effort:
        """What it has cost so far."""
        seconds = round(self.seconds, 3)
        return Effort(self.strokes, self.presses, self.painted, self.changed, seconds, self.before, self.dice())


def _parts(error: NDArray[np.bool_], window: Window, extent: int) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
    """Cut an error into connected parts of at most `extent` pixels a side."""
    from scipy import ndimage

    for top in range(0, error.shape[0], extent):
        for left in range(0, error.shape[1], extent):
            cell = error[top : top + extent, left : left + extent]
            parts, count = ndimage.label(cell, EVERYWHERE)
            for number, (rows, columns) in enumerate(ndimage.find_objects(parts, count), start=1):
                y, x = window[0].start + top, window[1].start + left
                place = (slice(y + rows.start, y + rows.stop), slice(x + columns.start, x + columns.stop))
                yield place, parts[rows, columns] == number


def _clipped(window: Window, margin: int, shape: tuple[int, ...]) -> tuple[Window, Window]:
    """Where the surroundings of `window` lie inside the tile: counted from their corner, and from that of the tile."""
    inside, area = [], []
    for side, length in zip(window, shape, strict=True):
        first, last = max(0, side.start - margin), min(length, side.stop + margin)
        corner = side.start - margin
        inside.append(slice(first - corner, last - corner))
        area.append(slice(first, last))
    return (inside[0], inside[1]), (area[0], area[1])
