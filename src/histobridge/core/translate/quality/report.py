"""What was found of a translation, and what to make of it: `quality.json` beside a translator; needs no torch."""

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from histobridge.core.base_config import Config, Direction
from histobridge.core.files import write_json
from histobridge.core.saved import read_saved

FILE = "quality.json"

Verdict = Literal["good", "doubtful", "failed"]


class Cycle(Config):
    """How alike images and what comes back of them are; see `quality.cycle.CycleScore`."""

    ssim: float
    """Structural similarity, 1 for equal images."""

    psnr_db: float
    """Peak signal-to-noise ratio."""

    l1: float
    """Mean absolute difference, grey values from 0 to 1."""


class Looks(Config):
    """How far images of one domain are from another; smaller is better."""

    kid: float
    """Kernel distance of features; about 0 for two sets of the same domain."""

    fid: float
    """Fréchet distance of features."""

    grey: float
    """Wasserstein distance of grey levels in [-1, 1]."""

    spectrum: float
    """Mean absolute difference of log power spectra."""


class WayQuality(Config):
    """One direction of translation."""

    cycle: Cycle | None
    """There and back as published; it does not tell how good the labels will be. None where there is no way back."""

    robust: Cycle | None
    """There and back with noise and rounding in between, so that nothing can hide in a fake."""

    looks: Looks
    """From the real images of the goal."""

    instant: Looks
    """The same for polarity and grey values alone, without a network."""

    agreement: float | None = None
    """From the target: mean Dice of what the source segmenter finds in translations with what it finds where polarity
    and grey values alone were translated; none from the source, where labels say more, without a segmenter,
    and where that hardly finds anything by grey values alone."""

    lag_error: float | None = None
    """Standard error of how much farther the looks are than by grey values alone, see `quality.kernel_distance`; none
    where there are too few crops, and in older files."""

    upright: float | None = None
    """Mean correlation with the same image where polarity and grey values alone were translated; clearly
    negative where dark and bright are exchanged against the matching. None in older files."""


class Structure(Config):
    """Whether labelled source images keep what the labels say, judged by the source segmenter."""

    dice_before: float
    """Mean Dice with the labels on the images themselves."""

    dice_after: float
    """And there and back."""

    count: float | None
    """Objects after translation for each before; none where there are none."""

    size: float | None
    """Their typical diameter after over before."""

    hallucinated: float
    """Share of the pixels where another class shows for sure after translation."""

    boundary_px: float | None
    """Median distance of translated borders from those of the labels."""

    boundary_high_px: float | None
    """90th percentile of it."""

    boundary_before_px: float | None
    """Median in the images themselves: how exact the labels are."""

    boundary_chance_px: float | None = None
    """Median in images that the labels are not of: what any borders would have. None in older files."""


class Seam(Config):
    """The most visible border between two tiles."""

    ratio: float
    """Step across it over those nearby."""

    axis: Literal["row", "column"]
    """A border between two rows runs from left to right."""

    at: int
    """The first row or column behind it, in pixels of the image it was looked for in."""


class Tiling(Config):
    """How tiles join in one direction."""

    seam_ratio: float
    """Step across borders of tiles over that nearby; 1 is no seam."""

    before: float = 1.0
    """The same, at the same borders, in the image that was translated."""

    mismatch: float
    """Largest grey difference, of values in [-1, 1], between two grids of tiles."""

    mean_mismatch: float | None = None
    """Mean absolute difference between them; none in older files."""

    own_grid: bool = False
    """Whether the tiles are those of the translator itself: each pixel depends on where they lie."""

    worst: Seam | None = None
    """None where the image has no borders."""


class Quality(Config):
    """Everything measured of one translator, and the verdict."""

    schema_version: Literal[1] = 1
    """Format of this file."""

    ways: dict[Direction, WayQuality]
    """By direction."""

    structure: Structure | None = None
    """None where there is no source segmenter or no labels."""

    tiling: dict[Direction, Tiling] = {}
    """By direction; empty where it was not measured."""

    score: float = 0.0
    """In [0, 1]: what checkpoints are chosen by."""

    verdict: Verdict = "doubtful"
    """Failed ones make no proposals, unless the user insists."""

    reasons: tuple[str, ...] = ()
    """Why, in the user's words."""

    step: int = 0
    """Training step of the checkpoint that was kept."""

    history: tuple[tuple[int, float], ...] = ()
    """Step and score of each checkpoint looked at."""

    @model_validator(mode="before")
    @classmethod
    def _one_way_before(cls, values: Any) -> Any:
        """Read files of when tiles were looked at in one direction alone."""
        if not isinstance(values, dict) or "tile_mismatch" not in values:
            return values
        rest = {name: value for name, value in values.items() if name not in ("seam_ratio", "tile_mismatch")}
        if values["tile_mismatch"] is not None:
            found = {"seam_ratio": values.get("seam_ratio", 1.0), "mismatch": values["tile_mismatch"]}
            rest["tiling"] = {"source_to_target": found}
        return rest

    def words(self) -> str:
        """Verdict and reasons in one text for the user."""
        return " ".join([{"good": "Good.", "doubtful": "Doubtful.", "failed": "Failed."}[self.verdict], *self.reasons])


def read_quality(folder: Path) -> Quality | None:
    """Read the quality of a translator from the folder of its run.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Quality or None
        None where nothing was measured.

    Raises
    ------
    ProjectError
        If the file is damaged.
    """
    path = folder / FILE
    return read_saved(path, Quality, "train the translator again") if path.exists() else None


def write_quality(folder: Path, quality: Quality) -> None:
    """Save what was measured beside the translator."""
    write_json(folder / FILE, quality.model_dump(mode="json"))
