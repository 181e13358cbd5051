"""OME-Zarr images that stay where they are."""

import shutil

import numpy as np
import pytest
import zarr

from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.project import Project

ALL = (slice(None), slice(None))


def test_ome_zarr_is_copied_or_referenced(add, project, tmp_path, ramp):
    write_pyramid(tmp_path / "rat1_a.ome.zarr", ramp, 0.3)
    add(tmp_path / "rat1_a.ome.zarr")
    add(tmp_path / "rat1_a.ome.zarr", domain="source", copy_images=False)
    copied, referenced = project.images()
    assert (copied.id, referenced.id) == ("rat1_a", "rat1_a-2")
    assert copied.sha256 == referenced.sha256
    assert not copied.reference
    assert referenced.reference == "../rat1_a.ome.zarr"
    assert not (project.path / "images" / "source" / referenced.id).exists()
    for record in (copied, referenced):
        assert record.pixel_size_um == 0.3
        np.testing.assert_array_equal(project.pixels(record.id).read(ALL), ramp)


def test_a_reference_moves_along_with_the_project(add, project, tmp_path, ramp):
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    add(tmp_path / "a.zarr", copy_images=False)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("project", "a.zarr"):
        shutil.move(tmp_path / name, moved / name)
    np.testing.assert_array_equal(Project.open(moved / "project").pixels("a").read(ALL), ramp)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_reference_of_another_type_is_read_as_its_record_says(add, project, tmp_path, ramp, dtype):
    """Whole numbers that fit; what looks at images divides by the range of their type."""
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    group = zarr.open_group(tmp_path / "a.zarr")
    for name in list(group.array_keys()):
        pixels = group[name][:]
        group.create_array(name, data=pixels.astype(dtype), overwrite=True, dimension_names=("y", "x"))
    add(tmp_path / "a.zarr", copy_images=False)
    (record,) = project.images()
    pixels = project.pixels(record.id)
    assert record.reference
    assert {level.dtype for level in pixels.levels} == {np.dtype(record.dtype)}
    np.testing.assert_array_equal(pixels.read(ALL), ramp)


def test_a_reference_is_found_from_a_project_that_is_opened_through_a_link(add, project, tmp_path, ramp):
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    add(tmp_path / "a.zarr", copy_images=False)
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(project.path)
    np.testing.assert_array_equal(Project.open(home / "link").pixels("a").read(ALL), ramp)
