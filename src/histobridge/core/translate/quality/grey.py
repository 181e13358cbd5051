"""How far apart the grey levels of two sets of images are."""

from collections.abc import Sequence

import numpy as np

from histobridge.core.translate.base import Image


def grey_distance(real: Sequence[Image], fake: Sequence[Image]) -> float:
    """Wasserstein distance of the grey levels of two sets of images.

    Parameters
    ----------
    real, fake : sequence of array, (Y, X) float32
        In [-1, 1]; pixels of all images of a set count the same.

    Returns
    -------
    float
        Grey value by which levels must move on average, in [0, 2].
    """
    from scipy.stats import wasserstein_distance

    one, other = (np.concatenate([image.ravel() for image in images]) for images in (real, fake))
    return float(wasserstein_distance(one, other))
