"""Show one image of the project on the canvas."""

from histobridge.core.project import Project
from histobridge.layers import Canvas

PREVIEW_PX = 512


def show_on_canvas(project: Project, image_id: str, canvas: Canvas) -> None:
    """Open the pyramid of an image as the layer ``image``, its contrast from a thumbnail's worth of pixels."""
    import numpy as np

    record = project.image(image_id)
    if canvas.shows((project.path, image_id), record.pixel_size_um):
        return
    pyramid = project.pixels(image_id)
    small = [index for index, level in enumerate(pyramid.levels) if max(level.shape) >= PREVIEW_PX]
    pixels = pyramid.read((slice(None), slice(None)), small[-1] if small else 0)
    low, high = np.percentile(pixels, (0.5, 99.5))
    canvas.show_image(
        (project.path, image_id), pyramid.levels, record.pixel_size_um, (float(low), float(max(high, low + 1)))
    )
    canvas.look_at((0, 0), record.shape, record.pixel_size_um)
