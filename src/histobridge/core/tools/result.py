"""What every tool sees and gives back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.delta import Owner
from histobridge.core.errors import HistoBridgeError
from histobridge.core.fibres import number_fibres
from histobridge.core.manifest import IGNORE
from histobridge.core.tiles import Window


class ToolError(HistoBridgeError):
    """A tool changed nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class View:
    """What a tool sees: one tile as shown."""

    classes: NDArray[np.uint8]
    """(Y, X); 0 background, class values to 254, 255 ignored."""

    image: NDArray[np.uint8 | np.uint16] | None
    """(Y, X) native grey values of the tile; none if they are not loaded."""

    inner: int
    """Value of the class that is enclosed (axon); 0 if no class lies inside another."""

    outer: int
    """Value of the class that encloses (myelin); 0 if no class lies inside another."""

    fibres: NDArray[np.uint32] | None = None
    """(Y, X) ids of the fibres, ownership set by hand included; none: tools that need them derive them nearby."""

    owners: tuple[Owner, ...] = ()
    """Ownership set by hand that reaches into the tile, in pixels of the tile; see `TileEdit.owners`."""

    def fibres_in(self, window: Window) -> NDArray[np.int32]:
        """Ids of the fibres, (Y, X), 0 is none; without `fibres` as far as this window of the tile tells."""
        if self.fibres is not None:
            return self.fibres[window].astype(np.int32)
        owners = [owner.moved(-window[0].start, -window[1].start) for owner in self.owners]
        classes = self.classes[window]
        pair = (self.inner, self.outer) if self.inner and self.outer else ()
        values = set(np.unique(classes).tolist()) - {0, IGNORE}
        return number_fibres(classes, pair, values, owners)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool did: at most one step of undo."""

    classes: NDArray[np.uint8]
    """(Y, X) the tile as it should be; the view's own array is left as it was."""

    near: Window
    """Pixels of the tile, counted from its corner, outside which nothing changed."""

    message: str = ""
    """One short sentence for the user."""

    leak: NDArray[np.bool_] | None = None
    """(Y, X) where a fill would run out; none if nothing leaks."""

    owners: tuple[Owner, ...] = ()
    """Ownership of sheaths set by this edit, in pixels of the tile."""

    drawn: NDArray[np.bool_] | None = None
    """(Y, X) all pixels that a line went over, also those that did not change; none if no line was drawn."""


def edited(view: View, window: Window, piece: NDArray[np.uint8], message: str = "") -> ToolResult:
    """Put a changed piece back into its tile.

    Parameters
    ----------
    view : View
    window : tuple of slice
        Pixels of the tile, counted from its corner.
    piece : ndarray (Y, X) uint8
        What `window` is to show; pixels that are ignored in the view stay so.
    message : str
        One short sentence for the user.

    Returns
    -------
    ToolResult
        With `near` the smallest window around what changed.

    Raises
    ------
    ToolError
        If nothing changed.
    """
    old = view.classes[window]
    changed = (piece != old) & (old != IGNORE)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not rows.size:
        raise ToolError("Nothing was changed: it is so already.")
    classes = view.classes.copy()
    classes[window][changed] = piece[changed]
    top, left = window[0].start, window[1].start
    near = (
        slice(top + int(rows[0]), top + int(rows[-1]) + 1),
        slice(left + int(columns[0]), left + int(columns[-1]) + 1),
    )
    return ToolResult(classes, near, message)
