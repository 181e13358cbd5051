import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histobridge.core.segment.networks import build_network
from histobridge.core.segment.predict import TiledPrediction

WHOLE = (slice(None), slice(None))


def noise(shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def contrast(images):
    """Two made-up classes that depend on the place in the tile, so that any seam shows."""
    wave = torch.linspace(0, 1, images.shape[-1])[None] * torch.linspace(0.5, 1, images.shape[-2])[:, None]
    share = (images + 1) / 4 + wave / 4
    return torch.cat([share, 1 - share], dim=1)


def identity(images):
    return torch.cat([images, images], dim=1)


def reader(image):
    def read(window):
        for part, size in zip(window, image.shape, strict=True):
            assert 0 <= part.start < part.stop <= size
        return image[window]

    return read


def predictor(image, probabilities=contrast, tile=32, overlap=8):
    return TiledPrediction(probabilities, reader(image), image.shape, tile, overlap)


IMAGE = noise((101, 77))
EXPECTED = {overlap: predictor(IMAGE, overlap=overlap).window(WHOLE) for overlap in (0, 8, 16)}


@settings(max_examples=60, deadline=None)
@given(
    overlap=st.sampled_from([0, 8, 16]),
    rows=st.tuples(st.integers(0, 100), st.integers(1, 101)),
    columns=st.tuples(st.integers(0, 76), st.integers(1, 77)),
)
def test_any_window_equals_its_region_of_the_whole(overlap, rows, columns):
    window = tuple(slice(min(start, stop - 1), max(start + 1, stop)) for start, stop in (rows, columns))
    found = predictor(IMAGE, overlap=overlap).window(window)
    assert np.allclose(found, EXPECTED[overlap][:, *window], atol=1e-6)


def test_a_real_network_gives_the_same_in_any_window():
    net = build_network("tiny", 3).eval()

    @torch.inference_mode()
    def probabilities(images):
        return net(images).softmax(dim=1)

    whole = predictor(IMAGE, probabilities, tile=48, overlap=16).window(WHOLE)
    part = slice(13, 58), slice(40, 77)
    found = predictor(IMAGE, probabilities, tile=48, overlap=16).window(part)
    assert np.allclose(found, whole[:, *part], atol=1e-6)
    assert np.allclose(whole.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (5, 3), (31, 33), (32, 32), (24, 24), (25, 97), (100, 101)])
@pytest.mark.parametrize("overlap", [0, 8, 16])
def test_every_pixel_comes_back_at_its_place(shape, overlap):
    image = noise(shape)
    found = predictor(image, identity, overlap=overlap).window(WHOLE)
    assert found.shape == (2, *shape)
    assert found.dtype == np.float32
    assert np.allclose(found, image, atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 9), (150, 170)])
def test_a_constant_network_gives_exactly_its_constant(shape):
    def third(images):
        return torch.full((1, 3, *images.shape[2:]), 1 / 3)

    assert (predictor(noise(shape), third).window(WHOLE) == np.float32(1 / 3)).all()


def test_seams_are_blended():
    """Each tile is labelled with its number; neighbouring pixels must differ by a small part of a step only."""
    numbers = iter(range(100))

    def numbered(images):
        return torch.full((1, 1, *images.shape[2:]), float(next(numbers)))

    row = predictor(noise((10, 96)), numbered, tile=32, overlap=16).window(WHOLE)[0, 5]
    assert row[0] == 0
    assert row[-1] == row.max() > 2
    assert np.diff(row).min() >= 0
    assert np.diff(row).max() < 0.15


@pytest.mark.parametrize("shape", [(20, 20), (3, 60), (70, 33)])
def test_tiles_at_the_border_see_the_image_mirrored(shape):
    image = noise(shape)
    mirrored = np.pad(image, 100, mode="reflect")
    seen = []

    def watch(images):
        seen.append(images[0, 0].numpy().copy())
        return images

    predictor(image, watch).window(WHOLE)
    views = np.lib.stride_tricks.sliding_window_view(mirrored, (32, 32))
    for tile in seen:
        assert (views == tile).all(axis=(2, 3)).any()


def test_neighbouring_windows_do_not_predict_a_tile_twice():
    calls = []

    def counted(images):
        calls.append(1)
        return identity(images)

    prediction = predictor(noise((96, 96)), counted)
    prediction.window(WHOLE)
    number = len(calls)
    for left in range(0, 90, 10):
        prediction.window((slice(20, 40), slice(left, left + 5)))
    assert number == len(calls) == 16


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr("histobridge.core.segment.predict.CACHE_BYTES", 3 * 2 * 32 * 32 * 4)
    calls = []

    def counted(images):
        calls.append(1)
        return identity(images)

    prediction = predictor(noise((24, 240)), counted, overlap=8)
    for _ in range(2):
        for left in range(0, 240, 24):
            prediction.window((slice(0, 24), slice(left, left + 24)))
    assert len(calls) == 20


@pytest.mark.parametrize(
    "window", [(slice(-3, 5), slice(0, 5)), (slice(0, 5), slice(0, 78)), (slice(4, 4), slice(0, 5))]
)
def test_windows_outside_the_image_are_refused(window):
    with pytest.raises(ValueError, match="window"):
        predictor(IMAGE).window(window)


@pytest.mark.parametrize(("tile", "overlap"), [(30, 8), (32, 18), (32, 3), (32, -2)])
def test_a_grid_that_cannot_blend_is_refused(tile, overlap):
    with pytest.raises(ValueError, match="overlap"):
        predictor(IMAGE, tile=tile, overlap=overlap)
