"""Adding images: every file ends in the project whole, or as one problem with its remedy."""

import numpy as np
import pytest
import tifffile
import zarr

from histobridge.core.config import AddImagesConfig
from histobridge.core.errors import InputError
from histobridge.core.images.add import add_images
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.job import finish

ALL = (slice(None), slice(None))
MASK = np.zeros((40, 50), np.uint8)
MASK[10:30, 10:30], MASK[15:25, 15:25] = 2, 1
WHOLE = (slice(0, 40), slice(0, 50))


def labels_of(project, image_id):
    """Return classes and state of a whole image of the size of `MASK`."""
    return project.labels(image_id).read(WHOLE)


def test_an_image_is_in_the_project_with_what_is_known_of_it(add, project, png, ramp):
    path = png("mouse3_field7.png", ramp)
    assert add(path, pixel_size_um=0.2)["added"] == ["mouse3_field7"]
    record = project.image("mouse3_field7")
    assert (record.subject, record.section, record.domain) == ("mouse3", "field7", "target")
    assert (record.pixel_size_um, record.pixel_size_from) == (0.2, "user")
    assert (record.shape, record.dtype, record.has_masks, record.origin) == ((40, 50), "uint8", False, str(path))
    assert len(record.sha256) == 64
    np.testing.assert_array_equal(project.pixels(record.id).read(ALL), ramp)
    assert project.pixels(record.id).pixel_size_um == 0.2


def test_the_pixel_size_is_never_assumed_and_the_file_wins_over_the_user(add, project, png, ramp, tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", ramp, resolution=(1e5, 1e5), resolutionunit="centimeter", metadata=None)
    add(png("a.png", ramp))
    add(tmp_path / "b.tif", pixel_size_um=7)
    assert project.image("a").pixel_size_um is None
    assert project.image("b").pixel_size_um == pytest.approx(0.1)


def test_subjects_come_from_the_user_or_from_a_pattern(add, project, png, ramp):
    add(png("x1.png", ramp), subject="rat9")
    add(png("S12-cord-004.png", ramp), subject_pattern=r"^(?P<subject>S\d+)-\w+-(?P<section>\d+)")
    add(png("S13.png", ramp), subject_pattern=r"^(?P<subject>T\d+)")
    assert [(r.subject, r.section) for r in project.images()] == [("rat9", ""), ("S12", "004"), ("S13", "")]


@pytest.mark.parametrize("pattern", ["(", "^(.+)$"])
def test_a_pattern_without_sense_is_refused_before_anything_is_added(project, png, ramp, pattern):
    config = AddImagesConfig(paths=(png("a.png", ramp),), subject_pattern=pattern)
    with pytest.raises(InputError, match="subject_pattern"):
        finish(add_images(project, project.create_run("add", config), config))


def test_masks_of_a_folder_are_found_and_never_taken_for_images(add, project, png, ramp, tmp_path):
    png("set/images/a.png", ramp)
    png("set/images/b.png", ramp)
    png("set/masks/a.png", MASK)
    assert add(tmp_path / "set", domain="source")["added"] == ["a", "b"]
    classes, state = labels_of(project, "a")
    np.testing.assert_array_equal(classes, MASK)
    assert (state == 1).all()
    assert [record.has_masks for record in project.images()] == [True, False]


def test_unlabelled_pixels_are_ignored_from_the_start(add, project, png, ramp):
    mask = MASK.copy()
    mask[:, 40:] = 255
    png("masks/a.png", mask)
    add(png("images/a.png", ramp))
    classes, state = labels_of(project, "a")
    assert (state[:, 40:] == 3).all()
    assert (state[:, :40] == 1).all()
    assert (classes[:, 40:] == 0).all()


@pytest.mark.parametrize(
    "name", ["a_mask.png", "a_seg-axonmyelin-manual.png", "a_seg-axonmyelin.png", "a-labels.png", "A_GT.png"]
)
def test_masks_beside_the_image_are_found_by_name(add, project, png, ramp, tmp_path, name):
    png("set/a.png", ramp)
    png("set/a_b.png", ramp)
    png(f"set/{name}", np.array([0, 255, 127], np.uint8)[MASK])
    assert sorted(add(tmp_path / "set")["added"]) == ["a", "a_b"]
    np.testing.assert_array_equal(labels_of(project, "a")[0], MASK)
    assert not project.image("a_b").has_masks


@pytest.mark.parametrize("pattern", ["{name}/a.png", "a_{name}.png", "a_seg-{name}-manual.png", "a-{name}_mask.png"])
def test_one_file_per_class_is_found_by_name_or_folder(add, project, png, ramp, tmp_path, pattern):
    for name, value in (("axon", 1), ("myelin", 2)):
        png("given/" + pattern.format(name=name), np.uint8(255) * (value == MASK))
    add(png("a.png", ramp), masks=(tmp_path / "given",))
    np.testing.assert_array_equal(labels_of(project, "a")[0], MASK)


def test_one_image_and_one_mask_belong_together_whatever_their_names(add, project, png, ramp):
    add(png("photo.png", ramp), masks=(png("truth.png", MASK),))
    np.testing.assert_array_equal(labels_of(project, "photo")[0], MASK)


def test_equal_names_in_folders_of_subjects_keep_their_own_masks(add, project, png, ramp, tmp_path):
    for rat in ("rat1", "rat2"):
        png(f"set/images/{rat}/f.png", ramp)
    png("set/masks/rat1/f.png", MASK)
    png("set/masks/rat2/f.png", MASK[::-1].copy())
    assert add(tmp_path / "set" / "images", masks=(tmp_path / "set" / "masks",))["added"] == ["f", "f-2"]
    np.testing.assert_array_equal(labels_of(project, "f")[0], MASK)
    np.testing.assert_array_equal(labels_of(project, "f-2")[0], MASK[::-1])


def test_a_mask_of_no_image_is_a_problem(add, png, ramp):
    result = add(png("a.png", ramp), masks=(png("a_mask.png", MASK), png("other.png", MASK)))
    assert result["added"] == ["a"]
    assert [(p["problem"], p["remedy"]) for p in result["problems"]] == [
        ("is a mask of none of these images", "name it like its image")
    ]


def test_bad_files_are_one_problem_each_and_the_others_are_added(add, project, png, ramp, tmp_path):
    folder = tmp_path / "set"
    png("set/images/good.png", ramp)
    png("set/images/constant.png", ramp * 0)
    png("set/images/small_mask.png", ramp)
    png("set/masks/small_mask.png", MASK[1:])
    png("set/images/strange_mask.png", ramp)
    png("set/masks/strange_mask.png", MASK * 3)
    (folder / "images" / "empty.tif").touch()
    whole = (folder / "images" / "good.png").read_bytes()
    (folder / "images" / "torn.png").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(folder / "images" / "nan.tif", np.full((9, 9), np.nan, np.float32))
    tifffile.imwrite(folder / "images" / "zmovie.ome.tif", np.zeros((2, 5, 9, 9), np.uint8), metadata={"axes": "TZYX"})
    result = add(folder, tmp_path / "missing.png", domain="source")
    assert result["added"] == ["good"]
    assert all(problem["problem"] and problem["remedy"] for problem in result["problems"])
    bad = "constant.png empty.tif missing.png nan.tif small_mask.png strange_mask.png torn.png zmovie.ome.tif"
    assert sorted(problem["file"].rpartition("/")[2] for problem in result["problems"]) == bad.split()
    assert [record.id for record in project.images()] == ["good"]
    assert [path.name for path in (project.path / "images" / "source").iterdir()] == ["good"]
    assert not list((project.path / "labels").glob("*/*"))
    assert not (project.runs()[-1].path / "incoming").exists()


def test_a_folder_without_images_is_a_problem(add, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert "has no images" in add(tmp_path / "nothing")["problems"][0]["problem"]


def test_ids_are_plain_names_made_unique(add, png, ramp):
    paths = png("a/Grösse 1 µm.png", ramp), png("b/grosse-1 m.png", ramp), png("c/_.png", ramp)
    assert add(*paths)["added"] == ["Grosse-1-m", "grosse-1-m-2", "image"]


def test_the_same_file_twice_is_added_once(add, png, ramp):
    path = png("a.png", ramp)
    assert add(path, path)["added"] == ["a"]
    again = add(path)
    assert again["added"] == []
    assert "already in the project as a" in again["problems"][0]["problem"]


def test_ids_of_an_import_that_is_not_yet_taken_in_are_not_given_again(project, png, ramp):
    for folder in ("one", "two"):
        config = AddImagesConfig(paths=(png(f"{folder}/a.png", ramp),))
        finish(add_images(project, project.create_run("add", config), config))
    assert sorted(p.parent.name for p in (project.path / "runs").glob("*/staged/*/record.json")) == ["a", "a-2"]


def test_a_stack_gives_the_chosen_sections_of_one_subject(add, project, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (4, 40, 50)).astype(np.uint8)
    masks = np.stack([MASK, MASK[::-1], MASK, MASK])
    tifffile.imwrite(tmp_path / "rat5_cord.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "rat5_cord_mask.tif", masks, photometric="minisblack")
    assert add(tmp_path / "rat5_cord.tif", sections=(3, 1))["added"] == ["rat5_cord_z001", "rat5_cord_z003"]
    assert {(r.subject, r.section) for r in project.images()} == {("rat5", "cord_z001"), ("rat5", "cord_z003")}
    np.testing.assert_array_equal(project.pixels("rat5_cord_z001").read(ALL), stack[1])
    np.testing.assert_array_equal(labels_of(project, "rat5_cord_z001")[0], masks[1])


def test_a_section_that_the_stack_lacks_is_named(add, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((2, 9, 9), np.uint8), photometric="minisblack")
    assert "without 5" in add(tmp_path / "a.tif", sections=(0, 5))["problems"][0]["problem"]


def test_one_bad_section_does_not_stop_the_others(add, tmp_path, ramp):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ramp, ramp * 0, ramp]), photometric="minisblack")
    result = add(tmp_path / "a.tif")
    assert result["added"] == ["a_z000", "a_z002"]
    assert result["problems"][0]["problem"].startswith("section 1: is constant")


def test_label_images_inside_an_ome_zarr_are_its_masks(add, project, tmp_path, ramp):
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    labels = zarr.create_group(tmp_path / "a.zarr" / "labels")
    labels.attrs["ome"] = {"version": "0.5", "labels": ["classes"]}
    write_pyramid(tmp_path / "a.zarr" / "labels" / "classes", MASK, None, labels=True)
    add(tmp_path / "a.zarr", domain="source")
    np.testing.assert_array_equal(labels_of(project, "a")[0], MASK)


def test_a_label_image_of_another_name_is_used_when_given(add, project, tmp_path, ramp):
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    labels = zarr.create_group(tmp_path / "a.zarr" / "labels")
    labels.attrs["ome"] = {"version": "0.5", "labels": ["mine"]}
    write_pyramid(tmp_path / "a.zarr" / "labels" / "mine", MASK, None, labels=True)
    add(tmp_path / "a.zarr", masks=(tmp_path / "a.zarr" / "labels" / "mine",))
    np.testing.assert_array_equal(labels_of(project, "a")[0], MASK)


def test_a_damaged_ome_zarr_is_a_problem(add, tmp_path, ramp):
    write_pyramid(tmp_path / "a.zarr", ramp, None)
    chunk = next(path for path in (tmp_path / "a.zarr" / "0").rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(b"rubbish")
    assert "cannot be read" in add(tmp_path / "a.zarr")["problems"][0]["problem"]


def test_an_import_goes_on_where_it_was_stopped(project, png, ramp):
    paths = tuple(png(f"{name}.png", ramp) for name in "abc")
    config = AddImagesConfig(paths=paths)
    run = project.create_run("add", config)
    job = add_images(project, run, config)
    while not (run.path / "staged" / "b" / "record.json").exists():
        next(job)
    job.close()
    written = (run.path / "staged" / "a" / "record.json").stat().st_mtime_ns
    assert sorted(finish(add_images(project, run, config))["added"]) == ["a", "b", "c"]
    assert (run.path / "staged" / "a" / "record.json").stat().st_mtime_ns == written


def test_arrays_are_staged_with_labels_and_state(project, ramp):
    run = project.create_run("add", AddImagesConfig())
    state = np.full(MASK.shape, 2, np.uint8)
    record = image_record("layer", "source", subject="rat1", pixel_size_um=0.5)
    staged = stage_array(run, record, ramp, classes=MASK, state=state)
    assert (staged.shape, staged.dtype, staged.has_masks, len(staged.sha256)) == ((40, 50), "uint8", True, 64)
    with project.editing():
        project.adopt(run)
    np.testing.assert_array_equal(labels_of(project, "layer"), (MASK, state))


@pytest.mark.parametrize(
    ("image", "classes", "found"),
    [
        (np.ones((2, 4, 4), np.uint8), None, "shape"),
        (np.ones((4, 4), np.float32), None, "float32"),
        (np.ones((4, 4), np.uint8), np.ones((5, 4), np.uint8), "labels of 4 x 5 pixels do not fit the image of 4 x 4"),
    ],
)
def test_arrays_that_do_not_fit_leave_nothing(project, image, classes, found):
    run = project.create_run("add", AddImagesConfig())
    with pytest.raises(InputError, match=found):
        stage_array(run, image_record("layer", "source", subject="rat1"), image, classes=classes)
    assert not list(run.path.glob("*/*"))
