"""What was measured of a translation, measure by measure in the user's words, each with a verdict of its own."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from histobridge.core.base_config import Direction
from histobridge.core.translate.quality.report import Quality, Structure, Verdict, WayQuality
from histobridge.core.translate.quality.upright import EXCHANGED_BELOW

BORDER_PX = 1.5
"""Borders displaced further than this, and nearer to chance than to the labels' own exactness, are not theirs."""
TELLING_PX = 0.5
"""By how much chance must exceed what borders of the images themselves have, for anything to be told."""
KEPT = {"failed": 0.7, "doubtful": 0.85}
"""Share of the agreement with the labels that must be left."""
COUNT = {"failed": 2.0, "doubtful": 1.33}
SIZE = {"failed": 1.5, "doubtful": 1.2}
"""Factor by which number and size of objects may change, either way."""
INVENTED = {"failed": 0.15, "doubtful": 0.07}
MOST_LOST = 0.3
"""Of the agreement between what is found in translations of the target and by grey values alone."""
FARTHER = 1.1
"""Factor by which the kernel distance may exceed that of the instant map."""
CERTAIN = 1.64
"""Standard errors by which it must exceed that for nineteen of twenty differences by chance to be let pass."""
TINY = 1e-6
LEAST = 0.01
"""Dice with the labels of which a share can be told."""


class Line(NamedTuple):
    """One measure."""

    what: str
    """What was looked at."""

    found: str
    """What was found, with its number."""

    verdict: Verdict | None = None
    """None where the measure tells something but decides nothing."""

    reason: str = ""
    """A sentence on what speaks against the translation; empty where nothing does."""

    def words(self) -> str:
        """The line as the user reads it."""
        said = f"{self.what[0].upper()}{self.what[1:]}: {self.found}"
        return f"{said}: {self.verdict}" if self.verdict else said


def lines_of(quality: Quality) -> list[Line]:
    """Say what was measured, but for how tiles join.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    list of Line
        Structures of labelled images first, then each direction.
    """
    found = list(_of_structure(quality.structure)) if quality.structure is not None else []
    for direction, way in quality.ways.items():
        found += _of_way(direction, way)
    return found


def result_of(quality: Quality) -> dict[str, Any]:
    """Say what a job returns of a quality: ``verdict`` in words, and ``measured``, a row a measure."""
    rows = [{"what": line.what, "found": line.found, "verdict": line.verdict or ""} for line in lines_of(quality)]
    return {"verdict": quality.words(), "measured": rows}


def is_exchanged(way: WayQuality) -> bool:
    """Whether dark is bright, against what matching says."""
    return way.upright is not None and way.upright < EXCHANGED_BELOW


def _of_structure(found: Structure) -> Iterator[Line]:
    share = found.dice_after / max(found.dice_before, TINY)
    verdict = _graded([name for name, limit in KEPT.items() if share < limit])
    left = f"{share:.0%} left"
    reason = f"Only {share:.0%} of the agreement with your labels is left after translation."
    if found.dice_before <= LEAST:
        verdict, left = "doubtful", "the segmenter hardly finds any before"
        reason = "The segmenter hardly finds your labels in your own images, so it cannot tell; learn the labels again."
    told = f"{left} (Dice {found.dice_after:.2f} of {found.dice_before:.2f})"
    yield Line("agreement with your labels", told, verdict, "" if verdict == "good" else reason)
    for what, limits, value, words in (
        ("number of objects", COUNT, found.count, "times as many objects are found after translation"),
        ("size of objects", SIZE, found.size, "times the size is what objects have after translation"),
    ):
        if value is not None:
            verdict = _graded([name for name, limit in limits.items() if not 1 / limit <= value <= limit])
            yield Line(what, f"{value:.2f} times", verdict, "" if verdict == "good" else f"{value:.2f} {words}.")
    share = found.hallucinated
    verdict = _graded([name for name, limit in INVENTED.items() if share > limit])
    reason = "" if verdict == "good" else f"{share:.0%} of the pixels show another structure after translation."
    yield Line("structures invented", f"{share:.0%} of the pixels", verdict, reason)
    if found.boundary_px is not None:
        yield _of_borders(found.boundary_px, found.boundary_before_px or 0.0, found.boundary_chance_px)


def _of_borders(distance: float, before: float, chance: float | None) -> Line:
    """Borders fail beyond 1.5 px where they are nearer to chance than to what they were before.

    Where labels are so inexact, or borders so faint, that images of something else would hardly be farther off, nothing
    can be told.
    """
    told = f"{distance:.1f} px from your labels ({before:.1f} before)"
    chance = before + 2 if chance is None else chance
    if chance - before < TELLING_PX:
        return Line("borders", f"{told}, where any image would have {chance:.1f}: nothing can be told")
    moved = distance > max(BORDER_PX, (before + chance) / 2)
    reason = f"Borders lie {distance:.1f} px from those of your labels (median)." if moved else ""
    return Line("borders", told, "failed" if moved else "good", reason)


def _of_way(direction: Direction, way: WayQuality) -> Iterator[Line]:
    name = direction.replace("_", " ")
    if way.upright is not None:
        wrong = is_exchanged(way)
        reason = f"From {name}, dark and bright are exchanged, against what Match says; check the polarity there."
        told = "exchanged" if wrong else "kept"
        yield Line(f"dark and bright, {name}", told, "failed" if wrong else "good", reason if wrong else "")
    far = way.looks.kid > FARTHER * max(way.instant.kid, 0.0) + max(TINY, CERTAIN * (way.lag_error or 0.0))
    reason = f"From {name}, images look less like the other modality than by grey values alone."
    give = "" if way.lag_error is None else f", ± {way.lag_error:.3f}"
    told = f"KID {way.looks.kid:.3f} ({way.instant.kid:.3f} by grey values alone{give})"
    yield Line(f"look, {name}", told, "doubtful" if far else "good", reason if far else "")
    told = f"FID {way.looks.fid:.2f}, grey values {way.looks.grey:.3f}, power spectrum {way.looks.spectrum:.2f}"
    alone = f"{way.instant.fid:.2f}, {way.instant.grey:.3f}, {way.instant.spectrum:.2f}"
    yield Line(f"distances, {name}", f"{told} ({alone})")
    if way.agreement is not None:
        lost = way.agreement < 1 - MOST_LOST
        reason = f"From {name}, only {way.agreement:.0%} of what is found by grey values alone is found again."
        told = f"{way.agreement:.0%} of those by grey values alone (Dice)"
        yield Line(f"structures kept, {name}", told, "doubtful" if lost else "good", reason if lost else "")
    if way.cycle is not None and way.robust is not None:
        told = f"SSIM {way.cycle.ssim:.3f}, PSNR {way.cycle.psnr_db:.1f} dB, L1 {way.cycle.l1:.3f}"
        yield Line(f"there and back, {name}", f"{told} (SSIM {way.robust.ssim:.3f} with noise in between)")


def _graded(passed: list[str]) -> Verdict:
    """The worst of the limits that were passed."""
    return "failed" if "failed" in passed else "doubtful" if passed else "good"
