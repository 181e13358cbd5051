"""Two models as one: their probabilities averaged, and less sure where they disagree."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.working import Window
from histobridge.core.specks import Specks
from histobridge.core.target_model import NativePrediction, natively


class FusedPrediction:
    """Classes and confidence of one image in native pixels from two predictions of it, computed block by block.

    Parameters
    ----------
    one, other : NativePrediction
        Of the same image at the same working scale; a class that one of them does not know has probability 0 there.

    Raises
    ------
    ValueError
        If their working scales differ.
    """

    def __init__(self, one: NativePrediction, other: NativePrediction):
        if one.image.zoom != other.image.zoom:
            raise ValueError(f"predictions at {one.image.zoom} and {other.image.zoom} of the native scale do not fuse")
        self._parts = one, other
        self.values = np.array(list(dict.fromkeys([*one.values.tolist(), *other.values.tolist()])), np.uint8)
        self._specks: Specks | None = None
        if one.specks:
            channel = self.values.tolist().index(one.values[one.specks.channel])
            self._specks = replace(one.specks, channel=channel)

    def labels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Predict a native window.

        Parameters
        ----------
        window : tuple of slice
            Native pixels.

        Returns
        -------
        classes, confidence : (Y, X) uint8
            Confidence 0 to 255 is 0 to 1: the mean probability of the class, times what `fuse` finds shared.
        """
        *mean, shared = natively(self._parts[0].image, window, self._working)
        confidence = np.max(mean, axis=0) * shared
        return self.values[np.argmax(mean, axis=0)], np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8)

    def _working(self, window: Window) -> NDArray[np.float32]:
        """Mean without specks and what is shared, (K + 1, Y, X), at the working scale."""
        shape = self._parts[0].tiled.shape
        mean = self._specks.without(self._mean, window, shape) if self._specks else self._mean(window)
        return np.concatenate([mean, fuse(*self._seen(window))[1][None]])

    def _mean(self, window: Window) -> NDArray[np.float32]:
        return fuse(*self._seen(window))[0]

    def _seen(self, window: Window) -> list[NDArray[np.float32]]:
        return [spread_channels(part.seen(window), part.values, self.values) for part in self._parts]


def fuse(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fuse two predictions, equally weighted.

    Parameters
    ----------
    one, other : (K, Y, X) float32
        Probabilities of the same classes, sum 1.

    Returns
    -------
    mean : (K, Y, X) float32
        Of both.
    shared : (Y, X) float32
        1 where both prefer the same class; elsewhere what their distributions share, sum over k of min(p_k, q_k), so
        that two sure models that contradict each other are worth next to nothing.
    """
    agree = one.argmax(axis=0) == other.argmax(axis=0)
    shared = np.where(agree, 1, np.minimum(one, other).sum(axis=0)).astype(np.float32)
    mean: NDArray[np.float32] = (one + other) * np.float32(0.5)
    return mean, shared


def spread_channels(
    probabilities: NDArray[np.float32], values: NDArray[np.uint8], wanted: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Put channels that stand for `values` where `wanted` has these values; classes not among them get 0."""
    spread = np.zeros((len(wanted), *probabilities.shape[1:]), np.float32)
    places = wanted.tolist()
    spread[[places.index(value) for value in values.tolist()]] = probabilities
    return spread
