"""How large the objects are: diameters from masks, and the scale that makes them one size."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import ProjectError
from histobridge.core.manifest import IGNORE, ClassSpec, Manifest
from histobridge.core.project import Project

MIN_AREA_PX = 30
"""Smaller connected regions are specks, not objects."""


def reference_class(manifest: Manifest) -> ClassSpec:
    """Return the class whose objects set the scale: the inner one of a nested pair, else the first."""
    pair = manifest.nested_pair()
    return pair[0] if pair else manifest.classes[0]


def object_diameters(mask: NDArray[np.bool_], min_area: float = MIN_AREA_PX) -> NDArray[np.float64]:
    """Equivalent circle diameters, in pixels, of the connected regions of a mask that do not touch its border.

    Parameters
    ----------
    mask : (Y, X) bool
    min_area : float
        Smallest region counted, in pixels.

    Returns
    -------
    (n,) float64
        Diameters ``2 sqrt(area / pi)``.
    """
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    areas = np.bincount(regions.ravel(), minlength=count + 1).astype(float)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    areas[0] = 0
    inner = areas.copy()
    inner[border] = 0
    chosen = inner[inner >= min_area]
    if len(chosen) < 5:
        chosen = areas[areas >= min_area]
    return np.asarray(2 * np.sqrt(chosen / np.pi))


def typical_diameter(mask: NDArray[np.bool_]) -> float:
    """Area-weighted median diameter of the objects of a mask: half of the area lies in larger ones.

    The plain median follows the number of small fragments, of which a segmenter makes more the worse its scale fits;
    the area-weighted one hardly sees them.

    Parameters
    ----------
    mask : (Y, X) bool

    Returns
    -------
    float
        In pixels; NaN without objects.
    """
    diameters = np.sort(object_diameters(mask))
    if not len(diameters):
        return float("nan")
    area = np.cumsum(diameters**2)
    return float(diameters[np.searchsorted(area, area[-1] / 2)])


def labelled_diameter_um(project: Project, image_ids: list[str]) -> float:
    """Typical object diameter in µm: `typical_diameter` of each labelled image, then the median over images.

    Raises
    ------
    ProjectError
        If no image has an object of the reference class, or a pixel size is missing.
    """
    spec = reference_class(project.manifest)
    medians = []
    for image_id in image_ids:
        record = project.image(image_id)
        if record.pixel_size_um is None:
            raise ProjectError(f"image {image_id} has no pixel size; enter it in µm on the Images page")
        diameter = typical_diameter(read_labels(project, image_id) == spec.value)
        if np.isfinite(diameter):
            medians.append(diameter * record.pixel_size_um)
    if not medians:
        raise ProjectError(
            f"none of the labelled images has an object of class {spec.name!r}, which sets the scale; "
            "check the class table or the values in the masks"
        )
    return float(np.median(medians))


def read_labels(project: Project, image_id: str) -> NDArray[np.uint8]:
    """Read the labels of one image as a training target: classes where reviewed, 255 elsewhere; (Y, X) uint8."""
    record = project.image(image_id)
    store = project.labels(image_id)
    try:
        classes, state = store.read((slice(0, record.shape[0]), slice(0, record.shape[1])))
    finally:
        store.close()
    return np.where((state == 1) | (state == 2), classes, IGNORE).astype(np.uint8)
