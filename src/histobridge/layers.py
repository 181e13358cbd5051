"""Project arrays <-> napari layers: writes to the viewer, with `flip`, `overlays` and `pointer`, only to its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import ClassSpec
from histobridge.flip import Flip
from histobridge.overlays import Overlays
from histobridge.pointer import Pointer
from histobridge.ruler import add_ruler
from histobridge.strokes import Strokes
from histobridge.surroundings import Surroundings, place_layer

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Shapes
    from napari.viewer import Viewer

IGNORED_COLOR = "#999999"
OPACITY = 0.45
BRUSHES = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80)


class Canvas:
    """Our few layers in a viewer: ``image``, ``labels`` and, while a size is measured, ``typical object``.

    While models are compared, `flip` holds theirs; `surroundings` holds what lies around the tile, `strokes` what was
    gone over in it.

    Layers are known by identity, never by name, so a layer of the user's with the same name stays hers.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        # napari hands plugins a proxy that wraps every layer anew: then no layer would ever be the one we made.
        self._viewer: Viewer = getattr(viewer, "__wrapped__", viewer)
        self.image: Image | None = None
        self.labels: Labels | None = None
        self.ruler: Shapes | None = None
        self.flip = Flip(self._viewer)
        self.surroundings = Surroundings(self._viewer)
        self.strokes = Strokes()
        self.overlays = Overlays(self._viewer)
        self.pointer = Pointer(self._viewer)
        self._hidden: list[Layer] = []
        self._shown: object = None
        self._erase_before = ""
        self._colored: tuple[object, object] = (None, None)

    # -- show ------------------------------------------------------------------------------------------------------

    def show_image(
        self, key: object, levels: Sequence[Any], pixel_size_um: float | None, contrast: tuple[float, float]
    ) -> None:
        """Show an image as the multiscale layer ``image``.

        Parameters
        ----------
        key : object
            Tells one image from another; showing the same again does nothing.
        levels : sequence of array
            (Y, X) each, the finest first.
        pixel_size_um : float or None
            Of the finest level; none: the scale bar counts pixels.
        contrast : tuple of float
            Black and white in grey values.
        """
        if self.shows(key, pixel_size_um):
            return
        self.remove("image")
        scale = (pixel_size_um or 1.0,) * 2
        data = list(levels) if len(levels) > 1 else levels[0]
        self.image = self._viewer.add_image(
            data,
            multiscale=len(levels) > 1,
            name="image",
            scale=scale,
            units=("um", "um") if pixel_size_um else ("pixel", "pixel"),
            contrast_limits=contrast,
            colormap="gray",
        )
        self._viewer.layers.move(self._viewer.layers.index(self.image), 0)
        self._shown = (key, pixel_size_um)
        self._viewer.canvas.overlays.scale_bar.visible = True

    def shows(self, key: object, pixel_size_um: float | None) -> bool:
        """Whether the image of this key is on the canvas, at this pixel size."""
        return self._shown == (key, pixel_size_um) and self._alive(self.image)

    def show_labels(
        self, classes: NDArray[np.uint8], origin: tuple[int, int], pixel_size_um: float | None, editable: bool
    ) -> bool:
        """Show one tile in the editable layer ``labels``; the layer is reused, its napari history forgotten.

        Parameters
        ----------
        classes : NDArray
            (Y, X) uint8; the layer paints into a copy.
        origin : tuple of int
            (row, column) of the tile in the image, in pixels.
        pixel_size_um : float or None
        editable : bool
            Whether it can be painted on.

        Returns
        -------
        bool
            Whether the layer is a new one, without keys and callbacks yet.
        """
        size = pixel_size_um or 1.0
        place: dict[str, Any] = {"scale": (size, size), "translate": (origin[0] * size, origin[1] * size)}
        place["units"] = ("um", "um") if pixel_size_um else ("pixel", "pixel")
        layer = self.labels
        fresh = layer is None or not self._alive(layer)
        if fresh:
            layer = self._viewer.add_labels(np.array(classes), name="labels", opacity=OPACITY, **place)
            layer.brush_size = 10
            self.labels = layer
        else:
            self.strokes.forget(layer)
            if layer.data.shape == classes.shape:
                layer.data[...] = classes
            else:
                layer.data = np.array(classes)
            place_layer(layer, **place)
        if layer.editable != editable:
            layer.editable = editable
        if self._viewer.layers.selection.active is not layer:
            self._viewer.layers.selection.active = layer
        return fresh

    @property
    def has_labels(self) -> bool:
        """Whether our labels layer is in the viewer."""
        return self._alive(self.labels)

    def painted(self) -> NDArray[np.uint8] | None:
        """Return the pixels of the labels layer, not a copy; none if there is no such layer."""
        return self.labels.data if self.labels is not None else None

    def when_painted(self, stroke: Callable[[], object], label: Callable[[int], object]) -> None:
        """Tell of every finished edit, perhaps before its pixels changed, and of every change of the brush's class."""
        layer = self.labels
        if layer is not None:
            self.strokes.follow(layer, stroke)
            layer.events.selected_label.connect(lambda _: label(layer.selected_label))

    def replace_labels(self, classes: NDArray[np.uint8]) -> None:
        """Show other classes in the same tile, as after an undo."""
        layer = self.labels
        if layer is None:
            return
        layer.data[...] = classes
        self.strokes.forget(layer)
        layer.refresh()

    def color_labels(self, classes: Sequence[ClassSpec]) -> None:
        """Colour the labels by class; 255 is grey."""
        from napari.utils.colormaps import DirectLabelColormap

        if self.labels is None:
            return
        colors: dict[int | None, str] = {None: IGNORED_COLOR, 0: "transparent", 255: IGNORED_COLOR}
        colors.update({spec.value: spec.color for spec in classes})
        if self.labels.colormap is not self._colored[0] or colors != self._colored[1]:
            self.labels.colormap = DirectLabelColormap(color_dict=colors)
            self._colored = self.labels.colormap, colors

    def look_at(
        self, origin: tuple[int, int], shape: tuple[int, int], pixel_size_um: float | None, *, zoom: bool = True
    ) -> None:
        """Centre the camera on a window of the image and, with `zoom`, fill the canvas with it."""
        size = pixel_size_um or 1.0
        camera = self._viewer.scene.camera
        height, width = self._viewer.canvas.size
        camera.center = tuple((start + side / 2) * size for start, side in zip(origin, shape, strict=True))
        if zoom:
            camera.zoom = 0.95 * min(height / (shape[0] * size), width / (shape[1] * size))

    def pointed(self) -> tuple[int, int] | None:
        """Pixel of the image under the mouse, else in the middle of the canvas; none outside the image."""
        if self.image is None or not self._alive(self.image):
            return None
        viewer = self._viewer
        position = viewer.cursor.position if viewer.mouse_over_canvas else viewer.scene.camera.center
        rows, columns = (int(each) for each in np.floor(np.asarray(position)[-2:] / self.image.scale[-2:] + 0.5))
        height, width = self.image.level_shapes[0] if self.image.multiscale else self.image.data.shape
        return (rows, columns) if 0 <= rows < height and 0 <= columns < width else None

    def measure(self, on_line: Callable[[float], object], pixel_size_um: float | None) -> None:
        """Let the user draw a line; `on_line` is told its length in µm, or in pixels when the size is unknown."""
        self.remove("ruler")
        self.ruler = add_ruler(self._viewer, on_line, pixel_size_um)

    # -- tools -----------------------------------------------------------------------------------------------------

    def choose_class(self, value: int) -> None:
        """Paint this class from now on."""
        if self.labels is not None and self.labels.editable:
            self.labels.selected_label = value
            if self.labels.mode in ("pan_zoom", "erase", "transform", "pick"):
                self.labels.mode = "paint"

    def resize_brush(self, larger: bool) -> None:
        """Take the next larger or smaller brush."""
        if self.labels is None:
            return
        sizes = [size for size in BRUSHES if (size - self.labels.brush_size) * (1 if larger else -1) > 0]
        if sizes:
            self.labels.brush_size = sizes[0] if larger else sizes[-1]

    def erase(self, on: bool) -> None:
        """Hold the eraser, or go back to the tool before."""
        layer = self.labels
        if layer is None or not layer.editable:
            return
        if on and layer.mode != "erase":
            self._erase_before, layer.mode = str(layer.mode), "erase"
        elif not on and self._erase_before:
            layer.mode, self._erase_before = self._erase_before, ""

    def hide_labels(self, on: bool) -> None:
        """Hide the labels, or those laid over them, or show them again."""
        if on and not self._hidden:
            known = (self.labels, self.surroundings.layer, *self.flip.layers, *self.overlays.hidden_with_labels)
            self._hidden = [layer for layer in known if layer is not None and layer.visible]
        for layer in self._hidden:
            layer.visible = not on
        self._hidden = self._hidden if on else []

    def bind(self, presses: Mapping[str, Callable[[], object]], holds: Mapping[str, Callable[[bool], object]]) -> None:
        """Give our labels layer its own keys; those of all other layers stay napari's."""
        layer = self.labels
        if layer is None:
            return
        layer.keymap = {}
        for key, press in presses.items():
            layer.bind_key(key, lambda _layer, press=press: press(), overwrite=True)
        for key, hold in holds.items():

            def held(_layer: object, hold: Callable[[bool], object] = hold) -> Iterator[None]:
                hold(True)
                yield
                hold(False)

            layer.bind_key(key, held, overwrite=True)

    # -- the user's layers -----------------------------------------------------------------------------------------

    def open_images(self) -> list["Image"]:
        """Return the user's image layers, bottom first."""
        from napari.layers import Image

        ours = (self.image, self.flip.over)
        images = (layer for layer in self._viewer.layers if isinstance(layer, Image))
        return [layer for layer in images if all(layer is not known for known in ours)]

    def open_masks(self) -> list["Labels"]:
        """Return the user's labels layers, bottom first."""
        from napari.layers import Labels

        ours = (self.labels, self.surroundings.layer, *self.flip.layers, *self.overlays.layers)
        labels = (layer for layer in self._viewer.layers if isinstance(layer, Labels))
        return [layer for layer in labels if all(layer is not known for known in ours)]

    # -- remove ----------------------------------------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """Take one of our layers (``image``, ``labels``, ``ruler``) out of the viewer."""
        layer = getattr(self, name)
        if name == "labels":
            self.pointer.disarm()
            self.flip.remove()
            self.surroundings.remove()
            self.overlays.clear()
        if self._alive(layer):
            self._viewer.layers.remove(layer)
        setattr(self, name, None)
        if name == "image":
            self._shown = None

    def clear(self) -> None:
        """Take all our layers out of the viewer."""
        for name in ("ruler", "labels", "image"):
            self.remove(name)

    def _alive(self, layer: "Layer | None") -> bool:
        return layer is not None and any(layer is known for known in self._viewer.layers)
