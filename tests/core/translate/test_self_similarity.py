import numpy as np
import pytest
import torch

from histobridge.core.translate.self_similarity import self_similarity, similarity_loss


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 1, 40, 48)).astype(np.float32))


def test_equal_and_inverted_images_lose_nothing(image):
    assert similarity_loss(image, image) == 0
    assert similarity_loss(image, -image) <= 1e-6


def test_brightness_does_not_count_and_contrast_hardly(image):
    assert similarity_loss(image, image + 0.3) <= 1e-5
    assert similarity_loss(image, 0.5 * image) < 0.05


def test_structures_that_moved_lose_more_than_noise():
    y, x = np.mgrid[:40, :48]
    waves = torch.from_numpy(np.sin(y / 3) * np.cos(x / 4)).float()[None, None]
    noise = 0.05 * torch.randn(waves.shape, generator=torch.Generator().manual_seed(0))
    assert similarity_loss(waves, waves + noise) < 0.5 * similarity_loss(waves, waves.roll(9, dims=3))


def test_a_ramp_is_like_itself_everywhere():
    ramp = torch.linspace(-1, 1, 64).expand(64, 64)[None, None]
    inside = self_similarity(ramp)[:, :, 8:-8, 8:-8]
    # First derivatives along x at 1 and 2 px, each slope times scale; the floor is 0.05.
    squared = (2 / 63) ** 2 * (1 + 4)
    torch.testing.assert_close(inside, torch.full_like(inside, squared / (squared + 0.05**2)), atol=0.01, rtol=0)


def test_a_flat_image_is_like_itself_nowhere():
    assert self_similarity(torch.full((1, 1, 32, 32), 0.7)).abs().max() <= 1e-6


def test_both_sides_of_a_bright_line_are_opposite():
    line = torch.full((1, 1, 64, 64), -1.0)
    line[..., 31:34] = 1.0
    # The fifth map is of places 4 px apart along x; its columns are every other pixel from the eighth on.
    row = self_similarity(line)[0, 4, 10]
    assert row.min() < -0.5
    assert 8 + 2 * row.argmin() == 30


def test_gradients_flow_into_the_translation_alone(image):
    before, after = image.clone().requires_grad_(), image.square().requires_grad_()
    similarity_loss(before, after).backward()
    assert before.grad is None
    assert after.grad.abs().sum() > 0
