"""Whether a segmenter finds in a translated image what the labels say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.metrics import dice_of_shown

Classes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Consistency:
    """Agreement with the labels, as mean Dice in [0, 1].

    Parameters
    ----------
    before : float
        Of what the source segmenter finds in the images themselves.
    after : float
        Of what it finds in them once translated there and back.
    """

    before: float
    after: float

    @property
    def kept(self) -> float:
        """Share of the agreement that translation keeps; 0 where there was none."""
        return self.after / self.before if self.before else 0.0


def consistency(
    before: Sequence[Classes], after: Sequence[Classes], labels: Sequence[Classes], values: Sequence[int]
) -> Consistency | None:
    """Compare predictions before and after translation with the labels.

    Parameters
    ----------
    before, after, labels : sequence of array, (Y, X) uint8
        Class values; labels may be 255 where unlabelled.
    values : sequence of int
        The classes that count.

    Returns
    -------
    Consistency or None
        `dice_of_shown` of the images that have labels; None where none has, or none of the classes is to be seen in
        them, as nothing would agree with anything there.
    """
    known = [number for number, truth in enumerate(labels) if (truth != IGNORE).any()]
    if not known:
        return None
    truths = [labels[number] for number in known]
    found, left = (
        dice_of_shown([predicted[number] for number in known], truths, values, IGNORE) for predicted in (before, after)
    )
    return None if found is None or left is None else Consistency(found, left)
