"""Join the ends of a ring that has gaps."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.tiles import Window
from histobridge.core.tools.fill import LOOK_PX, clearance, climb, is_open, passable
from histobridge.core.tools.pick import Mask, around, connected, need_pair, pixel, widened
from histobridge.core.tools.profile import Floats, Profile, look_around
from histobridge.core.tools.result import ToolError, ToolResult, View, edited

SHEATH_REACH_PX = 64
"""How far from a click on a sheath its inside is looked for."""

LEAST_COVERAGE = 0.45
"""Share of the directions in which there must be a sheath; those that lead out of the tile do not count."""

LEAST_SEEN = 0.35
"""The same with all directions counted."""

LEAST_SOLIDITY = 0.7
"""Share of its convex hull that the inside must fill."""

WIDEST_GAP = 0.4
"""Largest gap in units of the length of the ring."""

FILLED = 0.25
"""An axon tells the course of its sheath if it ends no farther from it, in units of the distance from the centre."""

GRID = 240
"""Nodes along a side of the grid on which the path is looked for; larger rings get a coarser one."""

ON_SHEATH, ASTRAY, UNKNOWN, EDGE = 0.1, 1.0, 0.4, 0.2
"""Cost of a pixel in the middle of the sheath, more at its rim, of an ignored one and of the edge of the tile."""

LIKE = 0.3
"""Cost of a pixel of background that looks like the sheath; 1 where it looks like background."""

Points = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Pixels of the tile on which a path is looked for, those just outside the edge of the tile included."""

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    cost: Floats
    sheath: Mask

    def nodes(self, y: Floats, x: Floats) -> Points:
        """Nearest nodes, (N, 2), of places inside the grid; those outside are left out."""
        inside = (y >= self.y[0]) & (y <= self.y[-1]) & (x >= self.x[0]) & (x <= self.x[-1])
        rows, columns = (
            np.interp(place[inside], axis, np.arange(len(axis))) for place, axis in ((y, self.y), (x, self.x))
        )
        return np.stack((np.round(rows), np.round(columns)), axis=1).astype(np.intp)


def close_ring(view: View, at: tuple[float, float]) -> ToolResult:
    """Close the gaps of the ring around a click.

    Parameters
    ----------
    view : View
        With an image, the gap is closed where it looks like the rest of the ring.
    at : tuple of float
        (y, x), pixels of the tile, inside the ring or on it.

    Returns
    -------
    ToolResult
        Background became the enclosing class, as thick as the ring is at the ends of the gap.

    Raises
    ------
    ToolError
        If there is no ring, if it is closed or if a gap is too wide to guess.

    Notes
    -----
    The cheapest closed path around the click: cut open along a ray from the click that crosses the ring, it is the
    cheapest path from one side of the cut to the other. A pixel costs little on the ring, more in the background, more
    still off the course of the ring, and nothing leads through the enclosed class. The course is where the distance
    from the axon is that of the rest of the ring; without an axon it is the distance from the middle of the ring,
    interpolated over the gap.
    """
    need_pair(view)
    place = pixel(view, at)
    profile = _ring(view, place)
    reach = int(1.25 * profile.start.max() + 4 * profile.half) + 8
    window = around(view, profile.centre, reach)
    grid = _grid(view, profile, window)
    for direction in _directions(profile):
        path = _around(grid, profile, direction)
        gaps = _gaps(view, path)
        if gaps:
            break
    else:
        raise ToolError("Nothing was changed: no way around was found that would close the ring.")
    widest = max(len(gap) for gap in gaps)
    if widest > WIDEST_GAP * len(path):
        raise ToolError(f"Nothing was changed: the gap of about {widest} px is too wide to guess its course.")
    result = _painted(view, widened(view, window, int(profile.half) + 1), path, gaps, profile.half)
    closed = replace(view, classes=result.classes)
    if is_open(closed, connected(passable(closed), profile.centre)):
        raise ToolError("Nothing was changed: the ring would still be open.")
    return result


def _ring(view: View, place: tuple[int, int]) -> Profile:
    """Find the open ring around or under a click."""
    from scipy import ndimage

    window = around(view, place, LOOK_PX)
    top, left = window[0].start, window[1].start
    room = clearance(view.classes[window] != view.outer)
    seeds = [place] if view.classes[place] != view.outer else _sides(view, place)
    climbed = [climb(room, (y - top, x - left)) for y, x in seeds]
    places = {*(seeds if view.classes[place] != view.outer else ()), *((y + top, x + left) for y, x in climbed)}
    regions, _ = ndimage.label(passable(view))
    insides = {number for y, x in places if (number := int(regions[y, x]))}
    opened = {number for number in insides if is_open(view, regions == number)}
    profiles = [look_around(view, centre) for centre in sorted(places) if regions[centre] in opened]
    rings = [profile for profile in profiles if profile.seen.any() and profile.solidity >= LEAST_SOLIDITY]
    best = max(rings, key=lambda profile: profile.seen.mean() * profile.solidity, default=None)
    if best is None or best.coverage < LEAST_COVERAGE or best.seen.mean() < LEAST_SEEN:
        if opened < insides:
            raise ToolError("Nothing was changed: the ring is closed already.")
        raise ToolError("Nothing was changed: there is no ring around this place, or more than half of it is missing.")
    return best


def _sides(view: View, place: tuple[int, int]) -> list[tuple[int, int]]:
    """First passable pixels in sixteen directions from a pixel of the sheath."""
    angle = np.arange(16)[:, None] * (np.pi / 8)
    step = np.arange(1, SHEATH_REACH_PX)
    height, width = view.classes.shape
    y = np.round(place[0] + np.sin(angle) * step).astype(np.intp)
    x = np.round(place[1] + np.cos(angle) * step).astype(np.intp)
    free = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    free[free] = passable(view)[y[free], x[free]]
    rows = np.flatnonzero(free.any(axis=1))
    first = free[rows].argmax(axis=1)
    return sorted(set(zip(y[rows, first].tolist(), x[rows, first].tolist(), strict=True)))


def _grid(view: View, profile: Profile, window: Window) -> _Grid:
    """Price the pixels around the ring."""
    stride = -(-max(side.stop - side.start for side in window) // GRID)
    y, x = (_nodes(side, length, stride) for side, length in zip(window, view.classes.shape, strict=True))
    height, width = view.classes.shape
    pixels = np.ix_(y.clip(0, height - 1), x.clip(0, width - 1))
    value = view.classes[pixels]
    outside = ((y < 0) | (y >= height))[:, None] | ((x < 0) | (x >= width))[None]
    direction = profile.direction(y[:, None], x[None])
    distance = np.hypot(y[:, None] - profile.centre[0], x[None] - profile.centre[1])
    start, half = profile.start[direction], profile.halves[direction]
    begins = _from_axon(view, profile, window, (y, x))
    stray = ASTRAY if begins is not None else ASTRAY / 4
    off = np.minimum(((distance - start if begins is None else begins) / half - 1) ** 2, 4)
    sheath = (value == view.outer) & ~outside
    cost = np.where(sheath, ON_SHEATH + stray * off, _strangeness(view, pixels, value) + off / 3)
    cost[value == IGNORE] = UNKNOWN
    cost[(distance < start / 2) | ~np.isin(value, (0, view.outer, IGNORE))] = np.inf
    cost[outside] = EDGE
    return _Grid(y, x, cost, sheath)


def _from_axon(view: View, profile: Profile, window: Window, nodes: tuple[Points, Points]) -> Floats | None:
    """How far the nodes are outside the inner outline of the sheath, as its axon tells; none if none fills the ring."""
    from scipy import ndimage

    local = (profile.centre[0] - window[0].start, profile.centre[1] - window[1].start)
    axon = view.classes[window] == view.inner
    if not axon[local]:
        return None
    axon = connected(axon, local)
    distance = ndimage.distance_transform_edt(~axon)
    angle = np.flatnonzero(profile.seen) * (2 * np.pi / len(profile.start))
    reach = profile.start[profile.seen]
    rows, columns = (
        np.round(origin + turn * reach).astype(np.intp).clip(0, length - 1)
        for origin, turn, length in zip(local, (np.sin(angle), np.cos(angle)), axon.shape, strict=True)
    )
    begins = float(np.median(distance[rows, columns]))
    if begins > FILLED * float(np.median(reach)):
        return None
    inside = ((axis - side.start).clip(0, side.stop - side.start - 1) for axis, side in zip(nodes, window, strict=True))
    return np.asarray(distance[np.ix_(*inside)] - begins)


def _nodes(side: slice, length: int, stride: int) -> NDArray[np.intp]:
    nodes = np.arange(side.start, side.stop, stride)
    before, behind = [-1] if side.start == 0 else [], [length] if side.stop == length else []
    return np.concatenate((before, nodes, behind)).astype(np.intp)


def _strangeness(view: View, pixels: tuple[Points, ...], value: NDArray[np.uint8]) -> Floats:
    """Cost from `LIKE` where the image looks like the sheath, 1 where it looks like background or there is no image."""
    from scipy import ndimage

    sheath, free = value == view.outer, value == 0
    if view.image is None or not (sheath.any() and free.any()):
        return np.ones(value.shape)
    grey = ndimage.gaussian_filter(view.image[pixels].astype(np.float32), 1)
    typical, background = np.median(grey[sheath]), np.median(grey[free])
    contrast = abs(float(background - typical))
    if contrast == 0:
        return np.ones(value.shape)
    return np.asarray(LIKE + (1 - LIKE) * np.minimum(np.abs(grey - typical) / contrast, 1.5), np.float64)


def _directions(profile: Profile) -> list[int]:
    """Directions in which to cut the ring: far from all gaps, and opposite."""
    from scipy import ndimage

    seen = profile.seen
    away = ndimage.distance_transform_cdt(np.concatenate((seen, seen, seen)))[len(seen) : 2 * len(seen)]
    best = int(np.argmax(away)) if not seen.all() else int(np.argmin(np.abs(profile.thickness - 2 * profile.half)))
    others = [(best + turn * len(seen) // 4) % len(seen) for turn in (2, 1, 3)]
    return [best, *(other for other in others if seen[other])]


def _around(grid: _Grid, profile: Profile, direction: int) -> Points:
    """Cheapest way around the centre, (N, 2) pixels without steps, from one side of a ray to the other; or none."""
    from skimage.graph import MCP_Geometric

    angle = 2 * np.pi * direction / len(profile.start)
    radius = profile.start[direction] + profile.half
    ray = np.arange(0, np.hypot(np.ptp(grid.y), np.ptp(grid.x)), 0.25)
    nodes = grid.nodes(profile.centre[0] + np.sin(angle) * ray, profile.centre[1] + np.cos(angle) * ray)
    cost = grid.cost.copy()
    cost[nodes[:, 0], nodes[:, 1]] = np.inf
    # A diagonal step of the cut would let a diagonal step of the path through.
    cost[nodes[1:, 0], nodes[:-1, 1]] = np.inf
    middle = nodes[min(int(4 * radius), len(nodes) - 1)]
    rows, columns = np.nonzero(grid.sheath & np.isfinite(cost))
    down, right = rows - middle[0], columns - middle[1]
    near, side = np.hypot(down, right), down * np.cos(angle) - right * np.sin(angle)
    ends = []
    for sign in (1, -1):
        there = np.flatnonzero((near <= 4) & (sign * side > 0))
        if not there.size:
            return np.zeros((0, 2), np.intp)
        chosen = there[near[there].argmin()]
        ends.append((int(rows[chosen]), int(columns[chosen])))
    paths = MCP_Geometric(cost)
    reached, _ = paths.find_costs(ends[:1], ends[1:])
    if not np.isfinite(reached[ends[1]]):
        return np.zeros((0, 2), np.intp)
    found = np.array(paths.traceback(ends[1]))
    return _dense(np.stack((grid.y[found[:, 0]], grid.x[found[:, 1]]), axis=1))


def _dense(path: Points) -> Points:
    """Fill in the pixels between those of a path."""
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    along = np.concatenate(([0], steps.cumsum()))
    every = np.arange(along[-1] + 1)
    return np.stack([np.round(np.interp(every, along, axis)) for axis in path.T], axis=1).astype(np.intp)


def _gaps(view: View, path: Points) -> list[NDArray[np.intp]]:
    """Stretches of a path, as places along it, that lie on background of the tile."""
    height, width = view.classes.shape
    y, x = path.T
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    free = inside & (view.classes[y.clip(0, height - 1), x.clip(0, width - 1)] == 0)
    places = np.flatnonzero(free)
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if places.size else []


def _painted(view: View, window: Window, path: Points, gaps: list[NDArray[np.intp]], half: float) -> ToolResult:
    """Paint the gaps as thick as the ring is beside them."""
    from scipy import ndimage

    piece = view.classes[window].copy()
    local = path - (window[0].start, window[1].start)
    local = local.clip(0, np.array(piece.shape) - 1)
    depth = ndimage.distance_transform_edt(piece == view.outer)
    depth = ndimage.maximum_filter(depth, 2 * int(half) + 1)[local[:, 0], local[:, 1]]
    for gap in gaps:
        ends = np.arange(2, 14) + int(half)
        beside = np.concatenate((gap[0] - ends, gap[-1] + ends))
        beside = beside[(beside >= 0) & (beside < len(depth))]
        known = depth[beside][depth[beside] > 0]
        # Where a neighbour touches, the depth is that of both sheaths.
        radius = max(0.5, min(float(np.median(known)) - 0.5, 1.25 * half) if known.size else half)
        line = np.zeros(piece.shape, np.bool_)
        line[local[gap, 0], local[gap, 1]] = True
        rows, columns = local[gap].T
        reach = int(radius) + 1
        near = tuple(slice(max(0, axis.min() - reach), axis.max() + reach + 1) for axis in (rows, columns))
        band = (piece[near] == 0) & (ndimage.distance_transform_edt(~line[near]) <= radius)
        piece[near][ndimage.binary_propagation(line[near], mask=band)] = view.outer
    return edited(view, window, piece, f"Closed over {sum(map(len, gaps))} px.")
