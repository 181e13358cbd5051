"""TIFF: planes, stacks, what their values mean, and the size of a pixel."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from histobridge.core.images.open import open_image
from histobridge.core.images.problem import FileError

ALL = (slice(None), slice(None))
STACK = np.random.default_rng(1).integers(0, 255, (3, 40, 50)).astype(np.uint8)


def read(path, section=0):
    """Return one section as the project would store it."""
    return np.asarray(open_image(path).checked(section)[ALL])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"photometric": "minisblack"}])
def test_pixels_survive(tmp_path, ramp, dtype, options):
    tifffile.imwrite(tmp_path / "a.tif", ramp.astype(dtype), **options)
    taken = read(tmp_path / "a.tif")
    assert taken.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(taken, ramp)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_is_inverted(tmp_path, ramp, dtype):
    tifffile.imwrite(tmp_path / "a.tif", ramp.astype(dtype), photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), np.iinfo(dtype).max - ramp.astype(dtype))


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg"])
def test_compression_that_tifffile_leaves_to_others_is_read(tmp_path, compression):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read(tmp_path / "a.tif").astype(int) - smooth).max() <= (0 if compression == "tiff_lzw" else 4)


def test_lzw_of_16_bit_and_in_colour_is_read(tmp_path, ramp):
    Image.fromarray(ramp.astype(np.uint16) * 200).save(tmp_path / "wide.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read(tmp_path / "wide.tif"), ramp.astype(np.uint16) * 200)
    Image.fromarray(np.dstack([ramp] * 3)).save(tmp_path / "colour.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read(tmp_path / "colour.tif"), ramp)


def test_min_is_white_in_lzw_is_inverted_once(tmp_path, ramp):
    Image.fromarray(ramp).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={262: 0})
    shown = np.asarray(Image.open(tmp_path / "a.tif"))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), shown)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_samples_become_grey(tmp_path, ramp, planar, samples):
    grey = [ramp] * min(samples, 3) if samples != 2 else [ramp]
    alpha = [np.full_like(ramp, 9)] if samples in (2, 4) else []
    pixels = np.stack([*grey, *alpha], axis=-1 if planar == "contig" else 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="minisblack" if samples == 2 else "rgb",
        planarconfig=planar,
        extrasamples=["unassalpha"] if alpha else None,
    )
    opened = open_image(tmp_path / "a.tif")
    assert not opened.stack
    np.testing.assert_array_equal(opened.checked(0)[ALL], ramp)


def test_a_palette_shows_its_colours(tmp_path, ramp):
    grey = np.linspace(65535, 0, 256).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="palette", colormap=np.stack([grey] * 3))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), (grey >> 8)[ramp])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pages.tif", {"metadata": None}),
        ("shaped.tif", {}),
        ("imagej.tif", {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("z.ome.tif", {"metadata": {"axes": "ZYX"}}),
    ],
)
def test_stacks_of_all_kinds_have_their_sections(tmp_path, name, options):
    tifffile.imwrite(tmp_path / name, STACK, photometric="minisblack", **options)
    opened = open_image(tmp_path / name)
    assert (opened.stack, len(opened.sections)) == (True, 3)
    np.testing.assert_array_equal(opened.checked(2)[ALL], STACK[2])


@pytest.mark.parametrize("axes", ["TYX", "CYX"])
def test_time_and_channels_are_refused(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, photometric="minisblack", metadata={"axes": axes})
    with pytest.raises(FileError, match=r"not one plane or one stack.*file of its own"):
        open_image(tmp_path / "a.ome.tif")


def test_singleton_axes_are_dropped(tmp_path, ramp):
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp[None, None, None], metadata={"axes": "TCZYX"})
    opened = open_image(tmp_path / "a.ome.tif")
    assert not opened.stack
    np.testing.assert_array_equal(opened.checked(0)[ALL], ramp)


def test_a_thumbnail_behind_the_image_is_skipped(tmp_path, ramp):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(ramp)
        writer.write(ramp[:10, :12])
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), ramp)


def test_several_images_in_one_file_are_refused(tmp_path, ramp):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(ramp)
        writer.write(ramp[:30])
    with pytest.raises(FileError, match="2 different images"):
        open_image(tmp_path / "a.tif")


def test_large_files_are_mapped_and_read_the_same(tmp_path, ramp, monkeypatch):
    monkeypatch.setattr("histobridge.core.images.tiff.IN_MEMORY", 10)
    for name, options in {"raw.tif": {}, "packed.tif": {"compression": "zlib", "tile": (16, 16)}}.items():
        tifffile.imwrite(tmp_path / name, ramp, **options)
        np.testing.assert_array_equal(read(tmp_path / name), ramp)


def size_of(path):
    """Return the pixel size a file states, and where."""
    opened = open_image(path)
    return opened.pixel_size_um, opened.pixel_size_from


@pytest.mark.parametrize(
    ("value", "unit", "expected"), [(0.18, "µm", 0.18), (4.93, "nm", 0.00493), (49.3, "Å", 0.00493)]
)
def test_pixel_size_from_ome(tmp_path, ramp, value, unit, expected):
    stated = {"PhysicalSizeX": value, "PhysicalSizeXUnit": unit, "PhysicalSizeY": value, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp, metadata={"axes": "YX", **stated})
    assert size_of(tmp_path / "a.ome.tif") == (pytest.approx(expected), "OME metadata")


def test_pixel_size_in_pixels_is_none(tmp_path, ramp):
    stated = {"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 1, "PhysicalSizeYUnit": "pixel"}
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp, metadata={"axes": "YX", **stated})
    assert size_of(tmp_path / "a.ome.tif") == (None, "")


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [(10, "um", 0.1), (10, "micron", 0.1), (10, "\\u00B5m", 0.1), (0.2, "nm", 0.005), (10, "pixel", None)],
)
def test_pixel_size_from_imagej(tmp_path, ramp, per_unit, unit, expected):
    tifffile.imwrite(tmp_path / "a.tif", ramp, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert size_of(tmp_path / "a.tif") == (expected and pytest.approx(expected), "ImageJ metadata" if expected else "")


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [
        (1e5, "centimeter", 0.1),
        (254000, "inch", 0.1),
        (1e5, "none", None),
        (72, "inch", None),
        (96, "inch", None),
        (300, "inch", None),
        (1200, "inch", None),
        (118.11, "centimeter", None),
    ],
)
def test_pixel_size_from_resolution_tags_unless_it_speaks_of_paper(tmp_path, ramp, per_unit, unit, expected):
    tifffile.imwrite(tmp_path / "a.tif", ramp, resolution=(per_unit, per_unit), resolutionunit=unit, metadata=None)
    stated = "TIFF resolution" if expected else ""
    assert size_of(tmp_path / "a.tif") == (expected and pytest.approx(expected), stated)


def test_pixels_that_are_not_square_are_refused(tmp_path, ramp):
    tifffile.imwrite(tmp_path / "a.tif", ramp, resolution=(1e5, 1.02e5), resolutionunit="centimeter", metadata=None)
    with pytest.raises(FileError, match=r"not square.*resample"):
        open_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", ramp, resolution=(1e5, 1.005e5), resolutionunit="centimeter", metadata=None)
    assert open_image(tmp_path / "b.tif").pixel_size_um == pytest.approx(0.09975, abs=1e-4)


def test_lzw_has_no_largest_size(tmp_path, ramp, monkeypatch):
    Image.fromarray(ramp).save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), ramp)
