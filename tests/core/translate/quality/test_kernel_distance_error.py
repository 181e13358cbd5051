"""How uncertain it is whether fakes are farther from real images than what they are compared with."""

import numpy as np
import pytest

from histobridge.core.translate.quality.kernel_distance import lag, lag_error

WINDOWS, WIDTH, IMAGES = 16, 8, 6


def images(random, shift=0.0, between=1.0):
    """Features of some images, whose windows resemble each other."""
    centres = random.normal(shift, between, (IMAGES, 1, WIDTH))
    return list(centres + random.normal(0, 0.3, (IMAGES, WINDOWS, WIDTH)))


def drawn(seed, shift=0.0):
    """Real images, and others in two translations, the second `shift` farther."""
    random = np.random.default_rng(seed)
    real, bare = images(random), images(random)
    return real, bare, [rows + shift + random.normal(0, 0.1, rows.shape) for rows in bare]


def test_the_error_is_how_much_the_difference_varies_when_other_images_are_drawn():
    lags = [lag(*map(np.concatenate, drawn(seed, 0.5)), 1.0) for seed in range(60)]
    errors = [lag_error(*drawn(seed, 0.5), 1.0) for seed in range(60)]
    assert np.median(errors) == pytest.approx(np.std(lags), rel=0.6)


def test_translations_that_differ_by_chance_alone_are_rarely_beyond_the_error_and_worse_ones_are():
    beyond = {
        shift: np.mean(
            [
                lag(*map(np.concatenate, drawn(s, shift)), 1.1) > 1.64 * lag_error(*drawn(s, shift), 1.1)
                for s in range(40)
            ]
        )
        for shift in (0.0, 3.0)
    }
    assert beyond[0.0] < 0.15
    assert beyond[3.0] > 0.9


def test_two_images_are_too_few_to_tell():
    real, bare, fake = drawn(0)
    assert lag_error(real[:2], bare, fake, 1.0) is None
    assert lag_error(real, bare[:2], fake[:2], 1.0) is None
    assert lag_error(real[:3], bare[:3], fake[:3], 1.0) > 0
