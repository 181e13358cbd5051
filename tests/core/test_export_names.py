"""What exports are called, and what comes back of them."""

import numpy as np
import pytest
from PIL import Image

from histobridge.cli.label_maps import label_map_files
from histobridge.core.config import AddImagesConfig, ExportConfig
from histobridge.core.errors import InputError
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.perform import perform
from histobridge.core.project import Project

RAMP = np.tile(np.arange(64, dtype=np.uint8), (64, 1))


@pytest.fixture
def make_project(tmp_path):
    """A project with source images of given names, all accepted but for a corner that is ignored."""

    def make(*names, folder="nerve"):
        project = Project.create(tmp_path / folder)
        run = project.create_run("add", AddImagesConfig())
        classes, state = np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8)
        classes[10:40, 10:40], state[:20, :20] = 1, 3
        for name in names:
            record = image_record(name, "source", subject="rat1", pixel_size_um=0.1, pixel_size_from="user")
            stage_array(run, record, RAMP, classes=classes, state=state)
        with project.editing():
            project.adopt(run)
        return project

    return make


def export(project, **values):
    config = ExportConfig(domain="source", out=project.path.parent / "out", **values)
    return perform(project.create_run("export", config))


def test_an_image_that_is_named_twice_is_exported_once(make_project):
    result = export(make_project("a"), images=("a", "a"), formats=("png",))
    assert [entry["image"] for entry in result["written"]] == ["a"]


def test_two_images_of_one_exported_name_are_refused_before_anything_is_written(make_project):
    project = make_project("a", "a_confidence")
    with pytest.raises(InputError, match=r"both be written to a_confidence\.ome\.zarr"):
        export(project)
    assert not list((project.path.parent / "out").glob("*.zarr"))


@pytest.mark.parametrize("formats", [("png",), ("ome-zarr",)])
def test_ignored_pixels_come_back_unlabelled(make_project, formats, tmp_path):
    result = export(make_project("a"), formats=formats)
    (entry,) = result["written"]
    other = Project.create(tmp_path / "other")
    given = {"domain": "source", "paths": (tmp_path / "a.png",), "masks": (entry["path"],), "pixel_size_um": 0.1}
    if formats == ("ome-zarr",):
        given |= {"paths": (entry["path"],), "masks": ()}
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    run = other.create_run("add", AddImagesConfig(**given))
    assert perform(run)["problems"] == []
    with other.editing():
        other.adopt(run)
    (record,) = other.images("source")
    classes, state = other.labels(record.id).read((slice(0, 64), slice(0, 64)))
    assert (state[:20, :20] == 3).all()
    assert (state[20:, :] == 1).all()
    assert (classes[20:40, 20:40] == 1).all()


def test_what_an_export_wrote_beside_label_maps_is_none(make_project):
    project = make_project("a", "b")
    export(project, formats=("png", "table"))
    assert {name: path.name for name, path in label_map_files(project.path.parent / "out").items()} == {
        "a": "a_classes.png",
        "b": "b_classes.png",
    }
