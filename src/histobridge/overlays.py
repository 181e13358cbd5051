"""What lies over or beside the labels of the open tile: outline, preview of a tool, marks, the look of overlays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histobridge.surroundings import place_layer

if TYPE_CHECKING:
    from napari.layers import Labels, Layer, Points
    from napari.viewer import Viewer

DARK = "#101010"
PREVIEW_COLORS = {1: "#D55E00", 2: "#FFFFFF"}
"""Where a fill would run out, and the line that is being drawn."""
MARK_COLOR = "#CC79A7"
DOUBT_STOPS = ((0.0, "#D55E00", 0.95), (0.5, "#D55E00", 0.8), (0.8, "#D55E00", 0.3), (1.0, "#D55E00", 0.0))
"""Confidence in [0, 1]: the less, the more of a red orange that no class has."""
DIFFERENCE_COLOR = "#CC79A7"


def look_of(kind: str) -> dict[str, Any]:
    """Colours, range and blending of an overlay: ``translated``, ``confidence`` or ``disagreement``."""
    from napari.utils.colormaps import Colormap
    from vispy.color import Color

    if kind == "translated":
        return {"colormap": "gray", "contrast_limits": (-1.0, 1.0), "blending": "opaque"}
    stops = DOUBT_STOPS if kind == "confidence" else ((0.0, DIFFERENCE_COLOR, 0.0), (1.0, DIFFERENCE_COLOR, 0.85))
    colors = [[*Color(color).rgb, alpha] for _, color, alpha in stops]
    colormap = Colormap(colors, controls=[at for at, _, _ in stops], name=f"histobridge {kind}")
    top = 255.0 if kind == "confidence" else 1.0
    return {
        "colormap": colormap,
        "contrast_limits": (0.0, top),
        "blending": "translucent",
        "interpolation2d": "nearest",
    }


def outline_of(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mark the pixels of every class that touch another one by a side, (Y, X) uint8 of 0 and 1."""
    edge = np.zeros(classes.shape, np.bool_)
    for one, other in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differ = classes[one] != classes[other]
        edge[one] |= differ
        edge[other] |= differ
    return np.asarray(edge & (classes > 0), np.uint8)


class Overlays:
    """Layers of ours over the labels: ``outline``, ``preview``, ``to check``.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: "Viewer"):
        self._viewer = viewer
        self._outline: Labels | None = None
        self._preview: Labels | None = None
        self._marks: Points | None = None
        self._blank = False

    @property
    def layers(self) -> "list[Layer]":
        """All that are in the viewer."""
        return [layer for layer in (self._outline, self._preview, self._marks) if self._alive(layer)]

    @property
    def hidden_with_labels(self) -> "list[Layer]":
        """What goes when the labels are hidden."""
        return [layer for layer in (self._outline,) if layer is not None and self._alive(layer)]

    # -- outline ---------------------------------------------------------------------------------------------------

    def outline(self, labels: "Labels | None") -> None:
        """Draw a dark line around every label of a layer, or none."""
        if labels is None or not self._alive(labels):
            self._remove("_outline")
            return
        edge = outline_of(np.asarray(labels.data))
        if self._outline is None or not self._alive(self._outline):
            self._outline = self._add(labels, edge, "outline", {1: DARK})
        else:
            self._place(self._outline, labels, edge)
        if self._outline.visible != labels.visible:
            self._outline.visible = labels.visible

    # -- preview ---------------------------------------------------------------------------------------------------

    def preview(self, labels: "Labels", mask: NDArray[np.bool_], value: int = 1) -> None:
        """Show pixels of the tile, (Y, X), in the colour of a preview: 1 a leak, 2 a drawn line."""
        pixels = mask.astype(np.uint8) * np.uint8(value)
        if self._preview is None or not self._alive(self._preview):
            self._preview = self._add(labels, pixels, "preview", PREVIEW_COLORS)
            self._preview.opacity = 0.85
        else:
            self._place(self._preview, labels, pixels)

    def draw_line(self, labels: "Labels", start: Sequence[float], stop: Sequence[float]) -> None:
        """Draw one piece of a line, from (y, x) to (y, x) in pixels of the tile."""
        if self._preview is None or not self._alive(self._preview):
            self.preview(labels, np.zeros(labels.data.shape, np.bool_))
        assert self._preview is not None
        count = int(np.ceil(max(abs(a - b) for a, b in zip(start, stop, strict=True)))) + 1
        line = np.rint(np.linspace(start, stop, count)).astype(int)
        inside = ((line >= 0) & (line < labels.data.shape)).all(axis=1)
        self._preview.data_setitem(tuple(line[inside].T), 2)

    def end_preview(self) -> None:
        """Take the preview away."""
        self._remove("_preview")

    # -- marks -----------------------------------------------------------------------------------------------------

    def mark(self, labels: "Labels", places: Sequence[tuple[int, int]], words: Sequence[str]) -> None:
        """Ring places of the tile, (y, x) in pixels, that should be looked at; none takes the marks away."""
        if not places:
            self.blank_marks()
            return
        at, features = np.asarray(places, float), {"why": list(words)}
        if self._marks is not None and self._alive(self._marks) and np.array_equal(self._marks.scale, labels.scale):
            self._marks.data, self._marks.features = at, features
            self._marks.translate = labels.translate
            if self._blank:
                self._marks.visible, self._blank = True, False
            return
        self.end_marks()
        self._blank = False
        place = {name: getattr(labels, name) for name in ("scale", "translate", "units")}
        self._marks = self._viewer.add_points(
            at,
            name="to check",
            features=features,
            size=max(12.0, min(labels.data.shape) / 40),
            symbol="ring",
            face_color=MARK_COLOR,
            border_color=DARK,
            **place,
        )
        self._marks.editable = False
        self._viewer.layers.selection.active = labels

    def blank_marks(self) -> None:
        """Show none for now: taking a layer away and making it again costs half a second, hiding it nothing."""
        if self._marks is not None and self._alive(self._marks) and self._marks.visible:
            self._marks.visible, self._blank = False, True

    def end_marks(self) -> None:
        """Take the marks away."""
        self._remove("_marks")

    # -- layers ----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Take all of them out of the viewer."""
        for name in ("_outline", "_preview", "_marks"):
            self._remove(name)

    def _add(self, labels: "Labels", pixels: NDArray[np.uint8], name: str, colors: dict[int, str]) -> "Labels":
        from napari.utils.colormaps import DirectLabelColormap

        known: dict[int | None, str] = {None: "transparent", 0: "transparent", **colors}
        place = {key: getattr(labels, key) for key in ("scale", "translate", "units")}
        made = self._viewer.add_labels(pixels, name=name, colormap=DirectLabelColormap(color_dict=known), **place)
        made.opacity = 0.7
        made.editable = False
        self._viewer.layers.selection.active = labels
        return made

    @staticmethod
    def _place(layer: "Labels", labels: "Labels", pixels: NDArray[np.uint8]) -> None:
        if layer.data.shape == pixels.shape:
            layer.data[...] = pixels
        else:
            layer.data = pixels
            layer.editable = False
        place_layer(layer, labels.scale, labels.units, labels.translate)

    def _remove(self, name: str) -> None:
        layer = getattr(self, name)
        if self._alive(layer):
            self._viewer.layers.remove(layer)
        setattr(self, name, None)

    def _alive(self, layer: "Layer | None") -> bool:
        return layer is not None and any(layer is known for known in self._viewer.layers)
