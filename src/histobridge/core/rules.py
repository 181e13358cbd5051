"""What myelinated fibres must look like, checked while one paints: each axon in a closed sheath that is its own."""

from histobridge.core.delta import Owner
from histobridge.core.rule_checks import Piece, UnclearError, Violation, empty_sheaths, open_sheaths, taken_sheaths
from histobridge.core.tiles import Window, overlap
from histobridge.core.tools.pick import nested, widened
from histobridge.core.tools.result import View

__all__ = ["Violation", "check_rules"]

ZONE_PX = 64
"""Pixels around a change within which axons are judged again."""

SIGHT_PX = 96
"""Pixels around those that are looked at for it; if they show too little, the whole tile is."""


def check_rules(view: View, near: Window | None = None, known: tuple[Violation, ...] = ()) -> tuple[Violation, ...]:
    """Find where a tile breaks the rules of myelinated fibres.

    An axon lies inside a closed sheath, alone, and the sheath is its own; a sheath has an axon. What is cut by the edge
    of the tile or lies beside ignored pixels is not judged, since not all of it is seen. Sheaths may touch: each axon
    has its share. For class sets in which no class lies inside another there are no rules.

    Parameters
    ----------
    view : View
        Its classes and owners are used.
    near : tuple of slice, optional
        Pixels of the tile that have changed since `known` was found; only what lies near them is checked again.
    known : tuple of Violation
        What was found before that change.

    Returns
    -------
    tuple of Violation
        Of the whole tile, in no particular order.
    """
    if not nested(view):
        return ()
    whole = (slice(0, view.classes.shape[0]), slice(0, view.classes.shape[1]))
    if near is None:
        return _found(view, whole, whole, whole)
    changed = widened(view, near, 2)
    zone = widened(view, near, ZONE_PX)
    kept = [each for each in known if not overlap(each.window, changed if each.kind == "empty" else zone)]
    try:
        return (*kept, *_found(view, widened(view, zone, SIGHT_PX), zone, changed))
    except UnclearError:
        return _found(view, whole, whole, whole)


def _found(view: View, window: Window, zone: Window, changed: Window) -> tuple[Violation, ...]:
    """Judge axons in `zone` and sheaths without one in `changed` by what `window` shows; all in pixels of the tile."""
    (rows, columns), (height, width) = window, view.classes.shape
    back = -rows.start, -columns.start
    owners = tuple(owner.moved(*back) for owner in view.owners if _stands(view, owner))
    goes_on = (rows.start > 0, rows.stop < height, columns.start > 0, columns.stop < width)
    piece = Piece(view.classes[window], (view.inner, view.outer), owners, goes_on)
    axons = piece.axons
    found = (
        *open_sheaths(piece, axons, _moved(zone, *back)),
        *taken_sheaths(piece, axons, _moved(zone, *back)),
        *empty_sheaths(piece, axons, _moved(changed, *back)),
    )
    top, left = rows.start, columns.start
    return tuple(
        Violation(
            each.kind, (int(each.at[0] + top), int(each.at[1] + left)), _moved(each.window, top, left), each.words
        )
        for each in found
    )


def _stands(view: View, owner: Owner) -> bool:
    """Whether the axon of a constraint is still one, as far as the tile tells."""
    y, x = owner.axon
    (height, width) = view.classes.shape
    return not (0 <= y < height and 0 <= x < width) or bool(view.classes[y, x] == view.inner)


def _moved(window: Window, y: int, x: int) -> Window:
    rows, columns = window
    return slice(int(rows.start + y), int(rows.stop + y)), slice(int(columns.start + x), int(columns.stop + x))
