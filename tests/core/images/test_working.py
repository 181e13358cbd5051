import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.errors import ProjectError
from histobridge.core.images import working
from histobridge.core.images.pyramid import Pyramid, write_pyramid
from histobridge.core.images.working import WorkingImage, resample_labels, resampling_matrix, zoom_of
from histobridge.core.manifest import IGNORE, ImageRecord


def flat(pixels):
    """An image without a pyramid, in memory."""
    return Pyramid([pixels], [1.0])


def halved(pixels):
    """An image with levels halved by area mean, in memory."""
    mean = pixels.astype(np.float32).reshape(pixels.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    return Pyramid([pixels, mean.astype(pixels.dtype)], [1.0, 2.0])


def texture(height=90, width=70):
    return np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)


@given(
    zoom=st.floats(0.07, 3.5),
    corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    levels=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_window_equals_the_same_part_of_the_whole(zoom, corner, side, levels):
    image = WorkingImage((halved if levels else flat)(texture()), zoom)
    start = [int(share * size) for share, size in zip(corner, image.shape, strict=True)]
    window = tuple(
        slice(low, min(low + length, size)) for low, length, size in zip(start, side, image.shape, strict=True)
    )
    assert np.allclose(
        image.read_raw(window), image.read_raw(tuple(map(slice, (0, 0), image.shape)))[window], atol=1e-3
    )
    assert np.allclose(image.read(window), image.whole()[window], atol=1e-4)


@given(zoom=st.floats(0.05, 4), size=st.integers(1, 200), start=st.integers(-30, 30), length=st.integers(1, 60))
def test_weights_of_any_range_sum_to_one_within_the_axis(zoom, size, start, length):
    matrix, needed = resampling_matrix(slice(start, start + length), zoom, size)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert 0 <= needed.start < needed.stop <= size
    assert matrix.shape == (length, needed.stop - needed.start)


@pytest.mark.parametrize("zoom", [0.13, 0.5, 1.0, 2.7])
def test_a_constant_image_stays_constant(zoom):
    image = WorkingImage(flat(np.full((60, 50), 77, np.uint16)), zoom)
    window = (slice(0, image.shape[0]), slice(0, image.shape[1]))
    assert np.allclose(image.read_raw(window), 77)
    assert np.ptp(image.whole()) < 1e-3


@pytest.mark.parametrize("build", [flat, halved])
def test_shrinking_averages_fine_stripes_instead_of_picking_some(build):
    stripes = np.tile(np.array([0, 200], np.uint8), (96, 48))
    image = WorkingImage(build(stripes), 0.3)
    inner = image.read_raw((slice(2, -2 + image.shape[0]), slice(2, image.shape[1] - 2)))
    assert np.abs(inner - 100).max() < 12


@pytest.mark.parametrize("zoom", [0.21, 0.5, 0.77, 1.0, 1.9, 3.3])
@pytest.mark.parametrize("build", [flat, halved])
def test_an_edge_stays_where_it_is(zoom, build):
    edge = 61
    pixels = np.zeros((100, 120), np.uint8)
    pixels[:, edge:] = 200
    image = WorkingImage(build(pixels), zoom)
    row = image.read_raw((slice(1, 2), slice(0, image.shape[1])))[0]
    after = int(np.argmax(row >= 100))
    before, behind = row[after - 1], row[after]
    position = (after - 0.5 + (100 - before) / (behind - before)) / zoom
    assert abs(position - edge) < 0.5


def test_outside_the_image_its_border_is_repeated():
    image = WorkingImage(flat(texture()), 1.0)
    around = image.read_raw((slice(-3, 93), slice(-3, 73)))
    assert np.array_equal(around, np.pad(texture(), 3, mode="edge"))


def test_grey_values_run_from_minus_one_to_one_whatever_the_window():
    image = WorkingImage(flat(np.linspace(1000, 3000, 10_000).astype(np.uint16).reshape(100, 100)), 1.0)
    assert image.limits == pytest.approx((1010, 2990), abs=2)
    assert (image.whole().min(), image.whole().max()) == (-1, 1)
    assert image.read((slice(0, 10), slice(0, 100))).max() < -0.7
    assert image.look.shape == (257,)
    assert np.allclose(image.look, np.linspace(-1, 1, 257), atol=0.03)


def test_a_large_image_is_measured_on_a_spread_of_blocks(monkeypatch):
    monkeypatch.setattr(working, "_SAMPLE_PIXELS", 40_000)
    monkeypatch.setattr(working, "_SAMPLE_SIDE", 32)
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))
    image = WorkingImage(flat(ramp), 1.0)
    assert image.limits[0] < 5
    assert image.limits[1] > 250


def test_an_image_without_a_pyramid_is_read_in_strips(monkeypatch):
    class Counting:
        shape, dtype = (600, 500), np.dtype(np.uint8)
        largest = 0

        def __getitem__(self, window):
            part = np.random.default_rng(1).integers(0, 255, self.shape, dtype=np.uint8)[window]
            self.largest = max(self.largest, part.size)
            return part

    whole = WorkingImage(flat(Counting()), 0.1).whole()
    level = Counting()
    monkeypatch.setattr(working, "READ_PIXELS", 40_000)
    assert np.array_equal(WorkingImage(flat(level), 0.1).whole(), whole)
    assert 0 < level.largest <= 40_000


def test_windows_of_a_written_pyramid_come_from_the_level_that_fits(tmp_path):
    y, x = np.mgrid[:700, :600]
    pixels = (100 + 50 * np.sin(x / 60) + 40 * np.cos(y / 45)).astype(np.uint8)
    write_pyramid(tmp_path / "image", pixels, 0.1)
    with_levels = WorkingImage(Pyramid.open(tmp_path / "image"), 0.2).read_raw((slice(0, 140), slice(0, 120)))
    without = WorkingImage(flat(pixels), 0.2).read_raw((slice(0, 140), slice(0, 120)))
    assert np.abs(with_levels - without).max() < 2.5


def test_the_middle_of_an_image():
    image = WorkingImage(flat(texture(90, 70)), 1.0)
    assert image.centre(20) == (slice(35, 55), slice(25, 45))
    assert image.centre(80) == (slice(5, 85), slice(0, 70))


def test_labels_take_the_class_that_covers_most():
    labels = np.zeros((40, 40), np.uint8)
    labels[:, 20:] = 2
    labels[10:20] = 254
    shrunk = resample_labels(labels, 0.1)
    assert shrunk.shape == (4, 4)
    assert shrunk[0].tolist() == [0, 0, 2, 2]
    assert set(shrunk[1]) == {254}
    assert np.array_equal(resample_labels(labels, 1.0), labels)


def test_shrinking_labels_makes_up_no_class():
    labels = np.random.default_rng(0).choice(np.array([0, 3, 9, IGNORE], np.uint8), (64, 64))
    assert set(np.unique(resample_labels(labels, 0.37))) <= {0, 3, 9, IGNORE}


def test_unlabelled_pixels_count_like_a_class():
    labels = np.full((30, 30), IGNORE, np.uint8)
    labels[:12] = 1
    shrunk = resample_labels(labels, 0.1)
    assert shrunk[:, 0].tolist() == [1, IGNORE, IGNORE]


@pytest.mark.parametrize("zoom", [0.267, 0.4361, 1.717])
def test_labels_lie_on_the_image_up_to_its_far_border(zoom):
    """The size of the working image is rounded; pixels must not be stretched to make up for it."""
    pixels = np.zeros((101, 207), np.uint8)
    pixels[:, 150:] = 200
    image = WorkingImage(flat(pixels), zoom)
    grey = image.read_raw((slice(0, image.shape[0]), slice(0, image.shape[1])))
    labels = resample_labels((pixels > 0).astype(np.uint8), zoom)
    assert labels.shape == image.shape
    clear = np.abs(grey - 100) > 2
    assert np.array_equal((labels == 1)[clear], (grey > 100)[clear])


def record(**values):
    return ImageRecord(id="a", domain="target", subject="s", shape=(9, 9), dtype="uint8", **values)


def test_zoom_follows_the_pixel_size_unless_the_user_sets_it():
    assert zoom_of(record(pixel_size_um=0.1), 0.4) == 0.25
    assert zoom_of(record(pixel_size_um=0.1, zoom_override=0.7), 0.4) == 0.7
    assert zoom_of(record(zoom_override=0.7), 0.4) == 0.7


def test_an_image_without_pixel_size_is_refused_with_the_remedy():
    with pytest.raises(ProjectError, match="image a has no pixel size; enter it in µm"):
        zoom_of(record(), 0.4)


@pytest.mark.parametrize("zoom", [0.13, 0.5, 1.0, 1.7])
def test_labels_resampled_band_by_band_are_those_resampled_at_once(monkeypatch, zoom):
    labels = np.random.default_rng(3).integers(0, 3, (61, 47)).astype(np.uint8)
    whole = resample_labels(labels, zoom)
    monkeypatch.setattr("histobridge.core.images.working.BAND_PX", 200)
    np.testing.assert_array_equal(resample_labels(labels, zoom), whole)
