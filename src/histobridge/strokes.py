"""Strokes on our labels layer: which pixels they go over, and that napari forgets them."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Labels

NOT_PAINTED = -1


class Strokes:
    """Pixels that brush, eraser or polygon went over since they were last asked for.

    napari tells of pixels that change. Who paints over a pixel that shows the class already has decided it as well.
    """

    def __init__(self) -> None:
        self._painted: NDArray[np.int16] | None = None

    def follow(self, layer: "Labels", done: Callable[[], object]) -> None:
        """Note from now on what is painted on a layer; `done` is called after every stroke.

        Parameters
        ----------
        layer : napari.layers.Labels
            (Y, X); the same layer only once.
        done : callable
        """
        paint, paint_polygon = layer.paint, layer.paint_polygon

        def painted(coord: Any, new_label: int, refresh: bool = True) -> None:
            paint(coord, new_label, refresh)
            self._note(layer, _disc(coord, layer.brush_size, layer.data.shape), new_label)

        def filled(points: Any, new_label: int) -> None:
            paint_polygon(points, new_label)
            self._note(layer, _inside(points, layer.data.shape), new_label)

        def dragged(_layer: "Labels", event: Any) -> Iterator[None]:
            yield
            while event.type == "mouse_move":
                yield
            if self._painted is not None:
                done()

        layer.paint, layer.paint_polygon = painted, filled  # type: ignore[method-assign]
        layer.mouse_drag_callbacks.append(dragged)
        layer.events.paint.connect(lambda _: done())

    def take(self, shown: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return the pixels, (Y, X), that were painted in the class that they show, and begin anew."""
        painted, self._painted = self._painted, None
        if painted is None or painted.shape != shown.shape:
            return np.zeros(shown.shape, np.bool_)
        return np.equal(painted, shown)

    def forget(self, layer: "Labels") -> None:
        """Forget all strokes, here and in napari, else Ctrl+Z paints this tile into the next; nothing else changes."""
        self._painted = None
        mode, editable = layer.mode, layer.editable
        with layer.events.blocker_all():  # all is as before in the end, so that nobody needs to hear of it
            layer.editable = False
            layer.editable = True
            layer.mode = mode
            layer.editable = editable

    def _note(self, layer: "Labels", place: tuple[NDArray[np.intp], NDArray[np.intp]], value: int) -> None:
        if self._painted is None or self._painted.shape != layer.data.shape:
            self._painted = np.full(layer.data.shape, NOT_PAINTED, np.int16)
        self._painted[place] = value


def _disc(centre: Any, diameter: float, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels under napari's round brush."""
    from skimage.draw import disk

    rows, columns = disk(tuple(int(np.round(at)) for at in centre), diameter // 2 + 0.5, shape=shape)
    return rows, columns


def _inside(points: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels in napari's polygon."""
    from skimage.draw import polygon

    rows, columns = polygon(*np.array(points, int).T, shape=shape)
    return rows, columns
