"""Pyramids: what is written reads back, window by window, and is valid OME-Zarr."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.images.problem import FileError
from histobridge.core.images.pyramid import Pyramid, halve, write_pyramid

ALL = (slice(None), slice(None))


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 60000, (1031, 700)).astype(np.uint16)


@pytest.fixture(scope="module")
def pyramid(noise, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pyramid") / "image"
    write_pyramid(folder, noise, 0.125)
    return Pyramid.open(folder)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), level=st.integers(0, 2))
def test_any_window_is_that_part_of_the_whole(pyramid, data, level):
    whole = pyramid.read(ALL, level)
    sides = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in whole.shape]
    window = tuple(slice(*side) for side in sides)
    np.testing.assert_array_equal(pyramid.read(window, level), whole[window])


def test_pixels_and_their_size_survive(pyramid, noise):
    np.testing.assert_array_equal(pyramid.read(ALL), noise)
    assert (pyramid.shape, pyramid.dtype, pyramid.pixel_size_um) == (noise.shape, np.uint16, 0.125)


def test_windows_beyond_the_image_are_cut_off(pyramid, noise):
    np.testing.assert_array_equal(pyramid.read((slice(-9, 3), slice(698, 800))), noise[:3, 698:])


def test_levels_halve_until_the_smaller_side_is_under_256(pyramid):
    assert [level.shape for level in pyramid.levels] == [(1031, 700), (516, 350), (258, 175)]
    assert pyramid.factors == (1.0, 2.0, 4.0)


def test_a_coarser_level_is_the_area_mean_of_a_finer(pyramid, noise):
    means = noise[:1030].reshape(515, 2, 350, 2).mean(axis=(1, 3))
    assert np.abs(pyramid.read(ALL, 1)[:515] - means).max() <= 0.5


@pytest.mark.parametrize("block_px", [512, 2048])
def test_blocks_join_without_a_seam(tmp_path, monkeypatch, noise, block_px):
    monkeypatch.setattr("histobridge.core.images.pyramid.blocks.__defaults__", (block_px,))
    write_pyramid(tmp_path / "image", noise, None)
    np.testing.assert_array_equal(Pyramid.open(tmp_path / "image").read(ALL, 1), halve(noise))


def test_labels_halve_by_the_most_frequent_value():
    labels = np.array([[1, 1, 0, 3], [2, 1, 2, 2]], np.uint8)
    np.testing.assert_array_equal(halve(labels, labels=True), [[1, 2]])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_halving_labels_invents_no_value(height, width, seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    halved = halve(labels, labels=True)
    assert halved.shape == (-(-height // 2), -(-width // 2))
    assert set(halved.ravel()) <= set(labels.ravel())


@pytest.mark.parametrize("labels", [False, True])
def test_what_is_written_is_valid_for_both_validators(tmp_path, labels):
    from ome_zarr_models.v05.image import Image
    from ome_zarr_models.v05.image_label import ImageLabel

    write_pyramid(tmp_path / "made", np.ones((300, 260), np.uint8), 0.1, labels=labels)
    yaozarrs.validate_zarr_store(str(tmp_path / "made"))
    (ImageLabel if labels else Image).from_zarr(zarr.open_group(tmp_path / "made", mode="r"))


def test_an_unknown_pixel_size_stays_unknown(tmp_path):
    write_pyramid(tmp_path / "image", np.ones((4, 5), np.uint8), None)
    assert Pyramid.open(tmp_path / "image").pixel_size_um is None


def test_what_is_there_is_not_overwritten(tmp_path):
    write_pyramid(tmp_path / "image", np.ones((4, 5), np.uint8), None)
    with pytest.raises(zarr.errors.ContainsGroupError):
        write_pyramid(tmp_path / "image", np.zeros((4, 5), np.uint8), None)


def test_a_thumbnail_fits_and_uses_the_whole_range(pyramid):
    thumbnail = pyramid.thumbnail(100)
    assert max(thumbnail.shape) <= 100
    assert thumbnail.dtype == np.uint8
    assert (thumbnail.min(), thumbnail.max()) == (0, 255)


@pytest.mark.parametrize(("sizes", "expected"), [([2.0, 2.0], 2e-3), ([2.0, 2.01], 2.005e-3), ([2.0, 2.1], None)])
def test_pixel_size_is_only_stated_for_square_pixels(tmp_path, sizes, expected):
    _write_group(tmp_path / "image", np.ones((1, 1, 4, 5), np.uint8), "czyx", [1, 1, *sizes], "nanometer", "0.4")
    assert Pyramid.open(tmp_path / "image").pixel_size_um == pytest.approx(expected)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_singleton_axes_are_dropped(tmp_path, version):
    pixels = np.arange(20, dtype=np.uint8).reshape(1, 1, 1, 4, 5)
    _write_group(tmp_path / "image", pixels, "tczyx", [1, 1, 1, 0.5, 0.5], "micrometer", version)
    pyramid = Pyramid.open(tmp_path / "image")
    assert (pyramid.shape, pyramid.pixel_size_um) == ((4, 5), 0.5)
    np.testing.assert_array_equal(pyramid.levels[0][1:3, 2], pixels[0, 0, 0, 1:3, 2])


def test_a_folder_of_bioformats2raw_opens_its_first_image(tmp_path):
    zarr.create_group(tmp_path / "raw", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    _write_group(tmp_path / "raw" / "0", np.ones((4, 5), np.uint8), "yx", [1, 1], "micrometer", "0.4")
    assert Pyramid.open(tmp_path / "raw").shape == (4, 5)


def test_several_planes_are_refused_unless_one_is_chosen(tmp_path):
    pixels = np.arange(40, dtype=np.uint8).reshape(2, 4, 5)
    _write_group(tmp_path / "image", pixels, "zyx", [1, 1, 1], "micrometer", "0.5")
    with pytest.raises(FileError, match="by sections"):
        Pyramid.open(tmp_path / "image")
    np.testing.assert_array_equal(Pyramid.open(tmp_path / "image", leading=(1,)).read(ALL), pixels[1])


def test_what_is_no_image_says_what_it_is(tmp_path):
    zarr.create_group(tmp_path / "plain")
    with pytest.raises(FileError, match="without `multiscales`"):
        Pyramid.open(tmp_path / "plain")
    with pytest.raises(FileError, match="no readable OME-Zarr"):
        Pyramid.open(tmp_path / "missing")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_other_writers_make_opens(tmp_path, version):
    pixels = np.random.default_rng(0).integers(0, 255, (70, 64)).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ome_zarr.format import FormatV04, FormatV05
        from ome_zarr.writer import write_image

        made = {"0.4": FormatV04, "0.5": FormatV05}[version]()
        group = zarr.open_group(tmp_path / "image", mode="w", zarr_format=made.zarr_format)
        units = dict.fromkeys("yx", "micrometer")
        scale = dict.fromkeys("yx", 0.2)
        write_image(pixels, group, (2,), fmt=made, axes="yx", scale=scale, axes_units=units)
    pyramid = Pyramid.open(tmp_path / "image")
    np.testing.assert_array_equal(pyramid.read(ALL), pixels)
    assert pyramid.pixel_size_um == pytest.approx(0.2)
    assert pyramid.factors == (1.0, 2.0)


def test_what_yaozarrs_writes_opens(tmp_path):
    from yaozarrs import DimSpec, v05
    from yaozarrs.write.v05 import write_image

    pixels = np.random.default_rng(0).integers(0, 255, (70, 64)).astype(np.uint8)
    axes = [
        DimSpec(name=name, size=size, scale=0.2, unit="micrometer") for name, size in zip("yx", (70, 64), strict=True)
    ]
    write_image(tmp_path / "image", v05.Image(multiscales=[v05.Multiscale.from_dims(axes)]), pixels)
    pyramid = Pyramid.open(tmp_path / "image")
    np.testing.assert_array_equal(pyramid.read(ALL), pixels)
    assert pyramid.pixel_size_um == pytest.approx(0.2)


def test_importing_costs_no_heavy_package():
    code = (
        "import sys, histobridge.core.images.pyramid;"
        "print([name for name in ('zarr', 'dask', 'torch', 'scipy', 'skimage') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def _write_group(folder, pixels, axes, scale, unit, version):
    """Write a single-level OME-Zarr of any axes with plain zarr."""
    group = zarr.create_group(folder, zarr_format=2 if version == "0.4" else 3)
    group.create_array("0", data=pixels)
    kinds = {"t": "time", "c": "channel"}
    described = [{"name": axis, "type": kinds.get(axis, "space"), "unit": unit} for axis in axes]
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    entry = {"version": version, "axes": described, "datasets": [dataset]}
    if version == "0.4":
        group.attrs["multiscales"] = [entry]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [entry]}


def test_a_large_image_without_coarser_copies_is_shown_from_a_part_of_its_pixels(noise, monkeypatch):
    monkeypatch.setattr("histobridge.core.images.pyramid.LARGEST_WHOLE", 10_000)
    monkeypatch.setattr("histobridge.core.images.pyramid.BLOCK", 100)
    image = Pyramid([noise], [1.0])
    step = 9  # Of 1031 x 700 pixels at most 10,000.
    np.testing.assert_array_equal(image.sampled(0), noise[::step, ::step])
    assert max(image.thumbnail(40).shape) <= 40
