"""Measures of fibres: diameters, thickness of the sheath, g-ratio, and how far a prediction is off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.comparison import Mask, same_shape
from histobridge.core.errors import InputError
from histobridge.core.instances import Matches

Column = NDArray[np.float64]


@dataclass(frozen=True)
class FibreTable:
    """One row per fibre that has an axon, in the order of ids.

    Parameters
    ----------
    ids : ndarray (N,) int
        As in the fibre image.
    axon_diameter_um, fibre_diameter_um : ndarray (N,) float
        Diameters of the circles that have the area of the axon, and of axon and sheath.
    cut : ndarray (N,) bool
        Whether the fibre touches the edge of the image or unlabelled pixels, so that it is not all seen.
    """

    ids: NDArray[np.int64]
    axon_diameter_um: Column
    fibre_diameter_um: Column
    cut: NDArray[np.bool_]

    @property
    def g_ratio(self) -> Column:
        """Axon diameter over fibre diameter, above 0, at most 1; 1 is an axon without a sheath."""
        return self.axon_diameter_um / self.fibre_diameter_um

    @property
    def sheath_thickness_um(self) -> Column:
        """Half the difference of the diameters."""
        return (self.fibre_diameter_um - self.axon_diameter_um) / 2


def measure_fibres(
    fibres: Mask, classes: Mask, inner: int, pixel_size_um: float, ignore: int | None = None
) -> FibreTable:
    """Measure the fibres of a field.

    Parameters
    ----------
    fibres : ndarray (Y, X) of int
        Fibre ids, 0 is none; see `histobridge.core.fibres.derive_fibres`.
    classes : ndarray (Y, X) of int
        Class values.
    inner : int
        Value of the axon.
    pixel_size_um : float
        µm per pixel; with 1 diameters are in pixels.
    ignore : int, optional
        Value of unlabelled pixels in `classes`; fibres beside them count as cut.

    Returns
    -------
    FibreTable
        Without the fibres that have no pixel of the axon, which are sheaths alone.

    Raises
    ------
    InputError
        If the shapes differ or the pixel size is not positive.

    Notes
    -----
    d = 2 sqrt(A / pi) for the areas of axon and fibre, so that the g-ratio is sqrt(A_axon / A_fibre) whatever the
    shape. The fibres' own pixels are counted; a sheath shared by two is split between them.
    """
    if not pixel_size_um > 0:
        raise InputError(f"the pixel size must be above 0 µm; got {pixel_size_um}")
    fibres, classes = same_shape(fibres, classes)
    count = int(fibres.max(initial=0)) + 1
    fibre_area = np.bincount(fibres.ravel(), minlength=count)
    axon_area = np.bincount(fibres[classes == inner], minlength=count)
    axon_area[0] = 0
    ids = np.flatnonzero(axon_area)
    cut = np.zeros(count, bool)
    cut[fibres[_beside_unseen(classes, ignore)]] = True
    axon, fibre = (2 * np.sqrt(area[ids] / np.pi) * pixel_size_um for area in (axon_area, fibre_area))
    return FibreTable(ids, axon, fibre, cut[ids])


def _beside_unseen(classes: Mask, ignore: int | None) -> NDArray[np.bool_]:
    """Pixels at the edge of the image or beside an unlabelled one."""
    from scipy.ndimage import binary_dilation

    unseen = np.pad(np.zeros(classes.shape, bool) if ignore is None else classes == ignore, 1, constant_values=True)
    return np.asarray(binary_dilation(unseen))[1:-1, 1:-1]


@dataclass(frozen=True)
class GRatioBias:
    """How far predicted g-ratios are off; positive: the predicted sheaths are too thin.

    Parameters
    ----------
    pairs : int
        Matched fibres that are seen whole in both masks and have a sheath in one of them at least.
    mean : float or None
        Mean over the pairs of predicted minus true g-ratio.
    mean_absolute : float or None
        Mean over the pairs of the size of the difference.
    of_medians : float or None
        Median of all predicted whole fibres minus median of all true ones, matched or not; without bare axons.
    """

    pairs: int
    mean: float | None
    mean_absolute: float | None
    of_medians: float | None


def g_ratio_bias(predicted: FibreTable, true: FibreTable, matches: Matches) -> GRatioBias:
    """Compare the g-ratios of matched fibres.

    Parameters
    ----------
    predicted, true : FibreTable
        Of the same field.
    matches : Matches
        Which predicted fibre is which true one.

    Returns
    -------
    GRatioBias
        Fibres that are cut count nowhere, nor do axons that are bare in both: 1 is no measure of a sheath. None where
        there is nothing to compare: no pair, or no whole fibre in one.
    """
    whole = ~predicted.cut, ~true.cut
    g_of = [
        dict(zip(table.ids[kept].tolist(), table.g_ratio[kept].tolist(), strict=True))
        for table, kept in zip((predicted, true), whole, strict=True)
    ]
    pairs = zip(matches.predicted.tolist(), matches.true.tolist(), strict=True)
    both = [(g_of[0][p], g_of[1][t]) for p, t in pairs if p in g_of[0] and t in g_of[1]]
    differences = np.array([found - true_one for found, true_one in both if min(found, true_one) < 1])
    sheathed = [[g_ratio for g_ratio in values.values() if g_ratio < 1] for values in g_of]
    medians = [float(np.median(values)) for values in sheathed if values]
    return GRatioBias(
        pairs=len(differences),
        mean=float(differences.mean()) if differences.size else None,
        mean_absolute=float(np.abs(differences).mean()) if differences.size else None,
        of_medians=medians[0] - medians[1] if len(medians) == 2 else None,
    )
