"""Judge a prediction without labels: is what should be enclosed enclosed, and is the network sure?"""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.scale import MIN_AREA_PX


def enclosure_score(classes: NDArray[np.uint8], inner: int, outer: int) -> float:
    """Share of the rim of the inner objects that touches the outer class, times how much there is of both.

    Under the wrong polarity a network calls sheaths axons and axons sheaths: there is no closed ring left, so the score
    falls. The share alone would reward a single lucky object, so it is multiplied by ``min(1, area / 5 %)`` of each
    class.

    Parameters
    ----------
    classes : (Y, X) uint8
        Predicted class values or channels.
    inner, outer : int
        Values of the enclosed and the enclosing class.

    Returns
    -------
    float
        In [0, 1].
    """
    from scipy import ndimage

    mask = classes == inner
    regions, count = ndimage.label(mask)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    mask &= (areas >= MIN_AREA_PX)[regions]
    rim = ndimage.binary_dilation(mask, iterations=2) & ~mask
    if not rim.any():
        return 0.0
    # The two pixels around an object: a thin gap between axon and sheath does not break the ring.
    near = ndimage.binary_dilation(classes == outer, iterations=1)
    share = float(near[rim].mean())
    amounts = [min(1.0, float((classes == value).mean()) / 0.05) for value in (inner, outer)]
    return share * amounts[0] * amounts[1]


def certainty_of_prediction(probabilities: NDArray[np.float32]) -> float:
    """One minus the mean entropy in units of ln K: a score of polarity for any classes.

    Parameters
    ----------
    probabilities : (K, Y, X) float32

    Returns
    -------
    float
        In [0, 1], 1 is sure everywhere.
    """
    entropy = -(probabilities * np.log(np.clip(probabilities, 1e-7, 1))).sum(axis=0).mean()
    return float(1 - entropy / np.log(len(probabilities)))
