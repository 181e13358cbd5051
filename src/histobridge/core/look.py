"""How tiles look: a few numbers each, groups of tiles that look alike, and how new a look is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.images.pyramid import Pyramid, Window

Features = NDArray[np.float64]

SIDE_PX = 128
"""A tile is looked at on the coarsest level at which it is at least so long and wide."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SCALES_PX = (1, 2, 4, 8)
ROUNDS = 30
MOST_COMPARED = 400

TILES_PER_LOOK = 3
"""There are not more looks than make groups of so many tiles on average."""


def look(image: Pyramid, window: Window) -> Features:
    """Describe the look of a tile.

    Parameters
    ----------
    image : Pyramid
    window : tuple of slice
        Native pixels (Y, X).

    Returns
    -------
    ndarray (9,) float64
        Five quantiles of the grey values, as shares of the range of the type; then log10 of the standard deviation of
        four octaves of detail, differences of Gaussians of 1, 2, 4 and 8 px at the level looked at.
    """
    from scipy import ndimage

    shortest = min(side.stop - side.start for side in window)
    level = max(index for index, factor in enumerate(image.factors) if index == 0 or shortest / factor >= SIDE_PX)
    factor = image.factors[level]
    rows, columns = (slice(int(side.start / factor), max(1, int(np.ceil(side.stop / factor)))) for side in window)
    pixels = image.read((rows, columns), level).astype(np.float32) / np.iinfo(image.dtype).max
    step = max(1, min(pixels.shape) // (2 * SIDE_PX))
    pixels = pixels[::step, ::step]
    details = []
    finer = pixels
    for scale in SCALES_PX:
        coarser = ndimage.gaussian_filter(pixels, scale, truncate=2)
        details.append(np.log10((finer - coarser).std() + 1e-4))
        finer = coarser
    return np.array([*np.quantile(pixels, QUANTILES), *details], np.float64)


def standardised(features: Features) -> Features:
    """Bring every feature, (N, F), to mean 0 and standard deviation 1; those that never vary become 0."""
    spread = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf))


def look_groups(features: Features, images: Sequence[str], count: int, seed: int) -> NDArray[np.intp]:
    """Group tiles by look, so that the looks of each image and those of many small images can take turns.

    Images differ from each other more than the tiles of one of them. So tiles of images of many tiles are grouped by
    how they differ from the mean of their image, and all others as they are.

    Parameters
    ----------
    features : ndarray (N, F) float64
        Standardised.
    images : sequence of str
        Image of each tile.
    count : int
        Groups of either kind, at most.
    seed : int

    Returns
    -------
    ndarray (N,) int
        Group of each tile; fewer than `count` for tiles of large images, the others from there on.
    """
    of_image = np.unique(np.asarray(images), return_inverse=True)[1]
    large = np.bincount(of_image)[of_image] >= 2 * TILES_PER_LOOK
    groups = np.zeros(len(features), np.intp)
    for kind, first in ((large, 0), (~large, count)):
        members = features[kind]
        if first == 0 and kind.any():
            means = {image: features[of_image == image].mean(axis=0) for image in np.unique(of_image[kind])}
            members = standardised(members - np.stack([means[image] for image in of_image[kind]]))
        if kind.any():
            groups[kind] = first + clusters(members, max(1, min(count, len(members) // TILES_PER_LOOK)), seed)
    return groups


def clusters(features: Features, count: int, seed: int) -> NDArray[np.intp]:
    """Group what is alike by k-means.

    Parameters
    ----------
    features : ndarray (N, F) float64
        Standardised.
    count : int
        Groups, at least 1; fewer where there are fewer different rows.
    seed : int

    Returns
    -------
    ndarray (N,) int
        Group of each row, from 0.

    Notes
    -----
    Lloyd's iterations from seeds drawn far apart (k-means++): Arthur & Vassilvitskii 2007.
    """
    random = np.random.default_rng(seed)
    centres = features[random.integers(len(features), size=1)]
    while len(centres) < count and (far := _squares(features, centres).min(axis=1)).sum() > 1e-12:
        drawn = random.choice(len(features), p=far / far.sum())
        centres = np.concatenate((centres, features[drawn : drawn + 1]))
    for _ in range(ROUNDS):
        groups = _squares(features, centres).argmin(axis=1)
        # A group that lost all its members keeps its centre.
        means = [
            features[groups == group].mean(axis=0) if (groups == group).any() else centres[group]
            for group in range(len(centres))
        ]
        if np.allclose(means, centres):
            break
        centres = np.stack(means)
    return np.asarray(_squares(features, centres).argmin(axis=1))


def novelty(features: Features, reviewed: Features) -> Features:
    """Tell how unlike the reviewed tiles each tile looks.

    Parameters
    ----------
    features : ndarray (N, F) float64
        Standardised together with `reviewed`.
    reviewed : ndarray (M, F) float64
        Of at least one tile.

    Returns
    -------
    ndarray (N,) float64
        In [0, 1]: half of the distance to the nearest reviewed tile in units of the median distance between two tiles,
        so that 0.5 is as unlike as any two tiles are.
    """
    some = features[:: -(-len(features) // MOST_COMPARED)]
    between = np.sqrt(_squares(some, some))[np.triu_indices(len(some), 1)]
    typical = float(np.median(between)) if between.size else 0.0
    nearest = np.sqrt(_squares(features, reviewed).min(axis=1))
    return np.clip(nearest / (2 * typical), 0, 1) if typical > 1e-9 else np.zeros(len(features))


def _squares(ones: Features, others: Features) -> Features:
    """Squared distances (N, M) between rows."""
    products = (ones**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * ones @ others.T
    return np.asarray(np.maximum(products, 0))
