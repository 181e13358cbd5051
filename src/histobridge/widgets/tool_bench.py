"""Runs a tool of `core.tools` on the open tile: what it sees, what it does, one step of undo."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.corrections import TileEdit
from histobridge.core.manifest import IGNORE
from histobridge.core.project import Project
from histobridge.core.states import IGNORED, MODEL
from histobridge.core.tools.result import ToolError, ToolResult, View, edited
from histobridge.layers import Canvas
from histobridge.pointer import Gesture, Path
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.session import Session


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; `action` is its line in the table of keys."""

    action: str
    text: str
    ask: str
    gesture: Gesture
    nested: bool
    call: str
    """Module and function below `core.tools`."""

    looks: bool = False
    """Whether it looks at the image."""


TOOLS = (
    Tool("fill", "Fill", "Click inside the ring.", "point", True, "fill:preview_fill"),
    Tool("ring", "Close", "Click inside the ring.", "point", True, "ring:close_ring", looks=True),
    Tool("sheath", "Sheath", "Click the axon.", "point", True, "sheath:grow_sheath"),
    Tool("cut", "Cut", "Draw a line across what touches.", "stroke", False, "cut:cut"),
    Tool("merge", "Merge", "Click one part, then the other.", "two", False, "merge:merge"),
    Tool("own", "Own", "Click the axon, then the sheath that is its own.", "two", True, "own:own"),
    Tool("delete", "Delete", "Click the fibre.", "point", False, "delete:delete_fibre"),
    Tool("smooth", "Smooth", "Click the object.", "point", False, "smooth:smooth"),
    Tool("yes", "Confirm", "Click the object.", "point", False, "pick:accept_object"),
    Tool("snap", "Snap", "Draw along the edge.", "stroke", False, "snap:snap", looks=True),
    Tool("axon_thin", "Axon −", "Click the fibre.", "point", True, "outline:thin_axon"),
    Tool("axon_thick", "Axon +", "Click the fibre.", "point", True, "outline:thicken_axon"),
    Tool("sheath_thin", "Sheath −", "Click the fibre.", "point", True, "outline:thin_sheath"),
    Tool("sheath_thick", "Sheath +", "Click the fibre.", "point", True, "outline:thicken_sheath"),
    Tool("edges", "Edges", "Click the object.", "point", False, "snap_outline:snap_outline", looks=True),
)


class ToolBench:
    """Holds no Qt object.

    Parameters
    ----------
    session : Session
    canvas : Canvas
    desk : Desk
    """

    def __init__(self, session: Session, canvas: Canvas, desk: Desk):
        self._session, self._canvas, self._desk = session, canvas, desk
        self._image: tuple[Path, Place, NDArray[Any]] | None = None

    def use(self, tool: Tool, path: Path) -> ToolResult | None:
        """Run a tool and commit what it did; returns what it said, or nothing if it only accepted an object.

        Raises `ToolError` if nothing was changed.
        """
        edit = self._desk.edit
        if edit is None or not self._desk.editable:
            raise ToolError("Nothing was changed: no tile is open for editing.")
        if self._canvas.flip.hides_labels:
            raise ToolError("Nothing was changed: these are labels of another model. Flip back to yours first.")
        self._desk.commit()
        found = self._call(tool, path)
        if isinstance(found, np.ndarray):
            if not edit.accept_only(found):
                raise ToolError("Nothing was changed: this object is decided already.")
            return None
        if found.leak is None:
            self._commit(found)
        return found

    def _call(self, tool: Tool, path: Path) -> Any:
        module, name = tool.call.split(":")
        function: Callable[..., Any] = getattr(import_module(f"histobridge.core.tools.{module}"), name)
        view = self.view(looks=tool.looks)
        points = [(round(y), round(x)) for y, x in path]
        if tool.action == "snap":
            return self._drawn(view, function(view, np.array(path)))
        if tool.gesture == "stroke":
            return function(view, np.array(path))
        return function(view, *points)

    def view(self, *, looks: bool = False) -> View:
        """What a tool sees of the open tile, with its image if it `looks` at that."""
        project, place, edit = self._session.project, self._desk.place, self._desk.edit
        assert project is not None
        assert place is not None
        assert edit is not None
        pair = project.manifest.nested_pair()
        inner, outer = (pair[0].value, pair[1].value) if pair else (0, 0)
        image = self._pixels(project, place) if looks else None
        return View(self._shown(edit), image, inner, outer, owners=edit.owners)

    @staticmethod
    def _shown(edit: TileEdit) -> NDArray[np.uint8]:
        """The tile as it is on the canvas."""
        classes = edit.classes
        classes[edit.state == IGNORED] = IGNORE
        return classes

    def _drawn(self, view: View, line: NDArray[np.float64]) -> ToolResult:
        """Paint along a line with the brush as it is, and all that a closed line goes around."""
        labels = self._canvas.labels
        value = int(labels.selected_label) if labels is not None else IGNORE
        if labels is None or value == IGNORE:
            raise ToolError("Nothing was changed: choose the class to draw with first.")
        mask = along(view.classes.shape, line, float(labels.brush_size) / 2)
        window = (slice(0, view.classes.shape[0]), slice(0, view.classes.shape[1]))
        painted = np.where(mask, np.uint8(value), view.classes)
        return replace(edited(view, window, painted, "The line snapped to the edge."), drawn=mask)

    def _pixels(self, project: Project, place: Place) -> NDArray[Any]:
        """Native grey values of the tile, read once."""
        if self._image is None or self._image[:2] != (project.path, place):
            self._image = project.path, place, project.pixels(place.image).read(place.tile.window)
        return self._image[2]

    def _commit(self, result: ToolResult) -> None:
        """Take over what a tool did; ignored pixels stay so."""
        edit = self._desk.edit
        assert edit is not None
        kept = result.classes == IGNORE
        classes = np.where(kept, edit.classes, result.classes)
        if result.drawn is None:
            edit.commit(classes, near=result.near, owners=result.owners)
        else:
            edit.commit(classes, repainted=result.drawn & (edit.state == MODEL))
        self._canvas.replace_labels(self._shown(edit))


def along(shape: tuple[int, ...], line: NDArray[np.float64], radius_px: float) -> NDArray[np.bool_]:
    """Pixels of a tile that a round brush covers along a line, (N, 2) of (y, x); a closed line is filled instead."""
    from scipy import ndimage
    from skimage.draw import polygon2mask

    if len(line) > 3 and np.array_equal(line[0], line[-1]):
        return np.asarray(polygon2mask(shape, line), np.bool_)
    away = np.ones(shape, np.bool_)
    y, x = np.rint(line).astype(int).T
    away[y, x] = False
    return np.asarray(ndimage.distance_transform_edt(away) < max(radius_px, 0.5), np.bool_)
