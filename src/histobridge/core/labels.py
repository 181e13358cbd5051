"""The labels of one image: classes and state per pixel, on disk."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import LockedError
from histobridge.core.label_arrays import LabelArrays
from histobridge.core.manifest import IGNORE
from histobridge.core.states import ACCEPTED, IGNORED
from histobridge.core.tiles import Window

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class LabelStore:
    """Classes and state of every pixel of one image, never wholly in memory.

    Parameters
    ----------
    folder : Path
        ``labels/<domain>/<id>`` of the project; it need not exist yet, then all pixels read as zeros.
    shape : tuple of int
        Image (Y, X) in pixels.
    writable : bool
        Whether the caller holds the edit lock.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], writable: bool = False):
        self.folder = folder
        self.shape = shape
        self.writable = writable
        self._arrays = LabelArrays(folder, shape)

    @classmethod
    def create(cls, folder: Path, shape: tuple[int, int], classes: Any = None, state: Any = None) -> Self:
        """Make the labels of a new image.

        Parameters
        ----------
        folder : Path
            Made if missing; arrays left there by an interrupted import are replaced.
        shape : tuple of int
            Image (Y, X) in pixels.
        classes : array-like (Y, X) of uint8, optional
            Anything that can be sliced, such as a zarr array; read in parts. 255 means unlabelled. None: nothing
            labelled yet.
        state : array-like (Y, X) of uint8, optional
            0 model, 1 accepted, 2 corrected, 3 ignore. None: unlabelled pixels are ignore and all others accepted, or
            0 everywhere without `classes`.

        Returns
        -------
        LabelStore
            Writable.

        Raises
        ------
        ProjectError
            If edits were already journalled there.
        ValueError
            If an array has another shape.
        """
        store = cls(folder, shape, writable=True)
        store._arrays.create()
        for name, array in (("classes", classes), ("state", state)):
            if array is not None and tuple(array.shape) != tuple(shape):
                raise ValueError(f"{name} is {tuple(array.shape)}, the image {tuple(shape)}")
        if classes is not None or state is not None:
            for window in store._arrays.chunk_windows():
                store._arrays.write(window, *_initial(window, classes, state))
        return store

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return self._arrays.exist

    def read(self, window: Window) -> Pair:
        """Read one window.

        Parameters
        ----------
        window : tuple of slice
            Absolute pixels (Y, X) inside the image.

        Returns
        -------
        classes, state : array (Y, X) of uint8
            Copies; zeros where nothing was stored.
        """
        return self._arrays.read(window)

    def need_writable(self) -> None:
        """Raise `LockedError` unless the store was opened for editing."""
        if not self.writable:
            raise LockedError(f"the labels in {self.folder} are open read-only; take the edit lock to change them")


def _initial(window: Window, classes: Any, state: Any) -> Pair:
    rows, columns = window
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    values = np.zeros(shape, np.uint8) if classes is None else np.array(classes[window], dtype=np.uint8)
    if state is not None:
        states = np.array(state[window], dtype=np.uint8)
    else:
        states = np.full(shape, ACCEPTED if classes is not None else 0, np.uint8)
        states[values == IGNORE] = IGNORED
    values[values == IGNORE] = 0
    return values, states
