import numpy as np
import pytest

from histobridge.core.translate.noise_field import NoiseField


@pytest.mark.parametrize("origin", [(0, 0), (-70, 130), (63, -1)])
def test_a_pixel_has_the_same_noise_in_every_window_that_shows_it(origin):
    field = NoiseField(3)
    large = field.window(1, (-100, -90), (300, 350))
    small = field.window(1, origin, (50, 71))
    top, left = origin[0] + 100, origin[1] + 90
    assert np.array_equal(large[top : top + 50, left : left + 71], small)


def test_the_noise_is_standard_normal():
    values = NoiseField(0).window(0, (-256, -256), (512, 512))
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert (values**4).mean() == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shift", [1, 2, 32, 64])
def test_neighbours_know_nothing_of_each_other(axis, shift):
    values = NoiseField(0).window(0, (0, 0), (512, 512))
    assert abs((values * np.roll(values, shift, axis)).mean()) < 0.01


def test_seeds_streams_and_mirrored_places_are_independent():
    first = NoiseField(0).window(0, (64, 0), (128, 128))
    others = [
        NoiseField(1).window(0, (64, 0), (128, 128)),
        NoiseField(0).window(1, (64, 0), (128, 128)),
        NoiseField(0).window(0, (-192, 0), (128, 128)),
        NoiseField(0).window(0, (0, 64), (128, 128)),
    ]
    assert all(abs((first * other).mean()) < 0.04 for other in others)


def test_latents_belong_to_seed_and_stream_and_may_be_odd():
    latents = [NoiseField(seed).latent(stream, 7) for seed, stream in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert np.array_equal(latents[0], latents[1])
    assert latents[0].shape == (7,)
    assert not np.array_equal(latents[0], latents[2])
    assert not np.array_equal(latents[0], latents[3])


def test_the_noise_is_the_same_in_every_version():
    values = NoiseField(7).window(2, (-1, 63), (2, 2))
    expected = [[0.322083, -0.352438], [0.191943, 0.312099]]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_every_image_and_every_seed_has_a_field_of_its_own():
    looks = [np.linspace(-1, end, 257, dtype=np.float32) for end in (1, 0.9)]
    drawn = [NoiseField(seed).of_image(look).window(0, (0, 0), (64, 64)) for seed in (0, 1) for look in looks]
    again = NoiseField(1).of_image(looks[1].copy()).window(0, (0, 0), (64, 64))
    assert np.array_equal(drawn[-1], again)
    matrix = np.corrcoef([field.ravel() for field in drawn])
    assert np.abs(matrix - np.eye(4)).max() < 0.1
