"""Whose turn it is: subjects, images and looks are shown in turn, and within them chance decides."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

SMALLEST_SCORE = 0.05
"""A tile of which nothing is expected is drawn as if it had this score, so that every tile has a chance."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One tile that waits for its turn.

    Parameters
    ----------
    subject, image, tile : str
        Where it is.
    look : int
        Group of tiles that look alike.
    score : float
        How much there seems to be to learn from it, in [0, 1].
    """

    subject: str
    image: str
    tile: str
    look: int = 0
    score: float = 0.5

    @property
    def stratum(self) -> tuple[str, int]:
        """Image and look."""
        return self.image, self.look


def lot(entrant: Entrant, seed: int, sharpness: float) -> float:
    """Draw the lot of a tile: the highest of all is drawn with a chance proportional to score ** sharpness.

    Parameters
    ----------
    entrant : Entrant
    seed : int
    sharpness : float
        0: all have the same chance.

    Returns
    -------
    float
        The same for the same tile, score and seed, whatever other tiles there are.

    Notes
    -----
    The Gumbel-max trick: the largest of log w_i + g_i, with g_i = -log(-log(u_i)) and u_i uniform, is i with
    probability w_i / sum(w), and taking them in falling order draws without replacement.
    """
    digest = hashlib.sha256(f"{seed}/{entrant.image}/{entrant.tile}".encode()).digest()
    uniform = (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
    return sharpness * log(max(SMALLEST_SCORE, entrant.score)) - log(-log(uniform))


def take_turns(
    entrants: Sequence[Entrant], shown: Iterable[Entrant], seed: int, sharpness: float, most: int | None = None
) -> list[int]:
    """Order tiles so that every beginning of the queue is a fair sample.

    The next tile comes from the subject that has been shown least so far, of its images from the one shown least, of
    those from the look shown least; within such a stratum, and between those that are level, lots decide. Never simply
    by score: the tiles of highest score are much alike, and a model that learns from them alone gets worse elsewhere.

    Parameters
    ----------
    entrants : sequence of Entrant
    shown : iterable of Entrant
        Tiles that were reviewed before; they count as turns.
    seed : int
    sharpness : float
        See `lot`.
    most : int, optional
        Stop after so many.

    Returns
    -------
    list of int
        Indices of `entrants`.
    """
    lots = [lot(entrant, seed, sharpness) for entrant in entrants]
    waiting: dict[tuple[object, ...], list[int]] = {}
    for index in sorted(range(len(entrants)), key=lots.__getitem__):
        waiting.setdefault(_places(entrants[index]), []).append(index)
    turns: Counter[object] = Counter()
    for each in shown:
        turns.update(_places(each))
    order: list[int] = []
    while waiting and len(order) != most:
        # The last of each stratum has its highest lot.
        places = min(waiting, key=lambda places: ([turns[place] for place in places], -lots[waiting[places][-1]]))
        order.append(waiting[places].pop())
        turns.update(places)
        if not waiting[places]:
            del waiting[places]
    return order


def _places(entrant: Entrant) -> tuple[object, ...]:
    """What takes turns, the first one first."""
    return (
        ("subject", entrant.subject),
        ("image", entrant.image),
        ("look", entrant.look),
        ("stratum", *entrant.stratum),
    )
