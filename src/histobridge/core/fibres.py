"""Which fibre owns a pixel of axon or myelin."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner
from histobridge.core.manifest import IGNORE, Manifest
from histobridge.core.ownership import honour

BYTES_PER_PIXEL = 45
"""Peak memory of `derive_fibres` for every pixel of the image, measured; it works on the whole image at once."""


def derive_fibres(classes: NDArray[np.uint8], manifest: Manifest, owners: Sequence[Owner] = ()) -> NDArray[np.uint32]:
    """Number the fibres of a field.

    For a nested pair of classes every connected inner region (axon) is a fibre, with what lies inside it, and a
    watershed over both classes gives each pixel of the outer class (myelin) to one of them; outer regions without any
    inner one are fibres of their own.
    Where the user has said whose a piece of the outer class is, that counts, see `histobridge.core.ownership.honour`.
    Other classes, and all where no class lies inside another, are plain connected components of one class each.

    Parameters
    ----------
    classes : ndarray (Y, X) uint8
        0 background, class values, 255 unlabelled.
    manifest : Manifest
        Tells the classes and which lies inside which.
    owners : sequence of Owner
        Counted from the corner of the field; see `histobridge.core.ownership.standing_owners`.

    Returns
    -------
    ndarray (Y, X) uint32
        Ids from 1 without gaps, in the order of rows; 0 where there is no class.
    """
    from skimage.segmentation import relabel_sequential

    pair = tuple(spec.value for spec in manifest.nested_pair() or ())
    fibres = number_fibres(filled_axons(classes, manifest), pair, [spec.value for spec in manifest.classes], owners)
    return np.asarray(relabel_sequential(fibres)[0], dtype=np.uint32)


def filled_axons(classes: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.uint8]:
    """Count what lies inside the inner class of the nested pair (a mitochondrion in an axon) as the inner class.

    Parameters
    ----------
    classes : ndarray (Y, X) uint8
        0 background, class values, 255 unlabelled.
    manifest : Manifest

    Returns
    -------
    ndarray (Y, X) uint8
        The same array where there is no such class.
    """
    pair = manifest.nested_pair()
    enclosed = [value for value in manifest.enclosed_by(pair[0].name) if value != pair[1].value] if pair else []
    return np.where(np.isin(classes, enclosed), np.uint8(pair[0].value), classes) if pair and enclosed else classes


def number_fibres(
    classes: NDArray[np.uint8], pair: tuple[int, ...], values: Iterable[int], owners: Sequence[Owner] = ()
) -> NDArray[np.int32]:
    """Number the fibres of a field whose classes are known by their values only.

    Parameters
    ----------
    classes : ndarray (Y, X) uint8
        0 background, class values, 255 unlabelled.
    pair : tuple of int
        Values of the enclosed and the enclosing class; empty if there are none.
    values : iterable of int
        Values of all classes.
    owners : sequence of Owner
        Counted from the corner of the field.

    Returns
    -------
    ndarray (Y, X) int32
        Ids from 1, possibly with gaps; 0 where there is no class.
    """
    from skimage.measure import label

    fibres = np.zeros(classes.shape, np.int32)
    if pair:
        inner, outer = pair
        fibres = honour(nested_fibres(classes, inner, outer), classes, (inner, outer), owners)
    for value in values:
        if value not in pair:
            regions = label(classes == value, connectivity=1)
            fibres = np.where(regions, regions + int(fibres.max()), fibres)
    fibres[classes == IGNORE] = 0
    return fibres


def nested_fibres(classes: NDArray[np.uint8], inner: int, outer: int) -> NDArray[np.int32]:
    """Number inner regions, and hand each pixel of the outer class to the one that reaches it first.

    Parameters
    ----------
    classes : ndarray (Y, X) uint8
        0 background, class values, 255 unlabelled.
    inner, outer : int
        Values of the enclosed and the enclosing class.

    Returns
    -------
    ndarray (Y, X) int32
        Ids from 1, first of the inner regions and then of outer regions without any; 0 for all other classes.
    """
    from scipy import ndimage
    from skimage.measure import label
    from skimage.segmentation import watershed

    seeds = label(classes == inner, connectivity=1)
    mask = (classes == inner) | (classes == outer)
    # Flooding by distance from the axons splits a shared sheath halfway between them.
    distance = ndimage.distance_transform_edt(seeds == 0, return_distances=True).astype(np.float32)
    fibres = watershed(distance, seeds, connectivity=1, mask=mask)
    alone = label(mask & (fibres == 0), connectivity=1)
    return np.asarray(np.where(alone, alone + int(fibres.max()), fibres), dtype=np.int32)
