"""How the canvas is looked at and painted on: camera, brush and class, to be found again at the next start."""

from typing import TYPE_CHECKING, Any

from histobridge.layers import Canvas

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Standpoint:
    """Reads and sets the camera of a viewer, and the brush of our labels layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    canvas : Canvas
        Ours in this viewer.
    """

    def __init__(self, viewer: "Viewer", canvas: Canvas):
        self._viewer: Viewer = getattr(viewer, "__wrapped__", viewer)
        self._canvas = canvas

    def view(self) -> dict[str, Any]:
        """Return centre (y, x) and zoom of the camera, size and class of the brush; JSON values."""
        camera, labels = self._viewer.scene.camera, self._canvas.labels
        seen: dict[str, Any] = {"center": [float(each) for each in camera.center[-2:]], "zoom": float(camera.zoom)}
        if labels is not None and self._canvas.has_labels:
            seen |= {"brush": float(labels.brush_size), "label": int(labels.selected_label)}
        return seen

    def restore(self, view: dict[str, Any]) -> None:
        """Go back to what `view` returned; a part that is missing or no number stays as it is."""
        camera, labels = self._viewer.scene.camera, self._canvas.labels
        center, zoom, brush, label = (view.get(name) for name in ("center", "zoom", "brush", "label"))
        if isinstance(center, list) and len(center) == 2 and isinstance(zoom, float) and zoom > 0:
            camera.center, camera.zoom = tuple(center), zoom
        if labels is not None and isinstance(brush, float) and brush >= 1:
            labels.brush_size = brush
        if isinstance(label, int) and 0 <= label <= 255:
            self._canvas.choose_class(label)
