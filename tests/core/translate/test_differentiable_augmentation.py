import pytest
import torch

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.diffaug import augmented, brightened, contrasted, covered, shifted
from histobridge.core.translate.learner import build_learner


@pytest.fixture
def images():
    return torch.arange(32, dtype=torch.float32).reshape(2, 1, 4, 4) / 32


def test_brightness_adds_to_each_image_its_own_number(images):
    changed = brightened(images, torch.tensor([0.5, -0.25]))
    assert torch.equal(changed[0], images[0] + 0.5)
    assert torch.equal(changed[1], images[1] - 0.25)


def test_contrast_stretches_about_the_mean(images):
    changed = contrasted(images, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(changed[0].std(), 2 * images[0].std())
    torch.testing.assert_close(changed[1], images[1])


def test_a_shift_brings_in_grey(images):
    changed = shifted(images, [1, 0], [0, -2])
    assert torch.equal(changed[0, 0, 1:], images[0, 0, :-1])
    assert (changed[0, 0, 0] == 0).all()
    assert torch.equal(changed[1, 0, :, :2], images[1, 0, :, 2:])
    assert (changed[1, 0, :, 2:] == 0).all()


def test_what_is_covered_is_grey_and_may_reach_outside(images):
    changed = covered(images + 1, [-1, 2], [0, 1], (2, 2))
    assert (changed[0, 0, 0, :2] == 0).all()
    assert (changed[0, 0, 1:] == images[0, 0, 1:] + 1).all()
    assert (changed[1, 0, 2:, 1:3] == 0).all()
    assert (changed == 0).sum() == 2 + 4


def test_every_image_is_changed_in_its_own_way_and_gradients_flow_through():
    same = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1)).expand(3, 1, 32, 32).clone()
    same.requires_grad_()
    changed = augmented(same, torch.Generator().manual_seed(0))
    assert changed.shape == same.shape
    assert len({image.sum().item() for image in changed}) == 3
    changed.sum().backward()
    assert same.grad.abs().sum() > 0


def test_the_same_random_state_gives_the_same_change(images):
    first, second = (augmented(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("method", ["cyclegan", "cut", "bridgecut", "syndiff"])
def test_discriminators_of_every_method_see_augmented_images(method):
    random = torch.Generator().manual_seed(0)
    crops = torch.rand(2, 1, 1, 32, 32, generator=random) * 2 - 1
    brief = TrainTranslatorConfig(
        method=method, crop_px=32, channels=4, blocks=1, device="cpu", bridge=BridgeSettings(transport=0.01)
    )
    plain, changed = (
        build_learner(brief.model_copy(update={"augment": augment}), torch.device("cpu")).step(*crops)
        for augment in (False, True)
    )
    assert set(plain) == set(changed)
    assert plain["discriminator"] != changed["discriminator"]
    untouched = {"cyclegan": "cycle", "bridgecut": "transport"}.get(method)
    assert untouched is None or plain[untouched] == changed[untouched]
