import math

import pytest
import torch

from histobridge.core.segment.losses import masked_dice_ce


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 10, generator=generator)
    labels = torch.randint(0, 3, (2, 8, 10), generator=generator)
    weight = torch.rand(2, 8, 10, generator=generator)
    return logits, labels, weight


@pytest.mark.parametrize(("weights", "expected"), [((1.0, 1.0), 0.5), ((3.0, 1.0), 0.4)])
def test_the_loss_has_the_value_computed_by_hand(weights, expected):
    """Probability 1/2 everywhere: cross-entropy ln 2; Dice 2 * (w0 / 2) / (w0 * 3/2 + w1 / 2)."""
    logits, labels = torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 0]]])
    loss = masked_dice_ce(logits, labels, torch.tensor([[weights]]))
    assert loss.item() == pytest.approx(math.log(2) + expected, abs=1e-4)


def test_a_perfect_prediction_costs_nothing(batch):
    _, labels, weight = batch
    logits = 100.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    assert masked_dice_ce(logits, labels, weight).item() == pytest.approx(0, abs=1e-5)


def test_the_masked_loss_is_the_loss_of_the_labelled_region(batch):
    logits, labels, weight = batch
    masked = labels.clone()
    masked[:, :, 6:] = 255
    masked[:, 5:] = 255
    expected = masked_dice_ce(logits[:, :, :5, :6], labels[:, :5, :6], weight[:, :5, :6])
    assert masked_dice_ce(logits, masked, weight).item() == pytest.approx(expected.item(), abs=1e-6)


def test_weight_zero_is_the_same_as_unlabelled(batch):
    logits, labels, weight = batch
    masked, lighter = labels.clone(), weight.clone()
    masked[:, :4] = 255
    lighter[:, :4] = 0
    assert masked_dice_ce(logits, masked, weight).item() == masked_dice_ce(logits, labels, lighter).item()


def test_unlabelled_pixels_have_no_gradient(batch):
    logits, labels, weight = batch
    logits.requires_grad_()
    labels[:, 2:5] = 255
    masked_dice_ce(logits, labels, weight).backward()
    assert not logits.grad[:, :, 2:5].any()
    assert logits.grad[:, :, :2].any()


def test_a_batch_without_labels_costs_nothing_and_teaches_nothing(batch):
    logits, labels, weight = batch
    logits.requires_grad_()
    loss = masked_dice_ce(logits, torch.full_like(labels, 255), weight)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_a_class_that_does_not_occur_keeps_the_loss_finite(batch):
    logits, labels, weight = batch
    logits.requires_grad_()
    loss = masked_dice_ce(logits, torch.zeros_like(labels), weight)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
