"""Noise that belongs to places of a mosaic, not to tiles or to the order in which they are translated."""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from histobridge.core.translate.base import Look

BLOCK = 64
WORD = (1 << 64) - 1


class NoiseField:
    """Standard normal noise over the whole plane, any window of which can be had at any time.

    The plane is cut into blocks of 64 x 64 px. Each is made by the counter-based generator Philox (Salmon et al.
    2011), started at the block's coordinates, and Box and Muller's transform, so a pixel has the same value in every
    window that shows it. The raw numbers of Philox are the same in every version of NumPy.

    Parameters
    ----------
    seed : int
        Another seed is another field.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def of_image(self, look: Look) -> "NoiseField":
        """Return the field of one image: another for every look, so that images of one domain are not drawn alike.

        Some quantiles, coarsely rounded, stand for the look: on another machine the last bits may differ.
        """
        coarse = np.rint(look[:: look.size // 16] * 64).astype("<i2")
        drawn = sha256(self.seed.to_bytes(16, "little", signed=True) + coarse.tobytes()).digest()
        return NoiseField(int.from_bytes(drawn[:8], "little"))

    def window(self, stream: int, origin: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Cut out a window.

        Parameters
        ----------
        stream : int
            0 or more; fields of different streams are independent.
        origin : tuple of int
            (y, x) of the first pixel in the mosaic; may be negative.
        shape : tuple of int
            (Y, X).

        Returns
        -------
        array, (Y, X) float32
        """
        first = [start // BLOCK for start in origin]
        last = [-(-(start + size) // BLOCK) for start, size in zip(origin, shape, strict=True)]
        rows = [
            np.concatenate([self._block(stream, y, x) for x in range(first[1], last[1])], axis=1)
            for y in range(first[0], last[0])
        ]
        top, left = origin[0] - first[0] * BLOCK, origin[1] - first[1] * BLOCK
        return np.concatenate(rows)[top : top + shape[0], left : left + shape[1]]

    def latent(self, stream: int, size: int) -> NDArray[np.float32]:
        """Latent vector of the whole mosaic, (size,) float32, standard normal; streams are independent."""
        return _normal(self._philox(2 * stream + 1, 0, 0), size)

    def _block(self, stream: int, y: int, x: int) -> NDArray[np.float32]:
        return _normal(self._philox(2 * stream, y, x), BLOCK * BLOCK).reshape(BLOCK, BLOCK)

    def _philox(self, stream: int, y: int, x: int) -> np.random.Philox:
        """Generator that counts from the coordinates; the low words of the counter are left to it."""
        counter = np.array([0, 0, y & WORD, x & WORD], dtype=np.uint64)
        return np.random.Philox(counter=counter, key=np.array([self.seed & WORD, stream], dtype=np.uint64))


def _normal(bits: np.random.Philox, size: int) -> NDArray[np.float32]:
    """Turn raw numbers into `size` standard normal ones."""
    half = -(-size // 2)
    uniform = ((bits.random_raw(2 * half) >> np.uint64(11)) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size].astype(np.float32)
