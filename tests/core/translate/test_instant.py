import numpy as np
import pytest

from histobridge.core.errors import InputError
from histobridge.core.translate.base import Translator, as_look, look_of, translate_window
from histobridge.core.translate.instant import Identity, Instant

THERE, BACK = "source_to_target", "target_to_source"


@pytest.fixture
def image():
    random = np.random.default_rng(0)
    return np.clip(random.normal(0.1, 0.2, (64, 80)), -1, 1).astype(np.float32)


@pytest.fixture
def other():
    random = np.random.default_rng(1)
    return (random.beta(2, 5, (50, 50)) * 2 - 1).astype(np.float32)


def test_look_of_a_ramp_is_the_ramp():
    np.testing.assert_allclose(look_of(np.linspace(-1, 1, 1025).reshape(5, 205)), np.linspace(-1, 1, 257), atol=1e-6)


def test_look_of_a_large_image_is_measured_on_a_part_of_it():
    row = np.linspace(-1, 1, 3000, dtype=np.float32)
    np.testing.assert_allclose(look_of(np.broadcast_to(row, (3000, 3000))), np.linspace(-1, 1, 257), atol=2e-3)


@pytest.mark.parametrize("bad", [np.zeros((0, 5)), np.full((4, 4), np.nan)])
def test_look_of_what_has_none_says_so(bad):
    with pytest.raises(InputError):
        look_of(bad)


@pytest.mark.parametrize("bad", [np.zeros(256), np.linspace(1, -1, 257), np.full(257, np.inf)])
def test_stored_looks_are_checked(bad):
    with pytest.raises(InputError, match="257"):
        as_look(bad)


def test_identity_changes_nothing(image):
    assert np.array_equal(Identity().translate(image, THERE, look_of(image)), image)


def test_instant_gives_the_distribution_of_the_other_domain(image, other):
    translated = Instant(False, look_of(image), look_of(other)).translate(image, THERE, look_of(image))
    np.testing.assert_allclose(look_of(translated), look_of(other), atol=0.02)
    assert translated.dtype == np.float32


def test_instant_is_monotone(image, other):
    instant = Instant(False, look_of(image), look_of(other))
    ramp = np.linspace(-1, 1, 500, dtype=np.float32)[None]
    assert (np.diff(instant.translate(ramp, THERE, look_of(image))) >= 0).all()
    inverting = Instant(True, look_of(image), look_of(other))
    assert (np.diff(inverting.translate(ramp, THERE, look_of(image))) <= 0).all()


def test_inverting_to_the_mirrored_look_is_exact_inversion(image):
    look = look_of(image)
    instant = Instant(True, look, -look[::-1])
    np.testing.assert_allclose(instant.translate(image, THERE, look), -image, atol=1e-6)
    np.testing.assert_allclose(instant.translate(-image, BACK, -look[::-1]), image, atol=1e-6)


@pytest.mark.parametrize("invert", [False, True])
def test_there_and_back_is_close_to_the_image(image, other, invert):
    instant = Instant(invert, look_of(image), look_of(other))
    there = instant.translate(image, THERE, look_of(image))
    np.testing.assert_allclose(instant.translate(there, BACK, look_of(there)), image, atol=0.02)


def test_grey_values_that_fill_many_quantiles_keep_their_order():
    image = np.repeat(np.array([-1, 0, 1], np.float32), 100)[None]
    instant = Instant(False, look_of(image), np.linspace(-1, 1, 257))
    translated = np.unique(instant.translate(image, THERE, look_of(image)))
    np.testing.assert_allclose(translated, [-2 / 3, 0, 2 / 3], atol=0.01)


def test_a_constant_image_becomes_the_median():
    instant = Instant(False, np.zeros(257), np.linspace(-1, 1, 257))
    flat = np.zeros((8, 8), np.float32)
    np.testing.assert_allclose(instant.translate(flat, THERE, look_of(flat)), 0, atol=1e-6)


def test_the_look_of_the_whole_decides_and_not_that_of_the_tile(image, other):
    instant = Instant(True, look_of(image), look_of(other))
    whole = instant.translate(image, THERE, look_of(image))
    tile = instant.translate(image[10:20, 30:50], THERE, look_of(image))
    assert np.array_equal(tile, whole[10:20, 30:50])


def test_unknown_directions_are_refused(image):
    with pytest.raises(InputError, match="sideways"):
        Identity().translate(image, "sideways", look_of(image))


def test_windows_may_reach_outside_the_image(image):
    window = (slice(-3, 5), slice(75, 84))
    result = translate_window(Identity(), lambda part: image[part], image.shape, window, THERE, look_of(image))
    expected = np.pad(image, 4, mode="reflect")[1:9, 79:88]
    assert np.array_equal(result, expected)


def test_both_are_translators():
    translators: list[Translator] = [Identity(), Instant(False, np.zeros(257), np.zeros(257))]
    assert [translator.halo for translator in translators] == [0, 0]
