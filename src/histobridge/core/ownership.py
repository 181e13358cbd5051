"""Which sheath belongs to which axon where the user has said so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner, intersection, relative
from histobridge.core.tiles import Window

if TYPE_CHECKING:
    from histobridge.core.journal import Journal


def standing_owners(journal: "Journal", window: Window | None = None) -> tuple[Owner, ...]:
    """Ownership that the user has set in an image and not taken back.

    Parameters
    ----------
    journal : Journal
        Of the labels of the image.
    window : tuple of slice, optional
        Absolute pixels (Y, X); then only pieces that lie partly in it, counted from its corner. None: all, in absolute
        pixels.

    Returns
    -------
    tuple of Owner
        In the order in which they were set; where two overlap, the later one is right.

    Raises
    ------
    ProjectError
        If an edit has become unreadable.
    """
    standing: dict[int, int] = {}
    taken: dict[int, int] = {}
    for entry in journal.entries:
        if entry.kind == "own":
            standing[entry.sequence] = entry.sequence
        elif entry.kind == "undo" and entry.of in standing:
            taken[entry.sequence] = standing.pop(entry.of)
        elif entry.kind == "redo" and entry.of in taken:
            standing[entry.sequence] = taken.pop(entry.of)
    owners = [owner for sequence in standing.values() for owner in journal.read(sequence).owners]
    if window is None:
        return tuple(owners)
    corner = window[0].start, window[1].start
    return tuple(owner.moved(-corner[0], -corner[1]) for owner in owners if intersection(owner.window, window))


def honour(
    fibres: NDArray[np.int32], classes: NDArray[np.uint8], pair: tuple[int, int], owners: Sequence[Owner]
) -> NDArray[np.int32]:
    """Give pieces of sheath to the axons that the user has named.

    What a piece cuts off from its former axon goes along with it; every other pixel keeps its fibre. A constraint
    whose axon is no longer an axon says nothing. One whose axon lies outside the field gives its piece to a fibre of
    its own, since that axon is none of those seen.

    Parameters
    ----------
    fibres : ndarray (Y, X) int32
        Ids from 1, 0 is none; changed in place.
    classes : ndarray (Y, X) uint8
        Class values.
    pair : tuple of int
        Values of the enclosed and the enclosing class.
    owners : sequence of Owner
        Counted from the corner of the field; where two overlap, the later one counts.

    Returns
    -------
    ndarray (Y, X) int32
        `fibres`.
    """
    from scipy import ndimage

    places = ndimage.find_objects(fibres) if owners else []
    said = np.zeros(fibres.shape if owners else (0, 0), np.bool_)
    strangers: dict[tuple[int, int], int] = {}
    field = (slice(0, fibres.shape[0]), slice(0, fibres.shape[1]))
    for owner in owners:
        common = intersection(owner.window, field)
        y, x = owner.axon
        seen = 0 <= y < fibres.shape[0] and 0 <= x < fibres.shape[1]
        if common is None or (seen and classes[y, x] != pair[0]):
            continue
        target = int(fibres[y, x]) if seen else strangers.setdefault((y, x), len(places) + 1 + len(strangers))
        piece = owner.mask[relative(common, owner.window)] & (classes[common] == pair[1])
        losers = set(np.unique(fibres[common][piece]).tolist()) - {0, target}
        fibres[common][piece] = target
        said[common] |= piece
        for loser in losers:
            # A stranger has no axon here that something could be cut off from.
            if loser <= len(places):
                area = _grown(places[loser - 1])
                _follow(fibres[area], said[area], classes[area] == pair[0], (loser, target))
    return fibres


def _follow(fibres: NDArray[np.int32], said: NDArray[np.bool_], inner: NDArray[np.bool_], ids: tuple[int, int]) -> None:
    """Give what is left of a fibre, but cut off from its axon, to the fibre that cut it off; in place."""
    from scipy import ndimage

    loser, target = ids
    parts, count = ndimage.label(fibres == loser)
    gone = np.zeros(count + 1, np.bool_)
    gone[parts[ndimage.binary_dilation(said & (fibres == target))]] = True
    gone[parts[inner | said]] = False
    gone[0] = False
    fibres[gone[parts]] = target


def _grown(window: Window) -> Window:
    """One pixel more on each side; past the end of an array a slice stops by itself."""
    rows, columns = (slice(max(0, side.start - 1), side.stop + 1) for side in window)
    return rows, columns
