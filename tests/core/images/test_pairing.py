"""Masks find their images by name, and say where that leaves open whose they are."""

import numpy as np

from histobridge.core.config import AddImagesConfig
from histobridge.core.images.find import find_images
from histobridge.core.manifest import MYELINATED_FIBRE
from histobridge.core.perform import perform

ALL = (slice(None), slice(None))
WHOLE = (slice(0, 40), slice(0, 50))
MASK = np.zeros((40, 50), np.uint8)
MASK[3:15, 4:18] = 2
MASK[6:12, 8:14] = 1


def found(*paths, masks=()):
    return find_images(AddImagesConfig(paths=paths, masks=masks), MYELINATED_FIBRE)


def test_masks_that_fit_images_of_two_folders_are_a_problem_and_go_to_neither(png, ramp, tmp_path):
    for group in ("ctrl", "treated"):
        png(f"{group}_img/field1.png", ramp)
        png(f"{group}_masks/field1.png", MASK)
    result = found(*(tmp_path / f"{group}_img" for group in ("ctrl", "treated")), masks=(tmp_path / "treated_masks",))
    assert [candidate.masks for candidate in result.candidates] == [None, None]
    (problem,) = result.problems
    assert "fits several images called field1" in str(problem)
    assert "ctrl_img" in str(problem)


def test_a_second_mask_of_an_image_is_a_problem(png, ramp, tmp_path):
    image = png("field1.png", ramp)
    masks = [png(f"{group}_masks/field1.png", MASK) for group in ("ctrl", "treated")]
    result = found(image, masks=(tmp_path / "ctrl_masks", tmp_path / "treated_masks"))
    assert result.candidates[0].masks.label_map == masks[0]
    assert [problem.file for problem in result.problems] == [str(masks[1])]


def test_masks_beside_images_of_equal_names_stay_in_their_folders(png, ramp, tmp_path):
    for rat in ("rat1", "rat2"):
        png(f"images/{rat}/f.png", ramp)
        png(f"masks/{rat}/f.png", MASK)
    taken = [candidate.masks.label_map.parent.name for candidate in found(tmp_path).candidates]
    assert taken == ["rat1", "rat2"]


def test_a_folder_of_masks_in_the_folder_of_the_images_is_theirs(png, ramp, tmp_path):
    png("a.png", ramp)
    mask = png("masks/a.png", MASK)
    (candidate,) = found(tmp_path).candidates
    assert candidate.masks.label_map == mask


def test_what_an_export_wrote_beside_an_image_is_its_mask_and_no_image(png, ramp, tmp_path):
    png("a.png", ramp)
    classes = png("a_classes.png", MASK)
    png("a_state.png", np.uint8(MASK > 0))
    png("a_confidence.png", ramp)
    for result in (found(tmp_path), found(tmp_path / "a.png", masks=(tmp_path,))):
        (candidate,) = result.candidates
        assert candidate.masks.label_map == classes
    assert [problem.file for problem in found(tmp_path).problems] == []


def test_a_mask_of_a_class_that_the_project_lacks_is_no_image(png, ramp, tmp_path):
    png("a.png", ramp)
    png("a_axon.png", np.uint8(255) * (MASK == 1))
    nucleus = png("a_nucleus.png", np.uint8(255) * (MASK == 2))
    png("a_2.png", ramp)
    result = found(tmp_path)
    assert [candidate.path.name for candidate in result.candidates] == ["a.png", "a_2.png"]
    assert result.unused == [(nucleus, "nucleus")]


def test_source_images_without_masks_are_told(add, png, ramp):
    png("masks/a.png", MASK)
    add_notes = add(png("images/a.png", ramp), png("images/b.png", ramp), domain="source")["notes"]
    assert add_notes == ["1 of 2 source image file(s) without a mask: nothing is learned from them"]
    assert add(png("c.png", ramp), domain="target")["notes"] == []


def test_a_dataset_given_with_one_of_its_images_gives_it_once(png, ramp, tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    image = png("sub-01/micr/sub-01_sample-A_SEM.png", ramp)
    assert [candidate.path for candidate in found(tmp_path, image, image.parent).candidates] == [image]


def test_an_image_that_came_without_masks_gets_them_later(add, project, png, ramp):
    image = png("a.png", ramp)
    assert add(image, domain="source")["added"] == ["a"]
    project.refresh()
    assert not project.image("a").has_masks
    mask = png("given/a.png", MASK)
    assert add(image, domain="source", masks=(mask,))["added"] == ["a"]
    assert [record.id for record in project.images()] == ["a"]
    assert project.image("a").has_masks
    np.testing.assert_array_equal(project.labels("a").read(WHOLE)[0], MASK)
    np.testing.assert_array_equal(project.pixels("a").read(ALL), ramp)
    (problem,) = add(image, domain="source", masks=(mask,))["problems"]
    assert "already in the project" in problem["problem"], "labels that are there stay as they are"


def test_masks_that_come_late_never_replace_what_was_painted_meanwhile(project, png, ramp):
    from histobridge.core.labels import LabelStore
    from histobridge.core.manifest import label_folder

    image = png("a.png", ramp)
    runs = []
    for masks in ((), (png("given/a.png", MASK),)):
        runs.append(run := project.create_run("add", AddImagesConfig(paths=(image,), masks=masks, domain="source")))
        perform(run)
        if not masks:
            with project.editing():
                project.adopt(run)
    LabelStore.create(label_folder(project.path, project.image("a")), ramp.shape, classes=MASK[::-1].copy())
    with project.editing():
        assert project.adopt(runs[1]) == []
        assert project.adopt(runs[1]) == []
    np.testing.assert_array_equal(project.labels("a").read(WHOLE)[0], MASK[::-1])
