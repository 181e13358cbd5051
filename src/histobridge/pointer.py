"""Clicks and strokes of an armed tool on our labels layer, where the mouse is over it, and what is told of it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

At = tuple[int, int]
Path = list[tuple[float, float]]
Gesture = Literal["point", "two", "stroke"]
"""A click, two clicks, or a line drawn with the button held."""


class Pointer:
    """Takes the mouse from the brush while a tool is armed, and gives it back.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        self._viewer = viewer
        self._labels: Labels | None = None
        self._gesture: Gesture = "point"
        self._done: Callable[[Path], object] = lambda _: None
        self._moved: Callable[[Path], object] = lambda _: None
        self._lost: Callable[[], object] = lambda: None
        self._before = self._pan_before = ""
        self._path: Path = []
        self._panning = False

    @property
    def armed(self) -> bool:
        """Whether a tool waits for the mouse."""
        return self._labels is not None

    def hover(self, labels: "Labels") -> At | None:
        """Pixel of the tile under the mouse; none if the mouse is elsewhere."""
        if not self._viewer.mouse_over_canvas:
            return None
        return _inside(labels, self._viewer.cursor.position)

    def tell(self, labels: "Labels", text: str) -> None:
        """Say in the status bar what can be done on the layer."""
        labels.help = text
        if self._viewer.layers.selection.active is labels:
            self._viewer.help = text

    def arm(
        self,
        labels: "Labels",
        gesture: Gesture,
        done: Callable[[Path], object],
        moved: Callable[[Path], object],
        lost: Callable[[], object],
    ) -> None:
        """Wait for a gesture on the tile, again and again.

        Parameters
        ----------
        labels : napari.layers.Labels
            The layer of the tile.
        gesture : str
        done : callable
            Told the points of a whole gesture, (y, x) in pixels of the tile.
        moved : callable
            Told the points of one that is not whole yet.
        lost : callable
            Called when somebody takes the mouse for something else, such as the brush.
        """
        self.disarm()
        self._before = str(labels.mode)
        labels.mode = "pan_zoom"
        labels.mouse_pan = False
        labels.cursor = "crosshair"
        labels.mouse_drag_callbacks.append(self._pressed)
        labels.events.mode.connect(self._mode_changed)
        self._labels, self._gesture, self._path = labels, gesture, []
        self._done, self._moved, self._lost = done, moved, lost

    def disarm(self) -> None:
        """Give the mouse back to what had it before."""
        labels = self._leave()
        if labels is not None:
            labels.cursor, labels.mouse_pan = "standard", True
            labels.mode = self._before

    def pan(self, labels: "Labels | None", on: bool) -> None:
        """Hold to move the picture, whatever tool is in use."""
        if self._labels is not None:
            self._panning = self._labels.mouse_pan = on
        elif on and labels is not None and labels.mode != "pan_zoom":
            self._pan_before, labels.mode = str(labels.mode), "pan_zoom"
        elif not on and self._pan_before and labels is not None:
            labels.mode, self._pan_before = self._pan_before, ""

    def _leave(self) -> "Labels | None":
        labels, self._labels, self._path, self._panning = self._labels, None, [], False
        if labels is not None:
            labels.mouse_drag_callbacks.remove(self._pressed)
            labels.events.mode.disconnect(self._mode_changed)
        return labels

    def _mode_changed(self, _: object) -> None:
        if self._labels is not None and self._labels.mode != "pan_zoom":
            self._leave()
            self._lost()

    def _pressed(self, labels: "Labels", event: Any) -> Iterator[None]:
        """Follow one press of the left button to its release."""
        if event.button != 1 or self._panning:
            return
        start = _inside(labels, event.position)
        if start is None:
            return
        if self._gesture == "stroke":
            self._path = [_exact(labels, event.position)]
            yield
            while event.type == "mouse_move":
                self._path.append(_exact(labels, event.position))
                self._moved(self._path)
                yield
        else:
            self._path.append((float(start[0]), float(start[1])))
        needed = 2 if self._gesture == "two" else 1
        if len(self._path) < needed:
            self._moved(self._path)
            return
        path, self._path = self._path, []
        self._done(path)


def _exact(labels: "Labels", position: Any) -> tuple[float, float]:
    y, x = labels.world_to_data(position)[-2:]
    return float(y), float(x)


def _inside(labels: "Labels", position: Any) -> At | None:
    """Pixel of the layer at a place in the world; none outside of it."""
    y, x = np.rint(_exact(labels, position)).astype(int)
    inside = 0 <= y < labels.data.shape[0] and 0 <= x < labels.data.shape[1]
    return (int(y), int(x)) if inside else None
