"""The two zarr arrays of an image's labels: chunks read, written and made durable."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.files import fsync_folder
from histobridge.core.tiles import Window

CHUNK = 512
NAMES = ("classes", "state")


class LabelArrays:
    """`classes` and `state`, (Y, X) uint8 in chunks of 512 px; a missing array or chunk reads as zeros.

    Parameters
    ----------
    folder : Path
        Where the two arrays lie.
    shape : tuple of int
        Image (Y, X) in pixels.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]):
        self.folder = folder
        self.shape = shape
        self._opened: dict[str, Any] = {}

    @property
    def exist(self) -> bool:
        """Whether both arrays are there."""
        return all((self.folder / name / "zarr.json").exists() for name in NAMES)

    def create(self) -> None:
        """Make both arrays, empty, in place of any that are there."""
        import zarr

        self.folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            self._opened[name] = zarr.create_array(
                self.folder / name, shape=self.shape, chunks=(CHUNK, CHUNK), dtype="uint8", fill_value=0, overwrite=True
            )

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read classes and state of one window, absolute pixels (Y, X)."""
        classes, state = (self._read(name, window) for name in NAMES)
        return classes, state

    def write(self, window: Window, classes: NDArray[np.uint8], state: NDArray[np.uint8]) -> None:
        """Replace classes and state of one window; each chunk file is renamed over atomically."""
        for name, values in zip(NAMES, (classes, state), strict=True):
            self._array(name)[window] = values

    def chunk_windows(self, within: Window | None = None) -> Iterator[Window]:
        """Windows of all chunks, or of those that touch `within`, row by row."""
        rows, columns = within or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        for y in range(rows.start // CHUNK * CHUNK, rows.stop, CHUNK):
            for x in range(columns.start // CHUNK * CHUNK, columns.stop, CHUNK):
                yield slice(y, min(y + CHUNK, self.shape[0])), slice(x, min(x + CHUNK, self.shape[1]))

    def sync(self, windows: list[Window]) -> None:
        """Make the chunk files of these windows, and their names, durable."""
        folders = {self.folder}
        for name in NAMES:
            folders |= {self.folder / name, self.folder / name / "c"}
            for rows, columns in windows:
                file = self.folder / name / "c" / str(rows.start // CHUNK) / str(columns.start // CHUNK)
                folders.add(file.parent)
                if file.exists():
                    _fsync_file(file)
        for folder in sorted(folders, reverse=True):
            if folder.exists():
                fsync_folder(folder)

    def _read(self, name: str, window: Window) -> NDArray[np.uint8]:
        if name not in self._opened and not (self.folder / name / "zarr.json").exists():
            return np.zeros(tuple(side.stop - side.start for side in window), np.uint8)
        return np.array(self._array(name)[window], dtype=np.uint8)

    def _array(self, name: str) -> Any:
        if name not in self._opened:
            import zarr

            try:
                array = zarr.open_array(self.folder / name, mode="r+")
            except (OSError, ValueError, KeyError) as error:
                raise ProjectError(f"{self.folder / name} is not a readable zarr array: {error}") from error
            if array.shape != tuple(self.shape) or array.dtype != np.uint8:
                raise ProjectError(
                    f"{self.folder / name} holds {array.shape} {array.dtype}, the image needs {self.shape} uint8"
                )
            self._opened[name] = array
        return self._opened[name]


def _fsync_file(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
