"""Training images with thinner and thicker sheaths, which differ more between tissues than their look does."""

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.segment.crops import Field

LEVELS = 3
"""Steps of thickness to either side of the true one."""
LEAST_LEFT = 0.2
"""Share of a sheath that stays when it is made thinner."""
MOST_TAKEN = 0.6
"""Share of an axon's radius that its sheath may take when it is made thicker."""


def vary_sheaths(fields: list[Field], pair: tuple[int, int] | None, variation: float) -> list[Field]:
    """Add copies of the fields with thinner and thicker sheaths, thicknesses evenly spread on a logarithmic scale.

    Parameters
    ----------
    fields : list of Field
    pair : tuple of int, optional
        Channels of the enclosed and the enclosing class; none: there is no such pair, and nothing to vary.
    variation : float
        At least 1: thicknesses go from the true one divided by this to the true one times this; 1: no copies.

    Returns
    -------
    list of Field
        The fields themselves first.
    """
    if pair is None or variation <= 1:
        return fields
    steps = [step for step in range(-LEVELS, LEVELS + 1) if step]
    factors = [variation ** (step / LEVELS) for step in steps]
    return [*fields, *(_Sheaths(field, pair).scaled(factor) for field in fields for factor in factors)]


class _Sheaths:
    """The sheaths of one field, ready to be made thinner or thicker.

    Along the normals of the inner border, the distance ``d`` from it (negative inside) is stretched: what is shown at
    ``d`` comes from ``d + s w(d)``, with ``s = (factor - 1) T``, ``w`` 1 where the border goes (at ``-s``) and falling
    linearly to 0 at the outer border (``T``) and at the middle of the axon (``-R``). So the inner border moves by ``s``
    inwards and the outer one stays.
    """

    def __init__(self, field: Field, pair: tuple[int, int]):
        from scipy import ndimage

        self.field = field
        labels = field.labels
        axons = labels == pair[0]
        self.count = 0
        if not axons.any():
            return
        fibre, self.count = _owners(labels, pair)
        self.distance = ndimage.gaussian_filter(_signed_distance(axons), 1.0)
        edge = (fibre == 0) | _borders(fibre)
        to_outside = ndimage.distance_transform_edt(~edge)
        rim = axons & ~ndimage.binary_erosion(axons)
        numbers = np.arange(1, self.count + 1)
        thickness = np.append(1.0, ndimage.median(to_outside, np.where(rim, fibre, 0), numbers))
        inside = ndimage.distance_transform_edt(axons)
        radius = np.append(1.0, ndimage.maximum(inside, np.where(axons, fibre, 0), numbers))
        nearest = ndimage.distance_transform_edt(fibre == 0, return_distances=False, return_indices=True)
        owner = fibre[tuple(nearest)]
        self.thickness, self.radius = (np.maximum(1.0, each)[owner] for each in (thickness, radius))

    def scaled(self, factor: float) -> Field:
        """Make sheaths `factor` times as thick, as far as there is room."""
        from scipy import ndimage

        if self.count == 0:
            return self.field
        shift = (factor - 1) * self.thickness
        shift = np.clip(shift, (LEAST_LEFT - 1) * self.thickness, MOST_TAKEN * self.radius)
        shift = ndimage.gaussian_filter(shift, 2.0)
        outward = (self.thickness - self.distance) / np.maximum(self.thickness + shift, 0.5)
        inward = (self.distance + self.radius) / np.maximum(self.radius - shift, 0.5)
        moved = shift * np.clip(np.minimum(outward, inward), 0, 1)
        along = np.stack(np.gradient(self.distance))
        along /= np.maximum(np.linalg.norm(along, axis=0), 1e-6)
        where = np.indices(self.distance.shape) + moved * along
        image = ndimage.map_coordinates(self.field.image, where, order=1, mode="nearest")
        labels = ndimage.map_coordinates(self.field.labels, where, order=0, mode="nearest")
        labels[self.field.labels == IGNORE] = IGNORE
        return Field(image.astype(np.float32), labels, self.field.weight)


def _owners(labels: NDArray[np.uint8], pair: tuple[int, int]) -> tuple[NDArray[np.int64], int]:
    """Number the axons, and give each pixel of a sheath the number of the axon that is nearest; 0 elsewhere."""
    from scipy import ndimage

    axons, count = ndimage.label(labels == pair[0])
    nearest = ndimage.distance_transform_edt(axons == 0, return_distances=False, return_indices=True)
    return np.where(np.isin(labels, pair), axons[tuple(nearest)], 0), int(count)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance from the border of a mask in pixels, negative inside."""
    from scipy import ndimage

    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    return distance


def _borders(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels with another number below or to the right of them."""
    borders = np.zeros(numbers.shape, np.bool_)
    borders[:-1] |= numbers[:-1] != numbers[1:]
    borders[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    return borders
