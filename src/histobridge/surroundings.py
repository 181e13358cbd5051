"""The labels of neighbouring tiles around the open one: outlines in a layer of ours that nobody paints on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

OPACITY = 0.55


class Surroundings:
    """One layer, ``neighbours``, below the labels of the tile.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        self._viewer = viewer
        self.layer: Labels | None = None

    def show(self, labels: "Labels", drawn: NDArray[np.uint8], offset: tuple[int, int]) -> None:
        """Show outlines around a tile.

        Parameters
        ----------
        labels : napari.layers.Labels
            The layer of the tile, which gives size of a pixel and colours.
        drawn : NDArray
            (Y, X) uint8 class values.
        offset : tuple of int
            (row, column) of its first pixel, counted from that of the tile.
        """
        translate = labels.translate + np.asarray(offset) * labels.scale
        layer = self.layer
        if layer is None or not self.lies_there:
            place = {"scale": labels.scale, "translate": translate, "units": labels.units}
            layer = self._viewer.add_labels(drawn, name="neighbours", opacity=OPACITY, **place)
            layer.colormap = labels.colormap
            layer.editable = False
            layers = self._viewer.layers
            layers.move(layers.index(layer), layers.index(labels))
            layers.selection.active = labels
            self.layer = layer
            return
        if layer.data.shape == drawn.shape:
            layer.data[...] = drawn
        else:
            layer.data = drawn
            layer.editable = False
        place_layer(layer, labels.scale, labels.units, translate)
        if layer.colormap is not labels.colormap:
            layer.colormap = labels.colormap
        if layer.visible != labels.visible:
            layer.visible = labels.visible

    @property
    def lies_there(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer is not None and any(self.layer is known for known in self._viewer.layers)

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        if self.layer is not None and self.lies_there:
            self._viewer.layers.remove(self.layer)
        self.layer = None


def place_layer(layer: "Labels", scale: Sequence[float], units: Sequence[Any], translate: Sequence[float]) -> None:
    """Put a layer somewhere and draw it anew, once: every change of its place draws it, and that costs 10 ms."""
    if not np.array_equal(layer.scale, scale):
        layer.scale = scale
    layer.units = units
    if np.array_equal(layer.translate, translate):
        layer.refresh()
    else:
        layer.translate = translate
