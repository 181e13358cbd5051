"""Move both outlines of a fibre onto the edges of the image."""

import numpy as np

from histobridge.core.tools.edges import Floats, best_offsets, edges, evenly, farness, normals
from histobridge.core.tools.outline import EVERYWHERE, Fibre, fibre_at
from histobridge.core.tools.pick import Mask
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

MOST_PLACES = 150
"""Along one outline; on a longer one they lie farther apart than a pixel."""

HELD_PX = 2
"""What is so near to another object or the edge of the tile stays, as no edge of its own is seen there."""

CALM_PLACES = 2.0
"""Standard deviation of the Gaussian that smooths how far the places of an outline move."""

MOST_CHANGED = 0.5
"""Share of a fibre that may change."""


def snap_outline(view: View, at: tuple[float, float], reach_px: float = 5.0) -> ToolResult:
    """Move the outlines of the fibre under a click onto the strongest edges nearby: of its axon and of its sheath.

    Parameters
    ----------
    view : View
        With an image.
    at : tuple of float
        (y, x), pixels of the tile.
    reach_px : float
        How far an edge may be from an outline, at least 1 px.

    Returns
    -------
    ToolResult
        Only pixels of the fibre and background near it changed. What lies within 2 px of another object or of the edge
        of the tile stays, and a pixel of sheath is left all around the axon.

    Raises
    ------
    ToolError
        If there is no object, no image, or the outlines lie on the edges already or would change too much.

    Notes
    -----
    Each outline moves as a closed stroke does in `histobridge.core.tools.snap.snap`, by offsets that are smoothed along
    it. Both edges of a sheath are taken to be opposite, dark inside or bright inside, on whichever side gives more.
    """
    if view.image is None:
        raise ToolError("Nothing was changed: the image of this tile is not loaded.")
    if reach_px < 1:
        raise ToolError(f"Nothing was changed: the reach must be at least 1 px, not {reach_px:g} px.")
    fibre = fibre_at(view, at)
    offsets = np.arange(-int(reach_px), int(reach_px) + 1)
    lines = [_Outline(view, fibre, mask, offsets) for mask in (fibre.solid, fibre.inside) if mask.any()]
    sign = max((1, -1), key=lambda turn: sum(line.worth(turn if first else -turn) for first, line in _first(lines)))
    moved = [line.moved(sign if first else -sign) for first, line in _first(lines)]
    solid = (moved[0] & ((fibre.old == 0) | fibre.solid)) & ~fibre.others
    inside = moved[1] & _core(solid) if len(moved) > 1 else np.zeros_like(solid)
    piece = np.where(fibre.whole, 0, fibre.old)
    piece[solid & ~fibre.others] = fibre.surround
    has_axon = bool((fibre.whole & fibre.inside).any())
    piece[inside & ~fibre.others] = view.inner if has_axon else 0
    _check(fibre, solid, inside)
    return edited(
        view, fibre.window, piece, "Outline on the edge." if len(moved) < 2 else "Both outlines on the edges."
    )


class _Outline:
    """The outline of a mask, ready to be moved along its normals."""

    def __init__(self, view: View, fibre: Fibre, mask: Mask, offsets: np.ndarray):
        assert view.image is not None
        self.mask, self.offsets = mask, offsets
        line = _traced(mask)
        apart = max(1.0, float(np.hypot(*np.diff(line, axis=0).T).sum()) / MOST_PLACES)
        self.places = evenly(line, apart)[:-1]
        self.across = normals(self.places, closed=True)
        corner = np.array([side.start for side in fibre.window])
        points = self.places[:, None] + offsets[:, None] * self.across[:, None]
        self.gain = edges(view.image, points + corner, self.across)
        self.prior = farness(offsets, float(offsets[-1]))
        self.held = self._held(view, fibre)

    def _held(self, view: View, fibre: Fibre) -> np.ndarray:
        """Places, (M,), that stay where they are."""
        from scipy import ndimage

        y, x = np.rint(self.places).astype(int).T
        height, width = fibre.whole.shape
        inside = y.clip(0, height - 1), x.clip(0, width - 1)
        held = np.zeros(len(y), np.bool_)
        if fibre.others.any():
            held |= ndimage.distance_transform_edt(~fibre.others)[inside] <= HELD_PX + 1
        for along, side, length in zip((y, x), fibre.window, view.classes.shape, strict=True):
            at = along + side.start
            held |= (at < HELD_PX) | (at >= length - HELD_PX)
        return held

    def worth(self, sign: int) -> float:
        """Return how clear the edges on this side are."""
        return float((sign * self.gain - self.prior)[~self.held].max(axis=1).sum()) if not self.held.all() else 0.0

    def moved(self, sign: int) -> Mask:
        """Pixels, (Y, X), inside the outline once it has moved."""
        from scipy import ndimage
        from skimage.draw import polygon2mask

        gain = sign * self.gain - self.prior
        gain[np.ix_(self.held, self.offsets != 0)] = -np.inf
        by = self.offsets[best_offsets(gain, closed=True)[1]].astype(np.float64)
        by = np.where(self.held, 0.0, ndimage.gaussian_filter1d(by, CALM_PLACES, mode="wrap"))
        line = self.places + by[:, None] * self.across
        found: Mask = polygon2mask(self.mask.shape, line)
        # Where nothing moves, not a pixel changes.
        still = _near(self.places[by == 0], self.mask.shape)
        return np.where(still, self.mask, found)


def _first(lines: list[_Outline]) -> list[tuple[bool, _Outline]]:
    return [(index == 0, line) for index, line in enumerate(lines)]


def _traced(mask: Mask) -> Floats:
    """Closed line around the largest part of a mask, (N, 2) of (y, x), without the steps of the pixels."""
    from scipy import ndimage
    from skimage.measure import find_contours

    around = np.pad(mask, 3, mode="edge")
    around = np.pad(ndimage.binary_fill_holes(around), 1)
    line = max(find_contours(around.astype(np.float32), 0.5), key=len) - 4
    line[:-1] = ndimage.gaussian_filter1d(line[:-1], 1.0, axis=0, mode="wrap")
    line[-1] = line[0]
    return np.asarray(line, np.float64)


def _near(places: Floats, shape: tuple[int, ...]) -> Mask:
    """Pixels within 1.5 px of places that lie in a field."""
    from scipy import ndimage

    far = np.ones(shape, np.bool_)
    y, x = np.rint(places).astype(int).T
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    far[y[inside], x[inside]] = False
    if far.all():
        return ~far
    near: Mask = ndimage.distance_transform_edt(far) <= 1.5
    return near


def _core(solid: Mask) -> Mask:
    """Pixels with nothing but the fibre around them, as if that went on beyond the edge of the tile."""
    from scipy import ndimage

    core: Mask = ndimage.binary_erosion(solid, EVERYWHERE, border_value=1)
    return core


def _check(fibre: Fibre, solid: Mask, inside: Mask) -> None:
    """Raise `ToolError` if a fibre broke or changed too much."""
    from scipy import ndimage

    changed = np.count_nonzero((solid ^ fibre.solid) | (inside ^ fibre.inside))
    broken = any(
        before.any() and ndimage.label(after)[1] != 1
        for before, after in ((fibre.solid, solid), (fibre.inside, inside))
    )
    if broken or changed > MOST_CHANGED * np.count_nonzero(fibre.solid):
        raise ToolError("Nothing was changed: the edges nearby do not go around this fibre.")
