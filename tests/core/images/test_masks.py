"""Mask files become classes: label maps, 0/127/255 files, one binary file per class."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from histobridge.core.images.mask_tables import label_table, pair_table
from histobridge.core.images.masks import MaskFiles, read_masks
from histobridge.core.images.problem import FileError
from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec

ALL = (slice(None), slice(None))
AXON, MYELIN = MYELINATED_FIBRE
TRUTH = np.zeros((20, 30), np.uint8)
TRUTH[3:15, 4:18] = 2
TRUTH[6:12, 8:14] = 1
CELL = (ClassSpec(name="cell", value=3, color="#ffffff"),)


def read(files, classes=MYELINATED_FIBRE, mask_values=None, section=0):
    """Return the classes that the files say."""
    files = files if isinstance(files, MaskFiles) else MaskFiles(label_map=files)
    return read_masks(files, section, TRUTH.shape, classes, mask_values or {})[ALL]


def test_a_label_map_keeps_its_values(png):
    np.testing.assert_array_equal(read(png("a.png", TRUTH)), TRUTH)


def test_255_in_a_label_map_is_unlabelled(png):
    labels = TRUTH.copy()
    labels[:, 25:] = 255
    np.testing.assert_array_equal(read(png("a.png", labels)), labels)


@pytest.mark.parametrize("middle", [127, 128])
@pytest.mark.parametrize("scale", [1, 257])
def test_0_127_255_is_background_myelin_axon(png, middle, scale):
    levels = np.array([0, 255 * scale, middle * scale], np.uint16 if scale > 1 else np.uint8)
    np.testing.assert_array_equal(read(png("a.png", levels[TRUTH])), TRUTH)


def test_stray_values_go_to_the_nearest_level(png):
    levels = np.array([0, 255, 128], np.uint8)[TRUTH]
    levels[0, 0], levels[6, 8], levels[3, 4] = 63, 233, 130
    np.testing.assert_array_equal(read(png("a.png", levels)), TRUTH)


def test_0_127_255_of_unnested_classes_are_the_second_and_the_first(png):
    classes = tuple(ClassSpec(name=name, value=value, color="#ffffff") for name, value in (("a", 5), ("b", 9)))
    levels = np.array([0, 255, 127], np.uint8)[TRUTH]
    np.testing.assert_array_equal(read(png("a.png", levels), classes), np.array([0, 5, 9])[TRUTH])


def test_one_binary_file_per_class(png):
    files = MaskFiles(
        per_class=tuple((c.name, png(f"{c.name}.png", np.uint8(255) * (c.value == TRUTH))) for c in (MYELIN, AXON))
    )
    np.testing.assert_array_equal(read(files), TRUTH)


def test_where_binary_files_overlap_the_earlier_class_wins(png):
    axon, filled = png("axon.png", np.uint8(255) * (TRUTH == 1)), png("myelin.png", np.uint8(1) * (TRUTH > 0))
    np.testing.assert_array_equal(read(MaskFiles(per_class=(("myelin", filled), ("axon", axon)))), TRUTH)


def test_the_combined_file_counts_only_where_a_class_has_no_file(png):
    combined = png("both.png", np.array([0, 255, 127], np.uint8)[TRUTH])
    axon, myelin = png("axon.png", TRUTH[::-1] == 1), png("myelin.png", TRUTH[::-1] == 2)
    complete = MaskFiles(pair=combined, per_class=(("axon", axon), ("myelin", myelin)))
    np.testing.assert_array_equal(read(complete), TRUTH[::-1])
    np.testing.assert_array_equal(read(MaskFiles(pair=combined, per_class=(("axon", axon),))), TRUTH)


def test_black_and_white_is_the_only_class(png):
    np.testing.assert_array_equal(read(png("a.png", np.uint8(255) * (TRUTH > 0)), CELL), 3 * (TRUTH > 0))
    np.testing.assert_array_equal(read(png("b.png", TRUTH > 0), CELL), 3 * (TRUTH > 0))


def test_white_is_unlabelled_beside_label_maps_of_the_only_class(png):
    """An image that is labelled in part and shows no cell, or is not labelled at all, has 0 and 255 alone."""
    png("labelled.png", np.uint8(3) * (TRUTH > 0))
    white = np.uint8(255) * (TRUTH > 0)
    np.testing.assert_array_equal(read(png("in_part.png", white), CELL), white)
    np.testing.assert_array_equal(read(png("wholly.png", np.full_like(white, 255)), CELL), 255)


def test_images_beside_black_and_white_masks_say_nothing(png):
    """Grey images have every value; and a blurred mask is no label map."""
    white = np.uint8(255) * (TRUTH > 0)
    png("image.png", np.arange(TRUTH.size, dtype=np.uint8).reshape(TRUTH.shape))
    png("blurred.png", np.where(TRUTH > 0, 3, 128).astype(np.uint8))
    np.testing.assert_array_equal(read(png("mask.png", white), CELL), 3 * (TRUTH > 0))


def test_black_and_white_of_several_classes_asks_which(png):
    with pytest.raises(FileError, match=r"any of 1 axon, 2 myelin.*mask_values"):
        read(png("a.png", np.uint8(255) * (TRUTH > 0)))


def test_values_are_mapped_as_the_user_says(png):
    mask = png("a.png", np.array([7, 20, 30], np.uint8)[TRUTH])
    np.testing.assert_array_equal(read(mask, mask_values={7: 255, 20: 1, 30: 2}), np.array([255, 1, 2])[TRUTH])


def test_values_that_the_user_left_out_are_named(png):
    with pytest.raises(FileError, match=r"does not name: 7, 20.*add them"):
        read(png("a.png", np.array([7, 20, 30], np.uint8)[TRUTH]), mask_values={30: 2})


def test_mapping_to_what_is_no_class_is_refused(png):
    with pytest.raises(FileError, match=r"leads to 9.*add a class"):
        read(png("a.png", TRUTH), mask_values={1: 9, 2: 2})


def test_values_that_are_no_class_are_named_with_the_remedy(png):
    with pytest.raises(FileError, match=r"no class: 3, 4 \(classes: 1 axon, 2 myelin\).*mask_values.*add a class"):
        read(png("a.png", np.array([0, 3, 4], np.uint8)[TRUTH]))


def test_numbered_objects_are_no_classes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(600, dtype=np.uint16).reshape(20, 30))
    with pytest.raises(FileError, match=r"no class: 3, 4.* and 586 more"):
        read(tmp_path / "a.tif")


def test_a_stray_grey_does_not_turn_a_label_map_into_grey_levels(png):
    labels = TRUTH.copy()
    labels[0, 0] = 128
    with pytest.raises(FileError, match="no class: 128"):
        read(png("a.png", labels))


def test_unlabelled_beside_values_that_are_no_class_is_not_taken_for_grey_levels(png):
    labels = np.array([255, 3, 4], np.uint8)[TRUTH]
    labels[0] = 0
    with pytest.raises(FileError, match="no class: 3, 4"):
        read(png("a.png", labels))


def test_another_size_than_the_image_names_both(png):
    with pytest.raises(FileError, match="mask of 29 x 20 pixels does not fit the image of 30 x 20 pixels"):
        read(png("a.png", TRUTH[:, 1:]))


def test_a_mask_in_colours_is_refused(png):
    with pytest.raises(FileError, match="mask in colours"):
        read(png("a.png", np.dstack([TRUTH, TRUTH, TRUTH[::-1]])))


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_grey_with_alpha_or_in_rgb_is_a_mask(png, samples):
    channels = [TRUTH] if samples == 2 else [TRUTH] * 3
    alpha = [np.full_like(TRUTH, 255)] if samples != 3 else []
    np.testing.assert_array_equal(read(png("a.png", np.dstack(channels + alpha))), TRUTH)


def test_a_coloured_palette_gives_its_indices_and_a_grey_one_its_greys(tmp_path):
    for name, palette in (("red", [0, 0, 0, 255, 0, 0, 0, 255, 0]), ("grey", [0, 0, 0, 255, 255, 255, 127, 127, 127])):
        picture = Image.fromarray(TRUTH).convert("P")
        picture.putpalette(palette)
        picture.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read(tmp_path / f"{name}.png"), TRUTH)


def test_min_is_white_counts_for_black_and_white_but_not_for_numbers(tmp_path):
    tifffile.imwrite(tmp_path / "binary.tif", np.where(TRUTH == 1, 0, 255).astype(np.uint8), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "labels.tif", TRUTH, photometric="miniswhite")
    binary = MaskFiles(per_class=(("axon", tmp_path / "binary.tif"),))
    np.testing.assert_array_equal(read(binary), TRUTH == 1)
    np.testing.assert_array_equal(read(tmp_path / "labels.tif"), TRUTH)


def test_whole_numbers_stored_as_float_are_classes_and_others_are_not(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", TRUTH.astype(np.float32))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), TRUTH)
    for bad in (0.5, -1, np.nan):
        tifffile.imwrite(tmp_path / "b.tif", np.where(TRUTH, bad, 0).astype(np.float32))
        with pytest.raises(FileError, match="no whole numbers"):
            read(tmp_path / "b.tif")


def with_ones(png, count):
    """A file of an axon in white, 5000 pixels, and so many of value 1; and its values."""
    values = np.zeros((100, 100), np.uint8)
    values[:50] = 255
    values[60:].flat[:count] = 1
    return MaskFiles(per_class=(("axon", png(f"{count}.png", values)),)), values


@pytest.mark.parametrize(("count", "one", "white"), [(20, 0, 1), (4000, 1, 255)])
def test_a_few_stray_ones_do_not_make_the_white_of_a_binary_mask_unlabelled(png, count, one, white):
    files, values = with_ones(png, count)
    expected = np.select([values == 1, values == 255], [one, white])
    np.testing.assert_array_equal(read_masks(files, 0, values.shape, (AXON,), {})[ALL], expected)


def test_a_binary_mask_of_some_ones_and_much_white_is_refused(png):
    files, values = with_ones(png, 300)
    with pytest.raises(FileError, match="1 in 300 and 255 in 5000 pixels, and either may be the class"):
        read_masks(files, 0, values.shape, (AXON,), {})


def test_a_file_of_greys_is_no_binary_mask(png):
    ramp = np.arange(600).reshape(20, 30).astype(np.uint8)
    with pytest.raises(FileError, match="one class as 0 and 255"):
        read(MaskFiles(per_class=(("axon", png("a.png", ramp)),)))


@pytest.mark.parametrize(("numbers", "kind"), [(8, np.uint8), (200, np.uint8), (300, np.uint16)])
def test_numbered_objects_are_no_binary_mask(tmp_path, numbers, kind):
    tifffile.imwrite(tmp_path / "a.tif", (np.arange(600).reshape(20, 30) % (numbers + 1)).astype(kind))
    with pytest.raises(FileError, match=r"one class as 0 and 255.*numbered objects"):
        read(MaskFiles(per_class=(("axon", tmp_path / "a.tif"),)))


@pytest.mark.parametrize("scale", [1, 257])
def test_255_beside_1_in_a_file_of_one_class_is_unlabelled(tmp_path, scale):
    labels = np.uint8(TRUTH == 1)
    labels[0] = 255
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.uint16) * scale if scale > 1 else labels)
    np.testing.assert_array_equal(read(MaskFiles(per_class=(("axon", tmp_path / "a.tif"),))), labels)


def test_a_file_full_of_one_class_is_that_class(png):
    np.testing.assert_array_equal(read(MaskFiles(per_class=(("myelin", png("a.png", np.ones_like(TRUTH))),))), 2)


def test_sections_of_a_mask_stack_go_with_those_of_the_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([TRUTH[::-1], TRUTH]), photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", section=1), TRUTH)
    with pytest.raises(FileError, match="as many sections"):
        read(tmp_path / "a.tif", section=2)


@given(st.dictionaries(st.integers(0, 255), st.integers(1, 10**6), min_size=1))
def test_a_table_names_every_value_or_is_refused(counts):
    for tell in (
        lambda: label_table("mask", counts, MYELINATED_FIBRE, {}),
        lambda: pair_table("mask", counts, MYELINATED_FIBRE),
    ):
        try:
            table = tell()
        except FileError:
            continue
        assert set(table) == set(counts)
        assert set(table.values()) <= {0, 1, 2, 255}


def test_a_mask_file_is_opened_once_for_all_its_sections(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([TRUTH[::-1], TRUTH]), photometric="minisblack")
    opened = {}
    read_masks(MaskFiles(tmp_path / "a.tif"), 0, TRUTH.shape, MYELINATED_FIBRE, {}, opened)
    (tmp_path / "a.tif").unlink()
    again = read_masks(MaskFiles(tmp_path / "a.tif"), 1, TRUTH.shape, MYELINATED_FIBRE, {}, opened)
    np.testing.assert_array_equal(again[ALL], TRUTH)
