"""Judge a translation by what was measured of it: a score for checkpoints, a verdict in words."""

from collections.abc import Iterator

from histobridge.core.base_config import Direction
from histobridge.core.translate.quality.lines import LEAST, MOST_LOST, TINY, is_exchanged, lines_of
from histobridge.core.translate.quality.report import Quality, Structure, Tiling, Verdict

MOST_PX = 4.0
KEPT_SHARE = 0.75
MISMATCH = 0.05
"""Grey difference between two grids of tiles that can be seen."""
MEAN_MISMATCH = 0.02
"""The same on the mean, for tiles of a translator's own: single pixels always depend on where they lie."""
SEAM = 1.5
"""Factor by which steps across borders may exceed those nearby, or what that is in the image before: borders can follow
outlines there."""
LEVELS = 127.5
"""Grey levels of 8 bits in a unit of values in [-1, 1]."""

Found = tuple[Verdict, str]


def score_of(quality: Quality) -> float:
    """One number to choose a checkpoint by.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    float
        In [0, 1]; 0 where dark and bright are exchanged, else three parts what is kept, one part what it looks like.
        What is kept: the mean of the share of the agreement with the labels that is left, of pixels not invented, of
        borders in place, and, from the target, of the agreement with what is found by grey values alone; without a
        segmenter the similarity there and back, with noise in between, 0 where there is no way back. What it looks
        like: the mean over the directions of ``i / (i + k)``, k the kernel distance from real images and i that of the
        instant map, so that a network that does nothing gets 0.5.

    Notes
    -----
    Looks count less, since tissues differ in more than their look: whoever comes closest to the other domain has
    changed the anatomy (docs/decisions/0012).
    """
    if any(is_exchanged(way) for way in quality.ways.values()):
        return 0.0
    looks = [_share(way.instant.kid, way.looks.kid) for way in quality.ways.values()] or [0.0]
    agreements = [way.agreement for way in quality.ways.values() if way.agreement is not None]
    parts = [1 - min(1.0, (1 - agreement) / MOST_LOST) for agreement in agreements]
    if quality.structure is not None:
        parts += _kept(quality.structure)
    if not parts:
        similar = [max(0.0, way.robust.ssim) for way in quality.ways.values() if way.robust is not None]
        parts = [sum(similar) / max(1, len(similar))]
    return KEPT_SHARE * sum(parts) / len(parts) + (1 - KEPT_SHARE) * sum(looks) / len(looks)


def _share(instant: float, learned: float) -> float:
    floor, distance = max(instant, 0.0) + TINY, max(learned, 0.0) + TINY
    return floor / (floor + distance)


def _kept(structure: Structure) -> list[float]:
    parts = [1 - structure.hallucinated]
    if structure.dice_before > LEAST:
        parts.append(min(1.0, structure.dice_after / structure.dice_before))
    if structure.boundary_px is not None:
        parts.append(1 - max(0.0, structure.boundary_px - (structure.boundary_before_px or 0.0)) / MOST_PX)
    return parts


def judged(quality: Quality) -> Quality:
    """Fill in score, verdict and reasons.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    Quality
        Failed where one of the structure measures is beyond its limit, or dark and bright are exchanged; doubtful where
        a measure is close to its limit, where the network makes images clearly less like the goal than the instant map,
        where the segmenter does not find in translations of the target what it finds by grey values alone, where tiles
        do not join, or where no segmenter could look at it.
    """
    found = list(_findings(quality))
    verdicts = [verdict for verdict, _ in found]
    verdict: Verdict = "failed" if "failed" in verdicts else "doubtful" if found else "good"
    reasons = tuple(words for one, words in found if one == verdict) or (
        "Labelled structures stay in place, and images look no less like the other modality than by grey values alone.",
    )
    return quality.model_copy(update={"score": score_of(quality), "verdict": verdict, "reasons": reasons})


def _findings(quality: Quality) -> Iterator[Found]:
    """What speaks against a translation, in the user's words."""
    structure = quality.structure
    if structure is None and "source_to_target" not in quality.ways:
        yield (
            "doubtful",
            "It translates images of the target alone, which have no labels; see whether structures stay.",
        )
    elif structure is None:
        yield "doubtful", "No segmenter of the source has looked at it, so nobody knows what becomes of structures."
    for line in lines_of(quality):
        if line.verdict is not None and line.reason:
            yield line.verdict, line.reason
    for direction, tiling in quality.tiling.items():
        if not joins(tiling):
            yield "doubtful", _tiling_words(direction, tiling)


def tiling_words(quality: Quality) -> str:
    """Say how the tiles of large images join.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    str
        A line for each direction: seam ratio, where the worst seam is if one can be seen, and mismatch in grey levels;
        empty where they were not measured.
    """
    return "\n".join(_tiling_words(direction, tiling) for direction, tiling in quality.tiling.items())


def _tiling_words(direction: Direction, tiling: Tiling) -> str:
    worst, mean = "", ""
    if tiling.worst is not None and shows_seam(tiling):
        worst = f" on average, most at {tiling.worst.axis} {tiling.worst.at} ({tiling.worst.ratio:.2f})"
    if tiling.mean_mismatch is not None:
        mean = f"{tiling.mean_mismatch * LEVELS:.1f} on average, "
    return (
        f"Tiles {'join' if joins(tiling) else 'do not join'}, {direction.replace('_', ' ')}: "
        f"seams {tiling.seam_ratio:.2f} (1: none){worst}, "
        f"mismatch {mean}{tiling.mismatch * LEVELS:.1f} at most, of 255 grey levels."
    )


def joins(tiling: Tiling) -> bool:
    """Tell whether borders between tiles cannot be seen."""
    even = (tiling.mean_mismatch or 0) <= MEAN_MISMATCH if tiling.own_grid else tiling.mismatch <= MISMATCH
    return even and not _has_steps(tiling)


def shows_seam(tiling: Tiling) -> bool:
    """Tell whether the worst border between tiles is worth showing; tiles that fade have none, however they differ."""
    return _has_steps(tiling) or not (tiling.own_grid or joins(tiling))


def _has_steps(tiling: Tiling) -> bool:
    return tiling.seam_ratio > SEAM * max(1.0, tiling.before)
