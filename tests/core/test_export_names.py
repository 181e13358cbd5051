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
    """A project with source images of given names, all accepted but for a corner that is ignored, and what is not."""

    def make(*names, folder="nerve", not_reviewed=slice(0)):
        project = Project.create(tmp_path / folder)
        run = project.create_run("add", AddImagesConfig())
        classes, state = np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8)
        classes[10:40, 10:40], state[:20, :20], state[not_reviewed] = 1, 3, 0
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


@pytest.fixture
def taken_in(tmp_path):
    """Classes and states of another project that takes in what was exported."""

    def take_in(entry):
        other = Project.create(tmp_path / "other")
        given = {"domain": "source", "paths": (tmp_path / "a.png",), "masks": (entry["path"],), "pixel_size_um": 0.1}
        if entry["format"] == "ome-zarr":
            given |= {"paths": (entry["path"],), "masks": ()}
        Image.fromarray(RAMP).save(tmp_path / "a.png")
        run = other.create_run("add", AddImagesConfig(**given))
        assert perform(run)["problems"] == []
        with other.editing():
            other.adopt(run)
        (record,) = other.images("source")
        return other.labels(record.id).read((slice(0, 64), slice(0, 64)))

    return take_in


FORMATS = pytest.mark.parametrize("formats", [("png",), ("tiff",), ("ome-zarr",)])


@FORMATS
def test_ignored_pixels_come_back_unlabelled(make_project, taken_in, formats):
    classes, state = taken_in(*export(make_project("a"), formats=formats)["written"])
    assert (state[:20, :20] == 3).all()
    assert (state[20:, :] == 1).all()
    assert (classes[20:40, 20:40] == 1).all()


@FORMATS
def test_what_nobody_has_reviewed_teaches_nothing_elsewhere_if_it_is_left_out(make_project, taken_in, formats):
    project = make_project("a", not_reviewed=slice(30, None))
    classes, state = taken_in(*export(project, formats=formats, reviewed_only=True)["written"])
    assert (state[30:] == 3).all()
    assert (state[:30, 20:] == 1).all()
    assert (classes[20:30, 20:40] == 1).all()


def test_an_image_that_nobody_has_reviewed_is_said_to_be_unlabelled(make_project):
    project = make_project("a", not_reviewed=slice(None))
    result = export(project, formats=("png",), reviewed_only=True)
    assert "a: nobody has reviewed any of it, so all is unlabelled" in result["notes"]
    assert (np.asarray(Image.open(result["written"][0]["path"])) == 255).all()


def test_what_an_export_wrote_beside_label_maps_is_none(make_project):
    project = make_project("a", "b")
    export(project, formats=("png", "table"))
    assert {name: path.name for name, path in label_map_files(project.path.parent / "out").items()} == {
        "a": "a_classes.png",
        "b": "b_classes.png",
    }
