"""What every tool sees and gives back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histobridge.core.errors import HistoBridgeError
from histobridge.core.ownership import Owner
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
    """(Y, X) ids of the fibres, ownership set by hand included; none where the tool does without."""


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
