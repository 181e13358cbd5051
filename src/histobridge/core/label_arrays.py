"""The two zarr arrays of an image's labels: chunks read, written and made durable."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.files import fsync
from histobridge.core.tiles import Window

CHUNK = 512
NAMES = ("classes", "state")
Chunk = tuple[int, int]
"""Row and column of a chunk."""


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
        """Make both arrays, empty, in place of any that are there; `sync` them when they are filled."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            self._opened[name] = self._make(self.folder / name, self.shape, overwrite=True)

    def ensure(self, *, anew: bool = False) -> None:
        """Make the arrays that are missing, durably; with `anew` also write what describes those that are there."""
        from histobridge.core.durable_store import DurableStore

        for name in NAMES:
            described = self.folder / name / "zarr.json"
            if anew:
                described.unlink(missing_ok=True)
                self._opened.pop(name, None)
            if name not in self._opened and not described.exists():
                self._opened[name] = self._make(DurableStore(self.folder / name), self.shape)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read one window, absolute pixels (Y, X), as (2, Y, X): classes and state.

        State comes first: whoever reads while another process writes then finds no new state with an old class.
        """
        state = self._read("state", window)
        return np.stack((self._read("classes", window), state))

    def write(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Replace classes and state, (2, Y, X), of one window; each chunk file is renamed over atomically."""
        for name, values in zip(NAMES, labels, strict=True):
            self._array(name)[window] = values

    def chunks(self, within: Window | None = None) -> list[Chunk]:
        """All chunks, or those that touch `within`, row by row."""
        rows, columns = within or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        return [
            (row, column)
            for row in range(rows.start // CHUNK, -(-rows.stop // CHUNK))
            for column in range(columns.start // CHUNK, -(-columns.stop // CHUNK))
        ]

    def window(self, chunk: Chunk) -> Window:
        """Absolute pixels of one chunk."""
        y, x = (index * CHUNK for index in chunk)
        return slice(y, min(y + CHUNK, self.shape[0])), slice(x, min(x + CHUNK, self.shape[1]))

    def file(self, name: str, chunk: Chunk) -> Path:
        """Where a chunk of `classes` or `state` lies, if it is not all zeros."""
        return self.folder / name / "c" / str(chunk[0]) / str(chunk[1])

    def decode(self, chunk: Chunk, data: bytes) -> NDArray[np.uint8]:
        """Read the pixels of a chunk, (Y, X), from the bytes of its file; none are zeros."""
        import zarr
        import zarr.storage
        from zarr.core.buffer import default_buffer_prototype

        rows, columns = self.window(chunk)
        held: dict[str, Any] = {}
        array = self._make(zarr.storage.MemoryStore(held), (CHUNK, CHUNK))
        if data:
            held["c/0/0"] = default_buffer_prototype().buffer.from_bytes(data)
        return np.array(array[: rows.stop - rows.start, : columns.stop - columns.start], dtype=np.uint8)

    def stored(self) -> list[Chunk]:
        """Chunks that hold a state other than zero, row by row."""
        files = [file for file in (self.folder / "state" / "c").glob("*/*") if file.name.isdecimal()]
        return sorted((int(file.parent.name), int(file.name)) for file in files)

    def sync(self) -> None:
        """Make everything durable that `create` and `write` have left to the system."""
        self._sync(files=True)

    def sync_names(self) -> None:
        """Make names durable after `ensure` and `write`, which have synced the files themselves."""
        self._sync(files=False)

    def _sync(self, *, files: bool) -> None:
        for name in NAMES:
            for folder, _, names in os.walk(self.folder / name, topdown=False):
                for file in names if files else ():
                    fsync(Path(folder, file))
                fsync(Path(folder))
        fsync(self.folder)

    @staticmethod
    def _make(store: Any, shape: tuple[int, int], *, overwrite: bool = False) -> Any:
        import zarr
        from zarr.codecs import ZstdCodec

        return zarr.create_array(
            store,
            shape=shape,
            chunks=(CHUNK, CHUNK),
            dtype="uint8",
            compressors=ZstdCodec(level=0, checksum=True),
            fill_value=0,
            dimension_names=("y", "x"),
            overwrite=overwrite,
        )

    def _read(self, name: str, window: Window) -> NDArray[np.uint8]:
        if name not in self._opened and not (self.folder / name / "zarr.json").exists():
            return np.zeros(tuple(side.stop - side.start for side in window), np.uint8)
        return np.array(self._array(name)[window], dtype=np.uint8)

    def _array(self, name: str) -> Any:
        if name not in self._opened:
            import zarr

            from histobridge.core.durable_store import DurableStore

            try:
                array = zarr.open_array(DurableStore(self.folder / name), mode="r+")
            except (OSError, ValueError, KeyError) as error:
                raise ProjectError(f"{self.folder / name} is not a readable zarr array: {error}") from error
            if array.shape != tuple(self.shape) or array.dtype != np.uint8:
                raise ProjectError(
                    f"{self.folder / name} holds {array.shape} {array.dtype}, the image needs {self.shape} uint8"
                )
            self._opened[name] = array
        return self._opened[name]
