"""What is flipped with Tab: labels of models, or one overlay, over the open tile; layers of ours, nobody paints on."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer
    from napari.viewer import Viewer

NAMES = ("model", "previous model")


class Flip:
    """Two sides over the tile, one of them visible at a time.

    Either labels against labels (those of the tile against a model, or of two models), or an overlay against nothing,
    the labels staying. Whoever shows something takes the flip first; the one before is told. The labels layer cannot be
    painted on while it is hidden.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        self._viewer = viewer
        self._labels: Labels | None = None
        self.layers: list[Labels] = []
        self.over: Image | None = None
        self.second = False
        self.watchers: list[Callable[[], object]] = []
        self._lost: Callable[[], object] | None = None

    @property
    def on(self) -> bool:
        """Whether something can be flipped and nobody has taken a layer of it away."""
        ours = [*self.layers, *self._overlay()]
        return bool(ours) and self._labels is not None and all(map(self._alive, (self._labels, *ours)))

    @property
    def hides_labels(self) -> bool:
        """Whether what is seen are the labels of a model, not those that are edited."""
        return self.on and bool(self.layers) and (self.second or len(self.layers) == len(NAMES))

    @property
    def seen(self) -> "Labels | None":
        """The labels that are seen; none if nothing is compared."""
        if not self.layers:
            return self._labels
        first = self.layers[0] if len(self.layers) == len(NAMES) else self._labels
        return self.layers[-1] if self.second else first

    # -- who -------------------------------------------------------------------------------------------------------

    def take(self, lost: Callable[[], object]) -> None:
        """Make room for the next one to show something; the one before is told by its own `lost`."""
        before, self._lost = self._lost, lost
        if before is not None and before != lost:
            before()
        self.remove()

    # -- show ------------------------------------------------------------------------------------------------------

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

    def show_over(self, labels: "Labels", name: str, pixels: NDArray[Any], look: dict[str, Any]) -> None:
        """Lay an image over the tile; the side that was seen stays the one that is seen.

        Parameters
        ----------
        labels : napari.layers.Labels
            The layer of the tile.
        name : str
            Of the layer.
        pixels : NDArray
            (Y, X) grey values.
        look : dict
            Place and colours, as `viewer.add_image` takes them; what is opaque goes below the labels.
        """
        if self.over is not None and (self.over.name != name or not self.on):
            self._take_away()
        if self.over is None:
            self.over = self._viewer.add_image(pixels, name=name, **look)
            layers = self._viewer.layers
            layers.move(layers.index(self.over), layers.index(labels) + (look["blending"] != "opaque"))
        else:
            self.over.data = pixels
            for key in ("scale", "translate", "units", "contrast_limits"):
                setattr(self.over, key, look[key])
        self._labels = labels
        self._look()
        self._viewer.layers.selection.active = labels

    def flip(self) -> None:
        """Show the other side."""
        self.second = not self.second
        if self.on:
            self._look()

    def remove(self) -> None:
        """Take what was laid over the tile away and show the labels of the tile."""
        compared = bool(self.layers)
        self._take_away()
        if compared and self._labels is not None:
            self._labels.visible = True
        self._labels, self.second = None, False
        self.tell()

    def _look(self) -> None:
        layers: list[Layer | None] = [self._labels, *self.layers] if self.layers else []
        for layer in layers:
            if layer is not None and layer.visible != (layer is self.seen):
                layer.visible = layer is self.seen
        for over in self._overlay():
            over.visible = self.second
        self.tell()

    def tell(self) -> None:
        """Let everybody who watches know that something else is seen."""
        for watcher in self.watchers:
            watcher()

    def _overlay(self) -> "list[Image]":
        return [self.over] if self.over is not None else []

    def _take_away(self) -> None:
        for layer in filter(self._alive, [*self.layers, *self._overlay()]):
            self._viewer.layers.remove(layer)
        self.layers, self.over = [], None

    def _alive(self, layer: "Layer | None") -> bool:
        return any(layer is known for known in self._viewer.layers)
