import numpy as np
import pytest

from histobridge.core.errors import ProjectError
from histobridge.core.manifest import ClassSpec, Manifest
from histobridge.core.project import Project
from histobridge.core.scale import (
    labelled_diameter_um,
    object_diameters,
    read_labels,
    reference_class,
    typical_diameter,
)


def discs(radii, size=200, gap=4):
    """A mask of discs side by side, none at the border."""
    y, x = np.mgrid[:size, :size]
    mask = np.zeros((size, size), bool)
    top, left, tallest = gap, gap, 0
    for radius in radii:
        if left + 2 * radius + gap > size:
            top, left, tallest = top + tallest + gap, gap, 0
        mask |= np.hypot(y - top - radius, x - left - radius) <= radius
        left, tallest = left + 2 * radius + gap, max(tallest, 2 * radius)
    return mask


def test_diameters_of_known_discs():
    found = np.sort(object_diameters(discs([5, 8, 12, 15, 20, 25])))
    assert np.allclose(found, [10, 16, 24, 30, 40, 50], rtol=0.06)


def test_half_of_the_area_lies_in_objects_larger_than_the_typical_one():
    assert typical_diameter(discs([10] * 9)) == pytest.approx(20, rel=0.05)
    many_small_one_large = discs([4] * 20 + [30])
    assert typical_diameter(many_small_one_large) == pytest.approx(60, rel=0.05)


def test_specks_and_objects_cut_by_the_border_do_not_count():
    mask = discs([10] * 6)
    mask[:60, 150:] = True
    mask[190:193, 100:103] = True
    assert np.allclose(object_diameters(mask), 20, rtol=0.06)


def test_of_few_objects_even_those_at_the_border_count():
    mask = np.zeros((50, 50), bool)
    mask[:20, :20] = True
    assert typical_diameter(mask) == pytest.approx(2 * np.sqrt(400 / np.pi))


def test_objects_cut_by_what_is_not_known_count_no_more_than_those_at_the_border():
    mask = discs([10] * 12)
    known = np.ones(mask.shape, bool)
    known[:, 60:64] = False
    known[:, 128:] = False
    found = object_diameters(mask & known, known=known)
    assert len(found) == 7
    assert np.allclose(found, 20, rtol=0.06)
    assert object_diameters(mask & known).min() < 18


def test_no_objects_have_no_diameter():
    assert np.isnan(typical_diameter(np.zeros((30, 30), bool)))


AXON = ClassSpec(name="axon", value=1, color="#111111", inside="myelin")
MYELIN = ClassSpec(name="myelin", value=2, color="#222222")


def classes(*specs):
    return Manifest(name="m", classes=specs)


def test_the_inner_class_of_a_nested_pair_sets_the_scale():
    assert reference_class(classes(MYELIN, AXON), "source").name == "axon"


def test_without_a_pair_it_is_the_first_class_that_both_domains_have():
    vessel = ClassSpec(name="vessel", value=3, color="#333333", domains=("target",))
    nucleus = ClassSpec(name="nucleus", value=4, color="#444444", domains=("source",))
    assert reference_class(classes(vessel, nucleus, MYELIN), "source").name == "myelin"
    assert reference_class(classes(vessel, nucleus), "source").name == "nucleus"
    with pytest.raises(ProjectError, match="no class of the table occurs in the source"):
        reference_class(classes(vessel), "source")


@pytest.fixture
def project(tmp_path, add_arrays):
    project = Project.create(tmp_path / "project")
    grey = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    labels = {"small": discs([8] * 8), "large": discs([16] * 8)}
    masks = {name: mask.astype(np.uint8) for name, mask in labels.items()}
    add_arrays(project, "source", dict.fromkeys(masks, grey), 0.5, masks)
    return project


def test_diameter_in_micrometres_is_the_median_over_images(project):
    assert labelled_diameter_um(project, ["small"]) == pytest.approx(8, rel=0.05)
    assert labelled_diameter_um(project, ["small", "large"]) == pytest.approx(12, rel=0.05)
    with project.editing():
        project.update_image("large", pixel_size_um=0.25)
    assert labelled_diameter_um(project, ["large"]) == pytest.approx(8, rel=0.05)


def test_unlabelled_pixels_do_not_make_the_labelled_objects_small(project, add_arrays):
    labels = discs([8] * 40).astype(np.uint8)
    halves = np.arange(200) % 20 < 12
    labels[24:, halves] = 255  # half of each disc from the second row on
    add_arrays(project, "source", {"halved": np.zeros_like(labels)}, 0.5, {"halved": labels})
    assert labelled_diameter_um(project, ["halved"]) == pytest.approx(8, rel=0.05)


def test_an_image_whose_zoom_is_set_may_lack_a_pixel_size(project):
    with project.editing():
        project.update_image("large", pixel_size_um=None)
        with pytest.raises(ProjectError, match="no pixel size for large; enter it in µm"):
            labelled_diameter_um(project, ["small", "large"])
        project.update_image("large", zoom_override=2.0)
    assert labelled_diameter_um(project, ["small", "large"]) == pytest.approx(8, rel=0.05)
    with pytest.raises(ProjectError, match="none of the labelled images has a pixel size"):
        labelled_diameter_um(project, ["large"])


def test_masks_without_the_class_that_sets_the_scale_are_told(project):
    with project.editing():
        project.set_classes([AXON.model_copy(update={"value": 7}), MYELIN])
    with pytest.raises(ProjectError, match=r"has an object of class 'axon'.*check the class table"):
        labelled_diameter_um(project, ["small", "large"])


def test_only_accepted_and_corrected_pixels_are_labels(project):
    from histobridge.core.labels import LabelStore

    state = np.repeat(np.arange(4, dtype=np.uint8), 50)[:, None] * np.ones(200, np.uint8)
    with project.editing():
        folder = project.labels("small").folder
        store = LabelStore.create(folder, (200, 200), np.full((200, 200), 2, np.uint8), state)
        store.close()
    labels = read_labels(project, "small")
    assert [set(np.unique(labels[band * 50 : band * 50 + 50])) for band in range(4)] == [{255}, {2}, {2}, {255}]
