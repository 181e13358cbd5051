"""Numbers that tell how windows of an image look, from our own segmenter or from fixed filters; nothing is fetched."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histobridge.core.translate.base import Image, Window

if TYPE_CHECKING:
    from histobridge.core.segment.model import Segmenter

Features: TypeAlias = NDArray[np.float64]
Describe: TypeAlias = Callable[[Sequence[Image]], Features]
"""Maps images, (Y, X) float32 in [-1, 1], to one row a window, (n, d)."""

WINDOW_PX = 64
SMALLEST_PX = 16
SCALES_PX = (1.0, 2.0, 4.0)
SMALLEST_SPREAD = 0.2
"""A tenth of the range of grey values, a fifth of an energy: features that vary less do not count for more."""
SMALLEST_ENERGY = 1e-2


def windows(images: Sequence[Image]) -> list[Image]:
    """Cut images into windows of 64 px, or half the image where that is less, which overlap by half."""
    return [image[part] for image in images for part in _parts(image)]


def _parts(image: Image) -> list[Window]:
    side = min(WINDOW_PX, max(SMALLEST_PX, min(image.shape) // 2))
    starts = [range(0, max(1, size - side + 1), side // 2) for size in image.shape]
    return [(slice(row, row + side), slice(column, column + side)) for row in starts[0] for column in starts[1]]


def filter_features(images: Sequence[Image]) -> Features:
    """Describe windows by the responses of Gaussian derivatives at three scales, and by grey quantiles.

    Parameters
    ----------
    images : sequence of array, (Y, X) float32
        In [-1, 1].

    Returns
    -------
    array, (n, 17) float64
        Of each window five grey quantiles, and the logarithm of mean and spread of edges and of blobs at each scale.
    """
    from scipy import ndimage

    rows = []
    for image in images:
        responses = [
            (
                scale * ndimage.gaussian_gradient_magnitude(image, scale),
                scale**2 * ndimage.gaussian_laplace(image, scale),
            )
            for scale in SCALES_PX
        ]
        for part in _parts(image):
            row = list(np.quantile(image[part], (0.05, 0.25, 0.5, 0.75, 0.95)))
            for edges, blobs in responses:
                energies = edges[part].mean(), edges[part].std(), np.abs(blobs[part]).mean(), blobs[part].std()
                row += [np.log(SMALLEST_ENERGY + energy) for energy in energies]
            rows.append(row)
    return np.array(rows, np.float64)


def segmenter_features(segmenter: "Segmenter") -> Describe:
    """Describe windows by the deepest layer of a segmenter, averaged over the window.

    Parameters
    ----------
    segmenter : Segmenter
        Images to describe must look like those it has learned.

    Returns
    -------
    callable
        Maps images to (n, d), d the channels of that layer.
    """
    import torch

    def describe(images: Sequence[Image]) -> Features:
        seen: list[torch.Tensor] = []

        def keep(_: torch.nn.Module, __: object, output: torch.Tensor) -> None:
            if not seen or output[0, 0].numel() <= seen[0][0, 0].numel():
                seen[:] = [output]

        norms = [layer for layer in segmenter.net.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        hooks = [norm.register_forward_hook(keep) for norm in norms]
        rows = []
        try:
            for window in windows(images):
                seen.clear()
                segmenter.probabilities(torch.from_numpy(np.ascontiguousarray(window))[None, None])
                rows.append(seen[0][0].mean(dim=(1, 2)).double().cpu().numpy())
        finally:
            for hook in hooks:
                hook.remove()
        return np.stack(rows)

    return describe


def standardised(reference: Features, *sets: Features) -> list[Features]:
    """Shift and scale features so that those of a reference have mean 0 and spread 1 in each column.

    Distances do not depend on the units of single features then. The reference should hold both what is wished for and
    where one starts from: spread within one domain alone makes the smallest difference from it immense.
    """
    mean, spread = reference.mean(axis=0), np.maximum(reference.std(axis=0), SMALLEST_SPREAD)
    return [(features - mean) / spread for features in sets]
