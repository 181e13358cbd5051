import numpy as np
import pytest

from histobridge.core.segment.augment import change_look, draw_zoom, flip_crop, resize_crop, shift_background


def rng(seed=0):
    return np.random.default_rng(seed)


def disc_crop(side=96):
    """An image that is bright exactly where the label is 1."""
    y, x = np.mgrid[:side, :side]
    labels = ((y - 30) ** 2 + (x - 60) ** 2 < 20**2).astype(np.uint8)
    return np.where(labels == 1, 0.8, -0.8).astype(np.float32), labels, labels.astype(np.float32)


@pytest.mark.parametrize("side", [72, 96, 128])
@pytest.mark.parametrize("seed", range(4))
def test_labels_and_weight_stay_on_the_object(side, seed):
    image, labels, weight = flip_crop(resize_crop(disc_crop(), side), rng(seed))
    assert image.shape == labels.shape == weight.shape == (side, side)
    assert np.array_equal(weight, labels)
    assert np.mean((image > 0) == (labels == 1)) > 0.995
    assert (labels == 1).mean() == pytest.approx(disc_crop()[1].mean(), rel=0.05)


def test_resizing_there_keeps_a_ramp_a_ramp():
    ramp = np.tile(np.linspace(-1, 1, 64, dtype=np.float32), (64, 1))
    larger = resize_crop((ramp, ramp.astype(np.uint8), ramp), 128)[0]
    expected = np.clip((np.arange(128) + 0.5) / 128 * 64 - 0.5, 0, 63) / 63 * 2 - 1
    assert np.allclose(larger, expected, atol=1e-5)


def test_flips_reach_all_eight_orientations():
    crop = (np.array([[1.0, 2], [3, 4]], np.float32),) * 3
    seen = {flip_crop(crop, generator)[0].tobytes() for generator in [rng()] for _ in range(200)}
    assert len(seen) == 8


@pytest.mark.parametrize("seed", range(20))
def test_looks_stay_in_range_and_type(seed):
    look = change_look(disc_crop()[0], 1.0, rng(seed))
    assert look.shape == (96, 96)
    assert look.dtype == np.float32
    assert look.min() >= -1
    assert look.max() <= 1


def test_looks_differ_between_seeds_and_repeat_for_one():
    image = disc_crop()[0]
    looks = [change_look(image, 1.0, rng(seed)) for seed in range(10)]
    assert len({look.tobytes() for look in looks}) >= 8
    assert np.array_equal(change_look(image, 1.0, rng(3)), looks[3])


def test_strength_zero_changes_neither_look_nor_size():
    image = disc_crop()[0]
    assert np.allclose(change_look(image, 0.0, rng()), image, atol=1e-6)
    assert draw_zoom(0.0, rng()) == 1


def test_zoom_stays_within_its_bounds():
    generator = rng()
    zooms = [draw_zoom(1.0, generator) for _ in range(500)]
    assert 0.75 <= min(zooms) < 0.78
    assert 1.28 < max(zooms) <= 1.33


def test_the_background_alone_is_shifted_against_the_objects():
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 1
    labels[:8] = 255
    image = np.zeros((64, 64), np.float32)
    shifts = []
    for seed in range(40):
        shifted = shift_background((image, labels, np.ones_like(image)), 1.0, np.random.default_rng(seed))
        assert np.abs(shifted[:, 38:]).max() < 1e-3
        assert np.abs(shifted[:2]).max() < 1e-3
        shifts.append(float(shifted[40, 10]))
    assert 10 <= sum(shift == 0 for shift in shifts) <= 30
    assert min(shifts) < -0.2
    assert max(shifts) > 0.2


def test_without_strength_the_background_stays():
    image = np.zeros((8, 8), np.float32)
    crop = image, np.zeros((8, 8), np.uint8), np.ones_like(image)
    for seed in range(10):
        assert shift_background(crop, 0.0, np.random.default_rng(seed)) is image


def test_a_shift_of_no_size_keeps_the_image_and_draws_as_much_as_any_other():
    image = rng(1).random((16, 16)).astype(np.float32)
    crop = image, np.zeros((16, 16), np.uint8), np.ones_like(image)
    still, moved = rng(2), rng(2)
    for _ in range(10):
        assert np.array_equal(shift_background(crop, 1.0, still, 0.0), image)
        shift_background(crop, 1.0, moved, 2.0)
    assert still.random() == moved.random()
