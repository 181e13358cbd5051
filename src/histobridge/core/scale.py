"""How large the objects are: diameters from masks, and the scale that makes them one size."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Domain
from histobridge.core.errors import ProjectError
from histobridge.core.manifest import IGNORE, ClassSpec, ImageRecord, Manifest
from histobridge.core.project import Project
from histobridge.core.states import ACCEPTED, CORRECTED

MIN_AREA_PX = 30
"""Smaller connected regions are specks, not objects."""

FEW = 5
"""Regions inside a mask; of fewer than that, those that are cut count too."""


def reference_class(manifest: Manifest, domain: Domain) -> ClassSpec:
    """Return the class whose objects set the scale.

    The inner one of a nested pair, else the first; one that both domains have before one that only `domain` has.

    Raises
    ------
    ProjectError
        If no class occurs in the domain.
    """
    pair = manifest.nested_pair()
    ordered = [pair[0], *manifest.classes] if pair else list(manifest.classes)
    candidates = [spec for spec in ordered if domain in spec.domains]
    if not candidates:
        raise ProjectError(f"no class of the table occurs in the {domain}; change the domains of at least one")
    return next((spec for spec in candidates if len(spec.domains) > 1), candidates[0])


def object_diameters(
    mask: NDArray[np.bool_],
    min_area: float = MIN_AREA_PX,
    cut: bool | None = None,
    known: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Equivalent circle diameters, in pixels, of the connected regions of a mask.

    Parameters
    ----------
    mask : (Y, X) bool
    min_area : float
        Smallest region counted, in pixels.
    cut : bool, optional
        Count regions that touch the border or what is not known; by default only where few others are there, see
        `counts_cut`.
    known : (Y, X) bool, optional
        Where it is known what is in the mask; none: everywhere.

    Returns
    -------
    (n,) float64
        Diameters ``2 sqrt(area / pi)``.
    """
    whole, all_of_them = _areas(mask, min_area, known)
    chosen = all_of_them if (len(whole) < FEW if cut is None else cut) else whole
    return np.asarray(2 * np.sqrt(chosen / np.pi))


def counts_cut(mask: NDArray[np.bool_], min_area: float = MIN_AREA_PX) -> bool:
    """Whether so few regions of a mask (Y, X) lie inside that those at its border count too."""
    return len(_areas(mask, min_area)[0]) < FEW


def _areas(
    mask: NDArray[np.bool_], min_area: float, known: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas in pixels of the connected regions that touch neither the border nor what is not known, and of all."""
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    areas = np.bincount(regions.ravel(), minlength=count + 1).astype(float)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    areas[0] = 0
    inner = areas.copy()
    inner[border] = 0
    if known is not None and not known.all():
        inner[regions[ndimage.binary_dilation(~known)]] = 0
    return inner[inner >= min_area], areas[areas >= min_area]


def typical_diameter(mask: NDArray[np.bool_], known: NDArray[np.bool_] | None = None) -> float:
    """Area-weighted median diameter of the objects of a mask: half of the area lies in larger ones.

    The plain median follows the number of small fragments, of which a segmenter makes more the worse its scale fits;
    the area-weighted one hardly sees them.

    Parameters
    ----------
    mask : (Y, X) bool
    known : (Y, X) bool, optional
        As for `object_diameters`.

    Returns
    -------
    float
        In pixels; NaN without objects.
    """
    diameters = np.sort(object_diameters(mask, known=known))
    if not len(diameters):
        return float("nan")
    area = np.cumsum(diameters**2)
    return float(diameters[np.searchsorted(area, area[-1] / 2)])


def labelled_diameter_um(project: Project, image_ids: list[str]) -> float:
    """Typical object diameter in µm: `typical_diameter` of each labelled image, then the median over images.

    Parameters
    ----------
    project : Project
    image_ids : list of str
        Labelled images of one domain, at least one. Those whose zoom the user has set may lack a pixel size.

    Returns
    -------
    float

    Raises
    ------
    ProjectError
        If no image has an object of the reference class, or a pixel size is missing.
    """
    spec = reference_class(project.manifest, project.image(image_ids[0]).domain)
    records = [project.image(image_id) for image_id in image_ids]
    sizes = pixel_sizes(records)
    if not sizes:
        raise ProjectError("none of the labelled images has a pixel size; enter it in µm on the Images page")
    medians = []
    for image_id, size in sizes.items():
        labels = read_labels(project, image_id)
        diameter = typical_diameter(labels == spec.value, labels != IGNORE)
        if np.isfinite(diameter):
            medians.append(diameter * size)
    if not medians:
        raise ProjectError(
            f"none of the labelled images has an object of class {spec.name!r}, which sets the scale; "
            "check the class table or the values in the masks"
        )
    return float(np.median(medians))


def pixel_sizes(records: list[ImageRecord]) -> dict[str, float]:
    """Pixel size in µm of each image that has one; raises `ProjectError` if one has neither that nor a set zoom."""
    missing = [record.id for record in records if record.pixel_size_um is None and record.zoom_override is None]
    if missing:
        raise ProjectError(
            f"no pixel size for {', '.join(missing)}; enter it in µm on the Images page, or with "
            "`histobridge set PROJECT IMAGE... --pixel-size-um X`"
        )
    return {record.id: record.pixel_size_um for record in records if record.pixel_size_um is not None}


def read_labels(project: Project, image_id: str) -> NDArray[np.uint8]:
    """Read the labels of one image as a training target: classes where reviewed, 255 elsewhere; (Y, X) uint8."""
    record = project.image(image_id)
    store = project.labels(image_id)
    try:
        classes, state = store.read((slice(0, record.shape[0]), slice(0, record.shape[1])))
    finally:
        store.close()
    return np.where((state == ACCEPTED) | (state == CORRECTED), classes, IGNORE).astype(np.uint8)
