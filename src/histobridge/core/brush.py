"""What a hand with a round brush paints when it wants to give certain pixels a class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

SMALLEST_RADIUS_PX = 0.5
ENOUGH = 0.9
"""Share of the wanted pixels that a brush must reach to be chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One intended stroke.

    Parameters
    ----------
    footprint : ndarray (Y, X) of bool
        Pixels under the brush, on the way.
    radius_px : float
        Of the brush.
    length_px : float
        Way of the centre of the brush; 0 for a dab without dragging.
    direction : ndarray (2,) of float
        Main direction (Y, X) of the way, of length 1 and either sense; zeros for a dab.
    """

    footprint: Mask
    radius_px: float
    length_px: float
    direction: NDArray[np.float64]


def sweep(allowed: Mask, wanted: Mask, largest_radius_px: float) -> Sweep:
    """Plan a stroke over `wanted` that stays inside `allowed`.

    Of the brushes of `largest_radius_px` and its halves, quarters and so on down to one pixel, the largest is taken
    that reaches nine tenths of the wanted pixels without leaving the allowed ones; its centre goes, for each pixel it
    reaches, to the nearest place where the whole brush is inside. A straight stroke of length L with radius r covers
    ``S = pi r**2 + 2 r L``, so the way is taken as ``L = (S - pi r**2) / (2 r)``, at least 0.

    Parameters
    ----------
    allowed : ndarray (Y, X) of bool
        Where the class of the stroke belongs.
    wanted : ndarray (Y, X) of bool
        Pixels to paint, at least one and all of them allowed.
    largest_radius_px : float
        Above 0.

    Returns
    -------
    Sweep
    """
    depth = _distance(allowed)
    radius = largest_radius_px
    while True:
        inside = depth > radius
        if radius <= SMALLEST_RADIUS_PX:
            # The finest brush is one pixel and reaches all.
            return Sweep(wanted.copy(), SMALLEST_RADIUS_PX, *_way(wanted, wanted, SMALLEST_RADIUS_PX))
        if inside.any():
            centres = _nearest_centres(inside, wanted, radius)
            footprint = _distance(~centres) <= radius if centres.any() else centres
            if np.count_nonzero(footprint & wanted) >= ENOUGH * np.count_nonzero(wanted):
                return Sweep(footprint, radius, *_way(footprint, centres, radius))
        radius /= 2


def shaken(intended: Sweep, lag_px: float, noise_px: float, smooth_px: float, rng: np.random.Generator) -> Mask:
    """Paint a planned stroke with an unsteady hand.

    The footprint trails behind along the way by `lag_px`, in either sense, and its outline is moved along its normal
    by a smooth random field: a pixel x is painted where ``d(x + lag) > n(x)``, with d the signed distance to the
    outline (positive inside) and n white noise smoothed by a Gaussian and scaled to standard deviation `noise_px`. Who
    takes a finer brush looks closer: lag and noise are at most half the radius.

    Parameters
    ----------
    intended : Sweep
    lag_px, noise_px : float
        At least 0.
    smooth_px : float
        Standard deviation of the Gaussian, above 0.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (Y, X) of bool
        Of the same shape as the footprint.
    """
    from scipy import ndimage

    limit = intended.radius_px / 2
    sense = 1 if rng.random() < 0.5 else -1
    shift = sense * min(lag_px, limit) * intended.direction
    amplitude = min(noise_px, limit)
    white = rng.standard_normal(intended.footprint.shape)
    if not shift.any() and amplitude == 0:
        return intended.footprint.copy()
    footprint = intended.footprint
    outline = np.where(footprint, _distance(footprint) - 0.5, 0.5 - _distance(~footprint))
    trailed = ndimage.shift(outline, shift, order=1, mode="nearest")
    scale = amplitude * 2 * np.sqrt(np.pi) * smooth_px
    painted: Mask = trailed > scale * ndimage.gaussian_filter(white, smooth_px, mode="wrap")
    return painted


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Distance of each pixel of `mask` to the nearest pixel outside; infinite if there is none."""
    from scipy import ndimage

    if mask.all():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    return distance


def _nearest_centres(inside: Mask, wanted: Mask, radius: float) -> Mask:
    """Of the places where the brush is inside, those nearest to the wanted pixels that it reaches."""
    from scipy import ndimage

    distance, nearest = ndimage.distance_transform_edt(~inside, return_indices=True)
    reached = wanted & (distance <= radius)
    centres = np.zeros(inside.shape, np.bool_)
    centres[tuple(nearest[:, reached])] = True
    return centres


def _way(footprint: Mask, centres: Mask, radius: float) -> tuple[float, NDArray[np.float64]]:
    """Length of the way of the brush, and its main direction."""
    length = max(0.0, float(np.count_nonzero(footprint) - np.pi * radius**2) / (2 * radius))
    places = np.argwhere(centres).astype(np.float64)
    if length == 0 or len(places) < 2:
        return 0.0, np.zeros(2)
    _, _, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    return length, axes[0]
