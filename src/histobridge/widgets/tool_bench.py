"""Runs a tool of `core.tools` on the open tile: what it sees, what it does, one step of undo."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from histobridge.core.manifest import IGNORE
from histobridge.core.project import Project
from histobridge.core.states import IGNORED
from histobridge.core.tools.result import ToolError, ToolResult, View
from histobridge.layers import Canvas
from histobridge.pointer import Gesture, Path
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.session import Session

SNAP_REACH_PX = 6.0
SMOOTH_RADIUS_PX = 3.0


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

    sees: Literal["classes", "fibres", "image"] = "classes"


TOOLS = (
    Tool("fill", "Fill", "Click inside the ring.", "point", True, "fill:preview_fill"),
    Tool("ring", "Close", "Click inside the ring.", "point", True, "ring:close_ring"),
    Tool("sheath", "Sheath", "Click the axon.", "point", True, "sheath:grow_sheath"),
    Tool("cut", "Cut", "Draw a line across what touches.", "stroke", False, "cut:cut", "fibres"),
    Tool("merge", "Merge", "Click one part, then the other.", "two", False, "merge:merge", "fibres"),
    Tool("own", "Own", "Click the axon, then the sheath that is its own.", "two", True, "own:own", "fibres"),
    Tool("delete", "Delete", "Click the fibre.", "point", False, "delete:delete_fibre", "fibres"),
    Tool("smooth", "Smooth", "Click the object.", "point", False, "smooth:smooth"),
    Tool("yes", "Confirm", "Click the object.", "point", False, "pick:accept_object", "fibres"),
    Tool("snap", "Snap", "Draw along the edge.", "stroke", False, "snap:snap", "image"),
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
        self._image: tuple[Place, NDArray[Any]] | None = None

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
                raise ToolError("Nothing was changed: this object is accepted already.")
            return None
        if found.leak is None:
            self._commit(found)
        return found

    def _call(self, tool: Tool, path: Path) -> Any:
        module, name = tool.call.split(":")
        function: Callable[..., Any] = getattr(import_module(f"histobridge.core.tools.{module}"), name)
        view = self.view(tool)
        points = [(round(y), round(x)) for y, x in path]
        if tool.action == "smooth":
            return function(view, points[0], SMOOTH_RADIUS_PX)
        if tool.action == "snap":
            return function(view, np.array(path), SNAP_REACH_PX)
        if tool.gesture == "stroke":
            return function(view, np.array(path))
        return function(view, *points)

    def view(self, tool: Tool) -> View:
        """What a tool sees of the open tile; fibres only where the user has said whose a sheath is.

        Without such words a tool finds the fibre by itself in a piece around the click, which is quicker.
        """
        project, place, edit = self._session.project, self._desk.place, self._desk.edit
        assert project is not None
        assert place is not None
        assert edit is not None
        classes = edit.classes
        classes[edit.state == IGNORED] = IGNORE
        pair = project.manifest.nested_pair()
        inner, outer = (pair[0].value, pair[1].value) if pair else (0, 0)
        image = self._pixels(project, place) if tool.sees == "image" else None
        fibres = None
        if tool.sees == "fibres" and (owners := edit.owners):
            from histobridge.core.fibres import derive_fibres

            fibres = derive_fibres(classes, project.manifest, owners)
        return View(classes, image, inner, outer, fibres)

    def _pixels(self, project: Project, place: Place) -> NDArray[Any]:
        """Native grey values of the tile, read once."""
        if self._image is None or self._image[0] != place:
            self._image = place, project.pixels(place.image).read(place.tile.window)
        return self._image[1]

    def _commit(self, result: ToolResult) -> None:
        """Take over what a tool did; ignored pixels stay so."""
        edit = self._desk.edit
        assert edit is not None
        kept = result.classes == IGNORE
        classes = np.where(kept, edit.classes, result.classes)
        edit.commit(classes, near=result.near, owners=result.owners)
        shown = edit.classes
        shown[edit.state == IGNORED] = IGNORE
        self._canvas.replace_labels(shown)
