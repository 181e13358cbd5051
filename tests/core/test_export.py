"""Exports: what is written, and that it is read back."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from histobridge.core import export_maps, export_staging, export_zarr
from histobridge.core.config import AddImagesConfig, ExportConfig, ProposeConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.export import export_labels
from histobridge.core.export_publish import ReadBackError
from histobridge.core.export_staging import merge, sha256_of_pixels
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import Pyramid
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.job import finish
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.synthetic import two_modalities

SHAPE = (300, 260)


@pytest.fixture
def project(tmp_path):
    """One target image `rat1-a` with a proposal and some review, and `rat1-b` with neither."""
    field = two_modalities(1, 300, seed=5)[1]
    image, truth = field.image[:, :260], field.classes[:, :260]
    project = Project.create(tmp_path / "project")
    run = project.create_run("add", AddImagesConfig())
    known = {"subject": "rat1", "pixel_size_um": 0.1, "pixel_size_from": "user"}
    stage_array(run, image_record("rat1-a", "target", **known), image, classes=truth, state=_state())
    stage_array(run, image_record("rat1-b", "target", **known), image)
    with project.editing():
        project.adopt(run)
    _propose(project, "rat1-a", np.roll(truth, 7, axis=0))
    return project


def _state():
    state = np.zeros(SHAPE, np.uint8)
    state[:100], state[100:110], state[110:130] = 1, 2, 3
    return state


def _propose(project, image_id, classes):
    run = project.create_run("propose", ProposeConfig())
    folder = run.path / "proposals" / image_id
    for name, values in (("classes", classes), ("confidence", np.full(SHAPE, 200, np.uint8))):
        zarr.create_array(folder / name, shape=SHAPE, chunks=(512, 512), dtype="uint8")[:] = values
    write_json(folder / "proposal.json", {})
    (run.path / "model.safetensors").write_bytes(b"weights")
    run.write_state(RunState(status="finished"))


def test_a_stopped_export_goes_on_with_what_is_left(project):
    """Names that the same run has published are not in use by others."""
    _propose(project, "rat1-b", np.zeros(SHAPE, np.uint8))
    run = project.create_run("export", ExportConfig(formats=("png",)))

    def stop(progress):
        if "rat1-b" in progress.message:
            run.request_cancel()

    with pytest.raises(CancelledError):
        perform(run, stop)
    before = {path: path.stat().st_mtime_ns for path in (project.path / ExportConfig().out).glob("rat1-a*")}
    result = perform(run)
    assert [entry["image"] for entry in result["written"]] == ["rat1-a", "rat1-b"]
    assert before
    assert before == {path: path.stat().st_mtime_ns for path in before}
    with pytest.raises(InputError, match="exists already"):
        perform(project.create_run("export", ExportConfig(formats=("png",))))


def meant(project):
    window = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    classes, state = project.labels("rat1-a").read(window)
    proposed = np.roll(two_modalities(1, 300, seed=5)[1].classes[:, :260], 7, axis=0)
    return np.select([state == 3, state == 0], [np.full_like(proposed, 255), proposed], classes), state


def export(project, **values):
    config = ExportConfig(**({"out": project.path.parent / "out"} | values))
    return finish(export_labels(project, project.create_run("export", config), config))


def test_reviewed_pixels_win_over_the_proposal_and_ignored_ones_are_unlabelled():
    classes = np.array([[1, 1, 1, 1]], np.uint8)
    state = np.array([[0, 1, 2, 3]], np.uint8)
    assert merge(classes, state, np.array([[2, 2, 2, 2]], np.uint8)).tolist() == [[2, 1, 1, 255]]
    assert merge(classes, state, None).tolist() == [[1, 1, 1, 255]]


def test_ome_zarr_is_valid_and_holds_the_labels_at_every_level(project):
    yaozarrs = pytest.importorskip("yaozarrs")
    models = pytest.importorskip("ome_zarr_models")
    result = export(project)
    group = project.path.parent / "out" / "rat1-a.ome.zarr"
    assert result["written"] == [
        {
            "image": "rat1-a",
            "format": "ome-zarr",
            "path": str(group),
            "files": [str(group), str(group.with_name("rat1-a_confidence.ome.zarr"))],
            "identical": True,
            "reviewed_fraction": pytest.approx(130 / 300),
        }
    ]
    for path in (group, group / "labels" / "classes", group.with_name("rat1-a_confidence.ome.zarr")):
        yaozarrs.validate_zarr_store(path)
    for path in (group, group / "labels", *(group / "labels" / name for name in ("classes", "fibres", "state"))):
        models.open_ome_zarr(zarr.open_group(path, mode="r"))
    image, classes = Pyramid.open(group), Pyramid.open(group / "labels" / "classes")
    assert [level.shape for level in image.levels] == [level.shape for level in classes.levels]
    assert len(image.levels) > 1
    assert classes.pixel_size_um == pytest.approx(0.1)
    final, state = meant(project)
    assert np.array_equal(classes.levels[0][:], final)
    assert np.array_equal(Pyramid.open(group / "labels" / "state").levels[0][:], state)
    assert np.array_equal(image.levels[0][:], project.pixels("rat1-a").levels[0][:])
    assert set(np.unique(classes.levels[-1][:])) <= {0, 1, 2, 255}


def test_label_values_are_integers_in_json_and_named(project):
    export(project)
    path = project.path.parent / "out" / "rat1-a.ome.zarr" / "labels" / "classes" / "zarr.json"
    label = json.loads(path.read_text())["attributes"]["ome"]["image-label"]
    assert [type(color["label-value"]) for color in label["colors"]] == [int, int, int]
    assert label["colors"][0] == {"label-value": 1, "rgba": [0x56, 0xB4, 0xE9, 255]}
    assert [entry["name"] for entry in label["properties"]] == ["axon", "myelin", "unlabelled"]


def test_napari_shows_the_labels_in_their_colours(project):
    reader = pytest.importorskip("napari_ome_zarr")
    export(project)
    path = str(project.path.parent / "out" / "rat1-a.ome.zarr")
    layers = {
        options.get("name", "image").split("/")[-1]: (options, kind)
        for _, options, kind in reader.napari_get_reader(path)(path)
    }
    options, kind = layers["classes"]
    assert kind == "labels"
    assert options["colormap"][1] == pytest.approx([0x56 / 255, 0xB4 / 255, 0xE9 / 255, 1])
    assert options["scale"][-2:] == pytest.approx([0.1, 0.1])


def test_provenance_says_where_the_mask_comes_from(project):
    export(project)
    attributes = json.loads((project.path.parent / "out" / "rat1-a.ome.zarr" / "zarr.json").read_text())["attributes"]
    told = attributes["histobridge"]
    proposal = project.active("proposals")
    assert told["proposal_run"] == proposal.id
    assert told["runs"][proposal.id]["config"]["route"] == "tutorship"
    assert set(told["sha256"]) == {"image", "file", "classes", "proposal", "model"}
    assert told["sha256"]["classes"] == sha256_of_pixels(meant(project)[0])
    assert told["reviewed_fraction"] == pytest.approx(130 / 300)
    assert {"version", "date", "config", "classes"} <= set(told)


def test_png_and_tiff_hold_values_and_pixel_size(project):
    export(project, formats=("png", "tiff"))
    out = project.path.parent / "out"
    final, state = meant(project)
    with Image.open(out / "rat1-a_classes.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), final)
        assert image.info["dpi"][0] == pytest.approx(25400 / 0.1, rel=1e-3)
    with tifffile.TiffFile(out / "rat1-a_classes.ome.tif") as file:
        assert file.is_ome
        assert np.array_equal(file.asarray(), final)
        assert 'PhysicalSizeX="0.1"' in file.ome_metadata
        assert file.pages[0].get_resolution("MICROMETER")[0] == pytest.approx(10)
    assert np.array_equal(tifffile.imread(out / "rat1-a_state.ome.tif"), state)
    assert np.array_equal(tifffile.imread(out / "rat1-a_fibres.ome.tif") > 0, np.isin(final, (1, 2)))
    table = json.loads((out / "classes.json").read_text())
    assert [(spec["name"], spec["value"]) for spec in table["classes"]] == [("axon", 1), ("myelin", 2)]
    assert json.loads((out / "rat1-a_classes.png.json").read_text())["reviewed_fraction"] == pytest.approx(130 / 300)


@pytest.mark.parametrize("shape", [(1, 1), (513, 700), (1030, 5)])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_maps_of_any_size_are_read_by_other_programs(tmp_path, shape, kind):
    values = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    write = {"png": export_maps.write_png, "tiff": export_maps.write_tiff}[kind]
    write(tmp_path / "map", values, None)
    if kind == "png":
        with Image.open(tmp_path / "map") as image:
            assert np.array_equal(np.asarray(image), values)
    else:
        assert np.array_equal(tifffile.imread(tmp_path / "map"), values)


def test_an_existing_export_is_not_replaced_unasked(project):
    export(project)
    with pytest.raises(InputError, match=r"rat1-a\.ome\.zarr exists already"):
        export(project)
    final, _ = meant(project)
    _propose(project, "rat1-a", np.full(SHAPE, 2, np.uint8))
    export(project, replace=True)
    group = project.path.parent / "out" / "rat1-a.ome.zarr"
    assert not np.array_equal(Pyramid.open(group / "labels" / "classes").levels[0][:], final)
    assert sorted(path.name for path in group.parent.iterdir()) == ["rat1-a.ome.zarr", "rat1-a_confidence.ome.zarr"]


def test_a_relative_folder_lies_in_the_project(project):
    result = export(project, out="exported")
    assert result["out"] == str(project.path / "exported")
    assert (project.path / "exported" / "rat1-a.ome.zarr").is_dir()


def test_only_images_with_labels_or_proposals_are_exported(project):
    with pytest.raises(InputError, match="rat1-b has neither"):
        export(project, images=("rat1-b",))
    with pytest.raises(ProjectError, match="no image of the source"):
        export(project, domain="source")
    assert not (project.path.parent / "out").exists()


def test_large_images_go_without_fibres_and_it_is_said(project, monkeypatch):
    monkeypatch.setattr(export_staging, "FIBRE_PIXELS", 1000)
    result = export(project, formats=("ome-zarr", "tiff"))
    assert any("no fibres" in note for note in result["notes"])
    out = project.path.parent / "out"
    assert not (out / "rat1-a.ome.zarr" / "labels" / "fibres").exists()
    assert not (out / "rat1-a_fibres.ome.tif").exists()


def test_nothing_stays_in_the_run_folder(project):
    export(project)
    assert not list(project.runs("export")[0].path.glob("scratch*"))


def corrupt(write):
    """Write, then flip one pixel in the file before it is read back."""

    def written(folder, image, *arguments, **options):
        write(folder, image, *arguments, **options)
        array = zarr.open_array(folder / "0", mode="r+")
        array[17, 23] = array[17, 23] ^ 1

    return written


def test_a_pixel_damaged_after_writing_is_found_and_nothing_is_published(project, monkeypatch):
    monkeypatch.setattr(export_zarr, "write_pyramid", corrupt(export_zarr.write_pyramid))
    with pytest.raises(ReadBackError, match=r"pixel \(17, 23\)"):
        export(project)
    assert not list((project.path.parent / "out").iterdir())


@pytest.mark.parametrize("format_", ["png", "tiff"])
def test_a_map_that_reads_back_differently_is_found(project, monkeypatch, format_):
    monkeypatch.setattr(export_maps, "_tiles", lambda image: iter([image[:, :] ^ 1]))
    monkeypatch.setattr(export_maps.zlib, "compressobj", LyingCompressor)
    with pytest.raises(ReadBackError):
        export(project, formats=(format_,))
    assert [path.name for path in (project.path.parent / "out").iterdir()] == ["classes.json"]


class LyingCompressor:
    """Compress with the last byte of each band changed."""

    real = staticmethod(export_maps.zlib.compressobj)

    def __init__(self, level):
        self._compressor = self.real(level)

    def compress(self, data):
        return self._compressor.compress(data[:-1] + bytes([data[-1] ^ 1]))

    def flush(self):
        return self._compressor.flush()


def test_wrong_colours_on_disk_are_found(project, monkeypatch):
    monkeypatch.setattr(export_zarr, "_set_attributes", lambda *_: None)
    with pytest.raises((ReadBackError, KeyError)):
        export(project)
    assert not list((project.path.parent / "out").iterdir())


def test_a_cancelled_export_keeps_the_old_one_and_no_half_one(project):
    export(project)
    group = project.path.parent / "out" / "rat1-a.ome.zarr"
    before = json.loads((group / "zarr.json").read_text())
    config = ExportConfig(out=group.parent, replace=True)
    job = export_labels(project, project.create_run("export", config), config)
    for progress in job:
        if "writing" in progress.message:
            break
    job.close()
    assert json.loads((group / "zarr.json").read_text()) == before
    assert len(list(group.parent.iterdir())) == 2
