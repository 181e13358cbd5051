"""Which reviewed tiles are learned from and which are held out to judge by; once settled, never the other way round."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histobridge.core.config import Config
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.gate import Key
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.tiles import Window

FILE = "split.json"
JUDGED_FROM = 5
"""Fewer reviewed tiles all train."""

HELD_SHARE = 5
"""One in so many is held out."""

MOST_COVERED = 0.5
"""A tile that shares more of its pixels with other reviewed tiles is no test of a model that learned from those."""


@dataclass(frozen=True, slots=True)
class ReviewedTile:
    """One tile in which the user has decided something.

    Parameters
    ----------
    image, tile : str
        Ids.
    subject : str
        Animal or patient of the image.
    window : tuple of slice
        Native pixels (Y, X).
    decided : bool
        Whether it is accepted, or nine tenths of its pixels are reviewed; else it only trains.
    shows_class : bool
        Whether a target class occurs among its reviewed pixels.
    share : float
        How much of a tile it counts as where caution depends on their number: 1 if it is decided, else the share of its
        pixels that are reviewed and belong to no other tile.
    """

    image: str
    tile: str
    subject: str
    window: Window
    decided: bool = True
    shows_class: bool = True
    share: float = 1.0

    @property
    def key(self) -> Key:
        """Image and tile id."""
        return self.image, self.tile


class Split(Config):
    """Tiles of one fine-tuning, by image and tile id."""

    held_out: tuple[Key, ...] = ()
    """Never learned from."""

    trained: tuple[Key, ...] = ()
    """Decided and learned from, never to be held out."""

    begun: tuple[Key, ...] = ()
    """Learned from as far as they were reviewed, not decided; they may be held out once they are."""


def choose_split(tiles: Sequence[ReviewedTile], earlier: Sequence[Split]) -> Split:
    """Choose which tiles are held out.

    Up to four decided tiles all train. From the fifth on a fifth is held out, rounded: what was held out before, and as
    many more as lack, one by one from the subject, then the image, then the tiles with or without any class, of which
    the least is held out. Tiles that were decided when they were learned from are never held out, tiles once held out
    are never learned from.

    Parameters
    ----------
    tiles : sequence of ReviewedTile
        All that are reviewed now, in any order.
    earlier : sequence of Split
        Of all fine-tunings before, in any order.

    Returns
    -------
    Split
        Sorted; the same for the same tiles and history. Together all of `tiles`.
    """
    frozen = {key for split in earlier for key in split.held_out}
    learned = {key for split in earlier for key in split.trained} - frozen
    decided = [tile for tile in tiles if tile.decided]
    held = {tile.key for tile in tiles if tile.key in frozen}
    if len(decided) >= JUDGED_FROM:
        free = [tile for tile in decided if tile.key not in frozen | learned and _covered(tile, tiles) <= MOST_COVERED]
        while free and len(held) < round(len(decided) / HELD_SHARE):
            chosen = min(free, key=lambda tile: _order(tile, decided, held))
            held.add(chosen.key)
            free.remove(chosen)
    trained = {tile.key for tile in decided} - held
    begun = {tile.key for tile in tiles} - held - trained
    return Split(held_out=tuple(sorted(held)), trained=tuple(sorted(trained)), begun=tuple(sorted(begun)))


def _order(tile: ReviewedTile, decided: Sequence[ReviewedTile], held: set[Key]) -> tuple[float, float, float, str]:
    """What is held out first: of what lacks most of its fifth; then by a fixed lot."""
    lacks = []
    for name in ("subject", "image", "shows_class"):
        all_tiles = Counter(getattr(each, name) for each in decided)
        held_tiles = Counter(getattr(each, name) for each in decided if each.key in held)
        own = getattr(tile, name)
        lacks.append(held_tiles[own] - all_tiles[own] / HELD_SHARE)
    return lacks[0], lacks[1], lacks[2], hashlib.sha256("/".join(tile.key).encode()).hexdigest()


def _covered(tile: ReviewedTile, tiles: Sequence[ReviewedTile]) -> float:
    """Share of the pixels of a tile that other reviewed tiles have too."""
    rows, columns = tile.window
    covered = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    for other in tiles:
        if other.image == tile.image and other.key != tile.key:
            covered[within(other.window, tile.window)] = True
    return float(covered.mean())


def within(window: Window, of: Window) -> Window:
    """Return the part of `window` that lies in `of`, counted from the corner of `of`; empty slices if there is none."""
    rows, columns = (
        slice(max(0, part.start - whole.start), max(0, min(part.stop, whole.stop) - whole.start))
        for part, whole in zip(window, of, strict=True)
    )
    return rows, columns


def settle_split(project: Project, run: Run, tiles: Sequence[ReviewedTile]) -> Split:
    """Choose the split of a run and write it down before anything is learned; a resumed run keeps its own.

    Parameters
    ----------
    project : Project
    run : Run
        Of the verb `finetune`; gets ``split.json``.
    tiles : sequence of ReviewedTile

    Returns
    -------
    Split

    Raises
    ------
    ProjectError
        If the split of this or of an earlier run is damaged.
    """
    if not (run.path / FILE).exists():
        write_json(run.path / FILE, choose_split(tiles, earlier_splits(project, run)).model_dump(mode="json"))
    return _read_split(run)


def earlier_splits(project: Project, run: Run) -> list[Split]:
    """Splits of all other fine-tunings of a project, whatever became of them: a stopped one may be resumed."""
    others = (other for other in project.runs("finetune") if other.id != run.id)
    return [_read_split(other) for other in others if (other.path / FILE).exists()]


def _read_split(run: Run) -> Split:
    path = run.path / FILE
    try:
        return Split.model_validate(read_json(path))
    except (OSError, ValueError) as error:
        raise ProjectError(
            f"{path} cannot be read ({error}); it says which tiles are held out: restore it from a backup, or delete "
            f"the folder of the run"
        ) from error


def folds(tiles: Sequence[ReviewedTile]) -> list[list[tuple[ReviewedTile, Window]]]:
    """Split tiles into parts to be left out in turn, for cross-validation.

    Parameters
    ----------
    tiles : sequence of ReviewedTile
        Decided tiles.

    Returns
    -------
    list of list of (ReviewedTile, window)
        Two parts (native pixels) that take every second tile, in the order of subjects and images; of a single tile
        its two halves; none without tiles. Every tile occurs, whole, in exactly one part, or half in both.
    """
    ordered = sorted(tiles, key=lambda tile: (tile.subject, *tile.key))
    if len(ordered) == 1:
        return [[(ordered[0], half)] for half in _halves(ordered[0].window)]
    return [part for start in range(2) if (part := [(tile, tile.window) for tile in ordered[start::2]])]


def _halves(window: Window) -> tuple[Window, Window]:
    """Cut a window across its longer side."""
    rows, columns = window
    if rows.stop - rows.start >= columns.stop - columns.start:
        middle = (rows.start + rows.stop) // 2
        return (slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)
    middle = (columns.start + columns.stop) // 2
    return (rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))
