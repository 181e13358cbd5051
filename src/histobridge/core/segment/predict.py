"""Prediction of any window of any large image, tile by tile."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Window = tuple[slice, slice]
CACHE_BYTES = 256 * 2**20


class TiledPrediction:
    """Probabilities of an image that is read and predicted in overlapping tiles.

    The tiles lie on a grid fixed to the image and a pixel is blended from its tiles in a fixed order, so that the
    result of a window does not depend on the window. Tiles at the border see the image mirrored. The newest tiles
    are kept (at most 256 MiB), so that neighbouring windows do not predict them again.

    Parameters
    ----------
    probabilities : callable
        Maps a tensor (1, 1, tile, tile) float32 to (1, K, tile, tile).
    read : callable
        ``read(window)`` gives (Y, X) float32 of a window inside the image.
    shape : tuple of int
        (Y, X) of the image.
    tile : int
        Side of a tile, a multiple of 16.
    overlap : int
        Pixels that neighbouring tiles share; even, at most half a tile.
    """

    def __init__(
        self,
        probabilities: Callable[[torch.Tensor], torch.Tensor],
        read: Callable[[Window], NDArray[np.float32]],
        shape: tuple[int, int],
        tile: int = 256,
        overlap: int = 64,
    ):
        if overlap < 0 or overlap % 2 or 2 * overlap > tile or tile % 16:
            raise ValueError(
                f"expected a tile of a multiple of 16 and an even overlap up to half, got {tile}, {overlap}"
            )
        self.shape = shape
        self._probabilities, self._read = probabilities, read
        self._y, self._x = (_Axis(size, tile, overlap) for size in shape)
        self._tiles: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()

    def window(self, window: Window) -> NDArray[np.float32]:
        """Predict one window.

        Parameters
        ----------
        window : tuple of slice
            Rows and columns inside the image, in absolute pixels.

        Returns
        -------
        ndarray
            (K, Y, X) float32 in [0, 1].
        """
        (top, bottom), (left, right) = (_bounds(part, size) for part, size in zip(window, self.shape, strict=True))
        result: NDArray[np.float32] | None = None
        for row in self._y.tiles(top, bottom):
            strip: NDArray[np.float32] | None = None
            y_start, y_inside = self._y.shared(row, top, bottom)
            for column in self._x.tiles(left, right):
                x_start, x_inside = self._x.shared(column, left, right)
                piece = self._tile(row, column)[:, y_inside, x_inside]
                if strip is None:
                    strip = np.empty((*piece.shape[:2], right - left), np.float32)
                self._x.blend(piece, strip[:, :, x_start - left :], self._x.ramp(column, x_start))
            assert strip is not None
            if result is None:
                result = np.empty((len(strip), bottom - top, right - left), np.float32)
            below = result[:, y_start - top :].swapaxes(1, 2)
            self._y.blend(strip.swapaxes(1, 2), below, self._y.ramp(row, y_start))
        assert result is not None
        return result

    def _tile(self, row: int, column: int) -> NDArray[np.float32]:
        """Return the probabilities (K, tile, tile) of one tile."""
        key = row, column
        if key not in self._tiles:
            image = torch.from_numpy(self._read_mirrored(row, column))[None, None]
            tile = self._probabilities(image)[0].float().cpu().numpy()
            room = max(1, CACHE_BYTES // tile.nbytes)
            while len(self._tiles) >= room:
                self._tiles.popitem(last=False)
            self._tiles[key] = tile
        self._tiles.move_to_end(key)
        return self._tiles[key]

    def _read_mirrored(self, row: int, column: int) -> NDArray[np.float32]:
        """Read the pixels of a tile; those outside the image mirror it."""
        y, x = self._y.mirrored(row), self._x.mirrored(column)
        inside = self._read((slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)))
        return np.ascontiguousarray(inside[np.ix_(y - y.min(), x - x.min())], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The grid along one axis: tile i spans ``tile`` pixels from ``i * (tile - overlap) - overlap / 2``."""

    size: int
    tile: int
    overlap: int

    @property
    def step(self) -> int:
        return self.tile - self.overlap

    def start(self, index: int) -> int:
        return index * self.step - self.overlap // 2

    def tiles(self, start: int, stop: int) -> range:
        """Which tiles have a part in the pixels from `start` to before `stop`."""
        last = max(0, -(-self.size // self.step) - 1)
        half = self.overlap // 2
        first = max(0, (start - half) // self.step)
        return range(min(first, last), min((stop - 1 + half) // self.step, last) + 1)

    def shared(self, index: int, start: int, stop: int) -> tuple[int, slice]:
        """Where the tile and the pixels from `start` to before `stop` begin to overlap, and that part of the tile."""
        origin = self.start(index)
        begin = max(start, origin)
        return begin, slice(begin - origin, min(stop, origin + self.tile) - origin)

    def ramp(self, index: int, begin: int) -> NDArray[np.float32]:
        """Weights of the tile, from pixel `begin` on, where it takes over from the tile before; rises from 0 to 1."""
        if index == 0 or self.overlap == 0:
            return np.empty(0, np.float32)
        position = np.arange(begin - self.start(index), self.overlap, dtype=np.float32)
        rising: NDArray[np.float32] = np.sin((position + 0.5) / self.overlap * (np.pi / 2)) ** 2
        return rising

    @staticmethod
    def blend(piece: NDArray[np.float32], into: NDArray[np.float32], ramp: NDArray[np.float32]) -> None:
        """Write `piece` at the start of the last axis of `into`, fading from what is there over `ramp`."""
        length = piece.shape[-1]
        fading = min(ramp.size, length)
        before, after = into[..., :fading], piece[..., :fading]
        before += ramp[:fading] * (after - before)
        into[..., fading:length] = piece[..., fading:]

    def mirrored(self, index: int) -> NDArray[np.int64]:
        """Pixels of the tile, mirrored at the border pixels into the image."""
        period = max(1, 2 * (self.size - 1))
        folded = np.arange(self.start(index), self.start(index) + self.tile) % period
        return np.minimum(folded, period - folded) if self.size > 1 else np.zeros(self.tile, np.int64)


def _bounds(part: slice, size: int) -> tuple[int, int]:
    """First and past-the-last pixel of one axis of a window."""
    start = 0 if part.start is None else part.start
    stop = size if part.stop is None else part.stop
    if not 0 <= start < stop <= size:
        raise ValueError(f"window {start}:{stop} is empty or reaches outside the {size} pixels of the image")
    return start, stop
