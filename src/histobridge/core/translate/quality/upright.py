"""Whether a translation keeps what is dark dark, once the domains are matched."""

from collections.abc import Sequence

import numpy as np

from histobridge.core.translate.base import Image

EXCHANGED_BELOW = -0.3
"""Correlation below which dark and bright are exchanged; what resembles nothing any more is around 0."""


def upright(made: Sequence[Image], before: Sequence[Image]) -> float:
    """Correlate translated grey values with those before, both with the look of the same domain.

    A cycle comes back as well with dark and bright exchanged as without, so nothing that is measured there and back
    can tell.

    Parameters
    ----------
    made, before : sequence of array, (Y, X) float32

    Returns
    -------
    float
        Mean over the images, in [-1, 1]; an image of one grey value counts as 0.
    """
    return float(np.mean([_correlation(one, other) for one, other in zip(made, before, strict=True)]))


def _correlation(one: Image, other: Image) -> float:
    first, second = (image - image.mean(dtype=np.float64) for image in (one, other))
    spread = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum()) / spread if spread > 0 else 0.0
