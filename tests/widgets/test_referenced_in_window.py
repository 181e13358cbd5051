"""Referenced images of types that are read as others are shown by napari."""

import numpy as np
import pytest
import zarr
from napari.layers import Image

from histobridge.core.images.pyramid import Plane, Pyramid, write_pyramid


@pytest.mark.parametrize("dtype", [">u2", "float32"])
def test_levels_that_are_read_as_another_type_are_shown(tmp_path, dtype):
    ramp = np.arange(600 * 700, dtype=np.uint16).reshape(600, 700)
    write_pyramid(tmp_path / "a.zarr", ramp, 0.1)
    group = zarr.open_group(tmp_path / "a.zarr")
    levels = [group[name][:].astype(dtype) for name in sorted(group.array_keys())]
    layer = Image(Pyramid(levels, [2.0**n for n in range(len(levels))]).narrowed("uint16").levels, multiscale=True)
    assert len(levels) > 1
    assert layer.dtype == np.uint16


def test_a_plane_of_a_stack_is_shown_at_several_resolutions():
    levels = [np.zeros((3, 64, 64), np.uint8), np.zeros((3, 32, 32), np.uint8)]
    assert Image([Plane(level, (1,)) for level in levels], multiscale=True).multiscale
