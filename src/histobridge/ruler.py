"""A layer to draw a line on, whose length is asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Shapes
    from napari.viewer import Viewer


def add_ruler(viewer: "Viewer", on_line: Callable[[float], object], pixel_size_um: float | None) -> "Shapes":
    """Add the layer; `on_line` is told the length of every line in µm, or in pixels when the size is unknown."""
    ruler = viewer.add_shapes(
        ndim=2,
        name="typical object",
        edge_color="#E69F00",
        edge_width=2 * (pixel_size_um or 1.0),
        units=("um", "um") if pixel_size_um else ("pixel", "pixel"),
    )
    ruler.mode = "add_line"
    viewer.layers.selection.active = ruler

    def drawn(event: Any) -> None:
        if event.action in ("added", "changed") and ruler.data:
            start, end = np.asarray(ruler.data[-1])[[0, -1]]
            if (length := float(np.linalg.norm(end - start))) > 0:
                on_line(length)

    ruler.events.data.connect(drawn)
    return ruler
