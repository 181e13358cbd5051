"""Labels of models over the open tile, to flip between: layers of ours that nobody paints on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

NAMES = ("model", "previous model")


class Flip:
    """The labels of the tile against those of one model, or those of two models against each other.

    One of the two sides is visible at a time. The labels layer cannot be painted on while it is hidden.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        self._viewer = viewer
        self._labels: Labels | None = None
        self.layers: list[Labels] = []
        self.second = False

    @property
    def on(self) -> bool:
        """Whether something is compared and nobody has taken a layer of it away."""
        return bool(self.layers) and all(map(self._alive, (self._labels, *self.layers)))

    @property
    def hides_labels(self) -> bool:
        """Whether what is seen are the labels of a model, not those that are edited."""
        return self.on and (self.second or len(self.layers) == len(NAMES))

    def show(self, labels: "Labels", models: Sequence[NDArray[np.uint8]]) -> None:
        """Lay the labels of models over a tile; the side that was seen stays the one that is seen.

        Parameters
        ----------
        labels : napari.layers.Labels
            The layer of the tile, which gives place and colours.
        models : sequence of NDArray
            (Y, X) uint8 class values. One: flips between `labels` and it. Two: between these.
        """
        if len(models) != len(self.layers) or labels is not self._labels or not self.on:
            self._take_away()
        names = NAMES[-len(models) :]
        place: dict[str, Any] = {name: getattr(labels, name) for name in ("scale", "translate", "units", "colormap")}
        for index, (name, classes) in enumerate(zip(names, models, strict=True)):
            if index == len(self.layers):
                made = self._viewer.add_labels(np.array(classes), name=name, opacity=labels.opacity, **place)
                self.layers.append(made)
            else:
                self.layers[index].data = np.array(classes)
                for key, value in place.items():
                    setattr(self.layers[index], key, value)
            self.layers[index].editable = False
        self._labels = labels
        self._look()
        self._viewer.layers.selection.active = labels

    def flip(self) -> None:
        """Show the other side."""
        self.second = not self.second
        if self.on:
            self._look()

    def remove(self) -> None:
        """Take the labels of models away and show the labels of the tile."""
        compared = bool(self.layers)
        self._take_away()
        if compared and self._labels is not None:
            self._labels.visible = True
        self._labels, self.second = None, False

    def _look(self) -> None:
        first = self.layers[0] if len(self.layers) == len(NAMES) else self._labels
        seen = self.layers[-1] if self.second else first
        for layer in (self._labels, *self.layers):
            if layer is not None and layer.visible != (layer is seen):
                layer.visible = layer is seen

    def _take_away(self) -> None:
        for layer in filter(self._alive, self.layers):
            self._viewer.layers.remove(layer)
        self.layers = []

    def _alive(self, layer: "Labels | None") -> bool:
        return any(layer is known for known in self._viewer.layers)
