"""Images at the working scale: one size of object in pixels, one range of grey values."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.manifest import ImageRecord

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from histobridge.core.images.pyramid import Pyramid

Window = tuple[slice, slice]
QUANTILES = 257
_SAMPLE_SIDE = 256
_SAMPLE_PIXELS = 1 << 21
READ_PIXELS = 1 << 24
"""Native pixels read at once; an image without a pyramid has many behind few working pixels."""
BAND_PX = 1 << 22
"""Native pixels of labels that are resampled at once."""


def resampling_matrix(output: slice, zoom: float, size: int) -> tuple["csr_array", slice]:
    """Weights that resample one axis, and the input range they need.

    Triangle filter, widened when shrinking (anti-aliased): the result of a range is the same as that range of the
    result of the whole axis.

    Parameters
    ----------
    output : slice
        Output pixels wanted; may reach outside, where the border is repeated.
    zoom : float
        Output pixels per input pixel.
    size : int
        Input pixels of the whole axis.

    Returns
    -------
    csr_array
        (output pixels, input pixels of the range), rows sum to 1.
    slice
        The input range.
    """
    from scipy.sparse import csr_array

    radius = max(1.0, 1.0 / zoom)
    centres = (np.arange(output.start, output.stop) + 0.5) / zoom - 0.5
    reach = int(np.ceil(radius))
    taps = np.floor(centres).astype(int)[:, None] + np.arange(-reach, reach + 2)[None]
    weights = np.clip(1 - np.abs(taps - centres[:, None]) / radius, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    taps = np.clip(taps, 0, size - 1)
    needed = slice(int(taps.min()), int(taps.max()) + 1)
    rows = np.repeat(np.arange(len(centres)), taps.shape[1])
    shape = (len(centres), needed.stop - needed.start)
    matrix = csr_array((weights.ravel().astype(np.float32), (rows, (taps - needed.start).ravel())), shape=shape)
    return matrix, needed


class WorkingImage:
    """One image at the working scale, read window by window.

    Parameters
    ----------
    pyramid : Pyramid
        The native pixels.
    zoom : float
        Working pixels per native pixel.

    Attributes
    ----------
    shape : tuple of int
        (Y, X) at the working scale.
    """

    def __init__(self, pyramid: "Pyramid", zoom: float):
        self.pyramid = pyramid
        self.zoom = zoom
        self.shape: tuple[int, int] = working_shape(pyramid.shape, zoom)
        fits = [level for level, factor in enumerate(pyramid.factors) if zoom * factor <= 1 + 1e-6]
        self._level = max(fits, default=0)
        self._limits: tuple[float, float] | None = None
        self._look: NDArray[np.float32] | None = None

    def read_raw(self, window: Window) -> NDArray[np.float32]:
        """Read a window in native grey values, (Y, X) float32; outside the image the border is repeated."""
        level = self.pyramid.levels[self._level]
        zoom = self.zoom * self.pyramid.factors[self._level]
        rows, row_range = resampling_matrix(window[0], zoom, level.shape[-2])
        columns, column_range = resampling_matrix(window[1], zoom, level.shape[-1])
        middle = (window[0].start + window[0].stop) // 2
        if rows.shape[1] * columns.shape[1] > READ_PIXELS and middle > window[0].start:
            halves = (slice(window[0].start, middle), slice(middle, window[0].stop))
            return np.concatenate([self.read_raw((half, window[1])) for half in halves])
        native = self.pyramid.read((row_range, column_range), self._level).astype(np.float32)
        return np.asarray((columns @ (rows @ native).T).T, dtype=np.float32)

    @property
    def limits(self) -> tuple[float, float]:
        """Grey values, the 0.5 and 99.5 percentile of the whole image, that become -1 and 1."""
        if self._limits is None:
            low, high = np.percentile(self._sample(), (0.5, 99.5))
            # At least one grey level apart: less is rounding, which must not be stretched to an image.
            self._limits = (float(low), float(max(high, low + 1)))
        return self._limits

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read a window, (Y, X) float32 in [-1, 1]."""
        low, high = self.limits
        scaled: NDArray[np.float32] = np.clip((self.read_raw(window) - low) * (2 / (high - low)) - 1, -1, 1)
        return scaled

    def centre(self, side: int) -> Window:
        """Return the window of at most `side` pixels a side in the middle of the image."""
        starts = [max(0, (size - side) // 2) for size in self.shape]
        rows, columns = (slice(start, min(size, start + side)) for start, size in zip(starts, self.shape, strict=True))
        return rows, columns

    def whole(self) -> NDArray[np.float32]:
        """Read the whole image, (Y, X) float32 in [-1, 1]."""
        return self.read((slice(0, self.shape[0]), slice(0, self.shape[1])))

    @property
    def look(self) -> NDArray[np.float32]:
        """Grey quantiles of the whole image in [-1, 1], (257,)."""
        if self._look is None:
            low, high = self.limits
            sample = np.clip((self._sample() - low) * (2 / (high - low)) - 1, -1, 1)
            self._look = np.quantile(sample, np.linspace(0, 1, QUANTILES)).astype(np.float32)
        return self._look

    def _sample(self) -> NDArray[np.float32]:
        """Grey values of the whole image, or of evenly spread blocks of a large one; flat."""
        if self.shape[0] * self.shape[1] <= _SAMPLE_PIXELS:
            return self.read_raw((slice(0, self.shape[0]), slice(0, self.shape[1]))).ravel()
        count = round((_SAMPLE_PIXELS / _SAMPLE_SIDE**2) ** 0.5)
        corners = [np.linspace(0, max(0, size - _SAMPLE_SIDE), count).astype(int) for size in self.shape]
        side = [min(_SAMPLE_SIDE, size) for size in self.shape]
        blocks = [
            self.read_raw((slice(row, row + side[0]), slice(column, column + side[1]))).ravel()
            for row in corners[0]
            for column in corners[1]
        ]
        return np.concatenate(blocks)


def working_shape(shape: tuple[int, ...], zoom: float) -> tuple[int, int]:
    """(Y, X) at the working scale of an image of native `shape`."""
    rows, columns = (max(1, round(size * zoom)) for size in shape)
    return rows, columns


def resample_labels(labels: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    """Resample a whole label map to the pixels that `WorkingImage.whole` has at the same zoom.

    Parameters
    ----------
    labels : (Y, X) uint8
    zoom : float
        Working pixels per native pixel.

    Returns
    -------
    (Y, X) uint8
        The class that covers most of each pixel.
    """
    height, width = working_shape(labels.shape, zoom)
    columns, seen = resampling_matrix(slice(0, width), zoom, labels.shape[1])
    result = np.zeros((height, width), np.uint8)
    # Row by row, as every class takes four bytes for each native pixel meanwhile.
    step = max(1, int(BAND_PX * zoom / labels.shape[1]))
    for top in range(0, height, step):
        band = slice(top, min(top + step, height))
        rows, below = resampling_matrix(band, zoom, labels.shape[0])
        result[band] = majority(labels[below, seen], rows, columns)
    return result


def majority(labels: NDArray[np.uint8], rows: "csr_array", columns: "csr_array") -> NDArray[np.uint8]:
    """Resample labels with given weights of rows and columns; each output pixel takes the class that covers most of it.

    Parameters
    ----------
    labels : (Y, X) uint8
    rows, columns : csr_array
        From `resampling_matrix`; (output pixels, input pixels).

    Returns
    -------
    (output Y, output X) uint8
    """
    best = np.zeros((rows.shape[0], columns.shape[0]), np.float32)
    result = np.zeros(best.shape, np.uint8)
    for value in np.unique(labels):
        cover = np.asarray((columns @ (rows @ (labels == value).astype(np.float32)).T).T)
        better = cover > best
        result[better] = value
        best[better] = cover[better]
    return result


def zoom_of(record: ImageRecord, working_um: float) -> float:
    """Working pixels per native pixel of one image.

    Raises
    ------
    ProjectError
        If its pixel size is unknown and no override is set.
    """
    if record.zoom_override is not None:
        return record.zoom_override
    if record.pixel_size_um is None:
        raise ProjectError(
            f"image {record.id} has no pixel size; enter it in µm on the Images page, or with "
            "`histobridge set PROJECT IMAGE... --pixel-size-um X`"
        )
    return record.pixel_size_um / working_um
