from itertools import islice

import numpy as np
import pytest
import torch

from histobridge.core.errors import InputError
from histobridge.core.segment.crops import CropSampler, Field, MixedSampler


def noise(shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def labelled(shape, seed=0):
    image = noise(shape, seed)
    return Field(image, (image > 0).astype(np.uint8))


def batches(sampler, number=1, size=4):
    return list(islice(sampler.batches(size), number))


def test_batches_have_the_shapes_and_types_the_network_expects():
    image, labels, weight = batches(CropSampler([labelled((100, 120))], 32, 1.0, seed=0))[0]
    assert image.shape == (4, 1, 32, 32)
    assert labels.shape == weight.shape == (4, 32, 32)
    assert (image.dtype, labels.dtype, weight.dtype) == (torch.float32, torch.int64, torch.float32)


def test_crops_without_augmentation_are_cut_as_they_are():
    for image, labels, weight in batches(CropSampler([labelled((60, 70))], 32, 0.0, seed=0), number=10):
        assert torch.equal(labels, (image[:, 0] > 0).long())
        assert (weight == 1).all()


def test_augmented_labels_stay_on_what_they_label():
    y, x = np.mgrid[:150, :150]
    labels = ((y // 25 + x // 25) % 2).astype(np.uint8)
    sampler = CropSampler([Field((labels * 1.6 - 0.8).astype(np.float32), labels)], 64, 1.0, seed=0)
    for image, labels, _ in batches(sampler, number=10):
        for crop, truth in zip(image[:, 0], labels, strict=True):
            assert crop[truth == 1].mean() > crop[truth == 0].mean() + 0.2


@pytest.mark.parametrize("augmentation", [0.0, 1.0])
def test_small_fields_are_mirrored_and_unlabelled_outside(augmentation):
    image, labels, weight = batches(CropSampler([labelled((20, 100))], 48, augmentation, seed=0))[0]
    outside = labels == 255
    assert 0.2 < outside.float().mean() < 0.75
    assert not weight[outside].any()
    assert (weight[~outside] == 1).all()
    assert image[:, 0][outside].std() > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2)])
def test_the_smallest_fields_can_be_drawn_from(shape):
    field = Field(noise(shape), np.ones(shape, np.uint8))
    image, labels, _ = batches(CropSampler([field], 16, 1.0, seed=0))[0]
    assert torch.isfinite(image).all()
    assert (labels == 1).any()


def test_every_second_crop_lies_around_foreground_and_classes_take_turns():
    labels = np.zeros((400, 400), np.uint8)
    labels[50:54, 50:54], labels[300:304, 200:204] = 1, 2
    sampler = CropSampler([Field(noise((400, 400)), labels)], 32, 0.0, seed=0)
    drawn = torch.cat([batch[1] for batch in batches(sampler, number=20)])
    counts = [int((drawn == value).any(dim=(1, 2)).sum()) for value in (1, 2)]
    assert sum(counts) >= 40
    assert min(counts) >= 10


def test_crops_lie_on_what_is_labelled():
    labels = np.full((500, 500), 255, np.uint8)
    labels[400:430, 100:130] = 0
    drawn = batches(CropSampler([labelled((40, 40)), Field(noise((500, 500)), labels)], 32, 0.0, seed=0), number=20)
    assert all((labels != 255).any(dim=(1, 2)).all() for _, labels, _ in drawn)


def test_pixels_without_weight_are_not_sought():
    weight = np.zeros((200, 200), np.float32)
    weight[:40, :40] = 1
    field = Field(noise((200, 200)), np.ones((200, 200), np.uint8), weight)
    for _, _, weights in batches(CropSampler([field], 32, 0.0, seed=0), number=10):
        assert weights.any(dim=(1, 2)).all()


@pytest.mark.parametrize("augmentation", [0.0, 1.0])
def test_constant_crops_are_drawn_again(augmentation):
    image = np.zeros((300, 300), np.float32)
    image[:60, :60] = noise((60, 60))
    weight = np.ones((300, 300), np.float32)
    weight[:60, :60] = 2
    field = Field(image, np.ones((300, 300), np.uint8), weight)
    for _, _, weights in batches(CropSampler([field], 32, augmentation, seed=0), number=10):
        assert (weights == 2).any(dim=(1, 2)).all()


def test_a_constant_field_does_not_hang():
    field = Field(np.zeros((40, 40), np.float32), np.ones((40, 40), np.uint8))
    assert batches(CropSampler([field], 32, 0.0, seed=0))[0][0].shape == (4, 1, 32, 32)


def test_the_look_is_changed_before_the_augmentation():
    def invert(image, rng):
        return -image

    plain = batches(CropSampler([labelled((60, 60))], 32, 0.0, seed=5))[0]
    inverted = batches(CropSampler([labelled((60, 60))], 32, 0.0, seed=5, look=invert))[0]
    assert torch.equal(inverted[0], -plain[0])
    assert torch.equal(inverted[1], plain[1])


def test_a_seed_repeats_its_crops_and_another_does_not():
    fields = [labelled((60, 60)), labelled((80, 50), seed=1)]
    first, again, other = (batches(CropSampler(fields, 32, 1.0, seed=seed), number=3)[-1][0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_restored_sampler_goes_on_where_it_was():
    fields = [labelled((60, 60))]
    sampler = MixedSampler(CropSampler(fields, 32, 1.0, seed=0), CropSampler(fields, 32, 1.0, seed=1), share=0.5)
    batches(sampler, number=3)
    state = sampler.state()
    expected = batches(sampler, number=2)
    other = MixedSampler(CropSampler(fields, 32, 1.0, seed=8), CropSampler(fields, 32, 1.0, seed=9), share=0.5)
    other.restore(state)
    for one, two in zip(batches(other, number=2), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("share", "replayed"), [(0.0, 0), (1 / 3, 2), (0.99, 5)])
def test_a_share_of_each_batch_is_replayed(share, replayed):
    ours = Field(noise((40, 40)), np.zeros((40, 40), np.uint8))
    theirs = Field(noise((40, 40)), np.ones((40, 40), np.uint8))
    sampler = MixedSampler(CropSampler([ours], 16, 0.0, seed=0), CropSampler([theirs], 16, 0.0, seed=0), share)
    for _, labels, _ in batches(sampler, number=2, size=6):
        assert int((labels == 1).all(dim=(1, 2)).sum()) == replayed


def test_fields_without_a_label_are_refused():
    empty = Field(noise((20, 20)), np.full((20, 20), 255, np.uint8))
    with pytest.raises(InputError, match="labelled"):
        CropSampler([empty], 16, 1.0, seed=0)


def test_a_field_of_two_shapes_is_refused():
    with pytest.raises(InputError, match="shape"):
        Field(noise((20, 20)), np.zeros((20, 21), np.uint8))


def test_the_shift_of_the_background_changes_grey_values_and_nothing_else_that_is_drawn():
    fields = [labelled((60, 60))]
    still, moved = (CropSampler(fields, 32, 1.0, seed=3, background_shift=shift) for shift in (0.0, 0.3))
    pairs = list(zip(batches(still, number=4), batches(moved, number=4), strict=True))
    assert all(torch.equal(one[1], other[1]) for one, other in pairs)
    assert not all(torch.equal(one[0], other[0]) for one, other in pairs)
