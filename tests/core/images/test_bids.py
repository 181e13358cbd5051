"""BIDS microscopy: subjects, inherited sidecars, masks under derivatives, partial datasets."""

import json
from pathlib import Path

import numpy as np
import pytest

from histobridge.core.images import bids
from histobridge.core.images.problem import FileError
from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec

SHARED = Path(__file__).parents[4] / "shared" / "data"
ALL = (slice(None), slice(None))


@pytest.fixture
def dataset(tmp_path, png, ramp):
    """Make a function that adds a file to a BIDS dataset, from JSON values or from pixels."""
    root = tmp_path / "set"
    (root / "sub-01").mkdir(parents=True)
    (root / "dataset_description.json").write_text("{}")
    (root / "participants.tsv").write_text("participant_id\nsub-01\nsub-absent\n")

    def put(name, content=None):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            path.write_text(json.dumps(content))
        else:
            png(f"set/{name}", ramp if content is None else content)
        return root

    return put


def test_subject_and_section_come_from_the_name(dataset):
    dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    root = dataset("sub-01/ses-2/micr/sub-01_ses-2_sample-B_acq-x_run-3_SEM.png")
    found = bids.images(root)
    assert [(image.subject, image.section) for image in found] == [("01", "A"), ("01", "B_ses-2_run-3")]


def test_sidecars_are_inherited_from_every_folder_and_the_nearest_wins(dataset):
    dataset("SEM.json", {"PixelSizeUnits": "nm", "PixelSize": [1, 1]})
    dataset("sub-01/sub-01_SEM.json", {"PixelSize": [100, 101]})
    dataset("sub-01/micr/sub-01_TEM.json", {"PixelSize": [7, 7]})
    dataset("sub-01/micr/sub-01_sample-B_SEM.json", {"PixelSize": 50})
    dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    root = dataset("sub-01/micr/sub-01_sample-B_SEM.png")
    first, second = (image.pixel_sizes_um() for image in bids.images(root))
    assert first == (pytest.approx((0.101, 0.1)), "sub-01_SEM.json")
    assert second == (pytest.approx((0.05, 0.05)), "sub-01_sample-B_SEM.json")


def test_without_a_sidecar_the_pixel_size_is_unknown(dataset):
    root = dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    assert bids.images(root)[0].pixel_sizes_um() is None


@pytest.mark.parametrize(
    "stated",
    [
        {"PixelSize": [1, 1]},
        {"PixelSize": [1, 1], "PixelSizeUnits": "px"},
        {"PixelSize": ["a", 1], "PixelSizeUnits": "um"},
    ],
)
def test_a_pixel_size_without_sense_is_an_error_of_its_sidecar(dataset, stated):
    dataset("SEM.json", stated)
    root = dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    with pytest.raises(FileError, match=r"SEM\.json: states PixelSize"):
        bids.images(root)[0].pixel_sizes_um()


def test_one_bad_sidecar_does_not_stop_the_others(dataset, add):
    dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    dataset("sub-01/micr/sub-01_sample-A_SEM.json", {})
    root = dataset("sub-02/micr/sub-02_sample-A_SEM.png")
    (root / "sub-01/micr/sub-01_sample-A_SEM.json").write_text("{broken")
    result = add(root)
    assert result["added"] == ["sub-02_sample-A_SEM"]
    assert "no readable JSON" in result["problems"][0]["problem"]


def test_one_image_or_one_subject_of_a_dataset_can_be_added(dataset, add, project):
    dataset("SEM.json", {"PixelSizeUnits": "um", "PixelSize": [0.1, 0.1]})
    dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    root = dataset("sub-02/micr/sub-02_sample-A_SEM.png")
    add(root / "sub-02")
    add(root / "sub-01" / "micr" / "sub-01_sample-A_SEM.png")
    assert [(r.subject, r.pixel_size_um) for r in project.images()] == [("02", 0.1), ("01", 0.1)]


def test_photos_and_masks_are_no_images(dataset):
    dataset("sub-01/micr/sub-01_sample-A_photo.png")
    dataset("derivatives/labels/sub-01/micr/sub-01_sample-A_SEM_seg-axon-manual.png")
    root = dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    assert [image.path.name for image in bids.images(root)] == ["sub-01_sample-A_SEM.png"]


def test_drawn_masks_win_over_others(dataset):
    dataset("derivatives/labels/sub-01/micr/sub-01_sample-A_SEM_seg-axon.png")
    dataset("derivatives/labels/sub-01/micr/sub-01_sample-A_SEM_seg-axon-manual.png")
    root = dataset("sub-01/micr/sub-01_sample-A_SEM.png")
    kind, path = bids.images(root)[0].masks[0]
    assert (kind, path.name) == ("axon", "sub-01_sample-A_SEM_seg-axon-manual.png")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("bids_set", "plain_set"),
    [
        ("bids-sem-rat", "myelin-sem-rat"),
        pytest.param("bids-tem-mouse", "myelin-tem-mouse", marks=pytest.mark.slow),
    ],
)
def test_published_datasets_give_the_same_pixels_and_labels_as_their_cleaned_copies(add, project, bids_set, plain_set):
    result = add(SHARED / bids_set)
    assert result["problems"] == []
    from_bids = project.images()
    assert all(record.pixel_size_um and record.has_masks for record in from_bids)
    cleaned = add(SHARED / plain_set)
    assert len(cleaned["added"]) == len(from_bids)
    by_name = {(record.subject, record.section): record for record in project.images()[len(from_bids) :]}
    for record in from_bids:
        twin = by_name[record.subject, record.section]
        window = tuple(slice(0, size) for size in record.shape)
        np.testing.assert_array_equal(project.pixels(record.id).read(ALL), project.pixels(twin.id).read(ALL))
        for mine, other in zip(
            project.labels(record.id).read(window), project.labels(twin.id).read(window), strict=True
        ):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")
def test_masks_of_classes_that_the_project_lacks_are_noted_and_used_once_it_has_them(add, project):
    one = SHARED / "bids-tem-mouse" / "sub-366A"
    assert "'uaxon'" in add(one)["notes"][0]
    with project.editing():
        project.set_classes((*MYELINATED_FIBRE, ClassSpec(name="uaxon", value=3, color="#ffffff", domains=("source",))))
    added = add(one, domain="source")
    assert added["notes"] == []
    classes, _ = project.labels(added["added"][0]).read((slice(0, 600), slice(0, 600)))
    assert set(np.unique(classes)) == {0, 1, 2, 3}
