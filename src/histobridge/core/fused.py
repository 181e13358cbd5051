"""Two models as one: their probabilities averaged, and less sure where they disagree."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.working import Window
from histobridge.core.target_model import NativePrediction


class FusedPrediction:
    """Classes and confidence of one image in native pixels from two predictions of it, computed block by block.

    Parameters
    ----------
    one, other : NativePrediction
        Of the same image; a class that one of them does not know has probability 0 there.
    """

    def __init__(self, one: NativePrediction, other: NativePrediction):
        self._parts = one, other
        self.values = np.array(list(dict.fromkeys([*one.values.tolist(), *other.values.tolist()])), np.uint8)

    def labels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Predict a native window.

        Parameters
        ----------
        window : tuple of slice
            Native pixels.

        Returns
        -------
        classes, confidence : (Y, X) uint8
            Confidence 0 to 255 is 0 to 1, see `fuse`.
        """
        parts = [spread_channels(part.probabilities(window), part.values, self.values) for part in self._parts]
        channels, confidence = fuse(*parts)
        return self.values[channels], np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8)


def fuse(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Fuse two predictions: the class of the mean of both, equally weighted.

    Parameters
    ----------
    one, other : (K, Y, X) float32
        Probabilities of the same classes, sum 1.

    Returns
    -------
    channels : (Y, X) int
        Class of the largest mean probability.
    confidence : (Y, X) float32
        That mean probability, in [0, 1]; where the two prefer different classes it is multiplied by what their
        distributions share, sum over k of min(p_k, q_k), so that two sure models that contradict each other give
        next to none.
    """
    mean = (one + other) / 2
    confidence = mean.max(axis=0)
    differ = one.argmax(axis=0) != other.argmax(axis=0)
    confidence[differ] *= np.minimum(one, other).sum(axis=0)[differ]
    return mean.argmax(axis=0), confidence


def spread_channels(
    probabilities: NDArray[np.float32], values: NDArray[np.uint8], wanted: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Put channels that stand for `values` where `wanted` has these values; classes not among them get 0."""
    spread = np.zeros((len(wanted), *probabilities.shape[1:]), np.float32)
    places = wanted.tolist()
    spread[[places.index(value) for value in values.tolist()]] = probabilities
    return spread
