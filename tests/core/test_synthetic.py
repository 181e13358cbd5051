"""The synthetic sample: same seed same pixels, opposite polarity, sound truth."""

import time

import numpy as np
import pytest
from scipy import ndimage

from histobridge.core.errors import InputError
from histobridge.core.synthetic import two_modalities


@pytest.fixture(scope="module")
def sample():
    return two_modalities(fields=3, size=192, seed=0)


def test_half_the_fields_are_source_and_half_target(sample):
    assert [field.domain for field in sample] == ["source"] * 3 + ["target"] * 3
    for field in sample:
        assert field.image.shape == field.classes.shape == field.fibres.shape == (192, 192)
        assert (field.image.dtype, field.classes.dtype, field.fibres.dtype) == (np.uint8, np.uint8, np.uint32)


def test_domains_differ_in_subjects_and_pixel_size(sample):
    source, target = ([f for f in sample if f.domain == domain] for domain in ("source", "target"))
    assert len({field.subject for field in source}) == len({field.subject for field in target}) == 3
    assert not {field.subject for field in source} & {field.subject for field in target}
    assert source[0].pixel_size_um != target[0].pixel_size_um


def test_same_seed_gives_same_pixels_and_another_does_not(sample):
    again = two_modalities(fields=3, size=192, seed=0)
    other = two_modalities(fields=3, size=192, seed=1)
    assert all(
        np.array_equal(a.image, b.image) and np.array_equal(a.classes, b.classes)
        for a, b in zip(sample, again, strict=True)
    )
    assert not np.array_equal(sample[0].image, other[0].image)


def test_more_fields_leave_the_first_ones_as_they_were(sample):
    assert np.array_equal(two_modalities(fields=1, size=192, seed=0)[0].image, sample[0].image)


def test_sheaths_are_dark_in_tem_and_bright_in_sem(sample):
    for field in sample:
        axon, myelin = (field.image[field.classes == value].mean() for value in (1, 2))
        assert (myelin < axon) == (field.domain == "source"), field.subject


def test_background_is_darker_than_axons_in_one_sem_subject_only(sample):
    darker = {
        field.subject: field.image[field.classes == 0].mean() < field.image[field.classes == 1].mean()
        for field in sample
        if field.domain == "target"
    }
    assert sum(darker.values()) == 1


def test_all_classes_occur_in_every_field(sample):
    for field in sample:
        fractions = np.bincount(field.classes.ravel(), minlength=3) / field.classes.size
        assert len(fractions) == 3
        assert fractions.min() > 0.08


def test_axons_lie_inside_their_own_sheath(sample):
    for field in sample:
        axon = field.classes == 1
        around = ndimage.binary_dilation(axon, np.ones((3, 3))) & ~axon
        assert (field.classes[around] == 2).mean() > 0.97
        assert np.array_equal(field.fibres > 0, field.classes > 0)


def test_sheaths_of_different_fibres_touch(sample):
    fibres = sample[0].fibres
    across = (fibres[:, 1:] != fibres[:, :-1]) & (fibres[:, 1:] > 0) & (fibres[:, :-1] > 0)
    assert across.any()


def test_truth_cannot_be_had_by_a_grey_threshold(sample):
    for field in sample:
        best = max(
            2
            * ((field.image > cut) & (field.classes == 1)).sum()
            / ((field.image > cut).sum() + (field.classes == 1).sum())
            for cut in range(20, 236, 6)
        )
        assert best < 0.9


def test_a_field_of_512_px_takes_seconds_at_most():
    start = time.process_time()
    two_modalities(fields=1, size=512, seed=3)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("fields", "size"), [(0, 256), (1, 32)])
def test_too_few_or_too_small_fields_are_refused(fields, size):
    with pytest.raises(InputError, match="at least"):
        two_modalities(fields=fields, size=size)


@pytest.mark.slow
def test_inverting_and_mapping_grey_values_does_not_carry_a_segmenter_all_the_way():
    torch = pytest.importorskip("torch")
    from histobridge.core.config import SegmenterTraining
    from histobridge.core.job import finish
    from histobridge.core.metrics import mean_dice
    from histobridge.core.segment.crops import CropSampler, Field
    from histobridge.core.segment.networks import build_network
    from histobridge.core.segment.train import train
    from histobridge.core.translate.base import look_of
    from histobridge.core.translate.instant import Instant

    torch.set_num_threads(1)
    torch.manual_seed(0)
    fields = two_modalities(4, 256)
    looks, images, labels = {}, {}, {}
    for domain, zoom in (("source", 0.95), ("target", 1.5)):  # axons of about 20 px in both
        chosen = [field for field in fields if field.domain == domain]
        images[domain] = [ndimage.zoom(f.image, zoom, order=1).astype(np.float32) / 127.5 - 1 for f in chosen]
        labels[domain] = [ndimage.zoom(f.classes, zoom, order=0) for f in chosen]
        looks[domain] = look_of(np.concatenate([image.ravel() for image in images[domain]])[None])
    pairs = zip(images["source"], labels["source"], strict=True)
    sampler = CropSampler([Field(image, classes, None) for image, classes in pairs], 96, 1.0, 0)
    net = finish(train(build_network("tiny", 3), sampler, SegmenterTraining(preset="tiny", steps=450), None))
    instant = Instant(True, looks["source"], looks["target"])

    def score(image, truth):
        image = image[:240, :240]  # a multiple of the network's stride
        with torch.no_grad():
            found = net(torch.from_numpy(np.ascontiguousarray(image))[None, None]).argmax(1)[0].numpy()
        return mean_dice(found, truth[:240, :240], (1, 2))

    own = np.mean([score(*pair) for pair in zip(images["source"], labels["source"], strict=True)])
    adapted = [instant.translate(image, "target_to_source", look_of(image)) for image in images["target"]]
    carried = np.mean([score(*pair) for pair in zip(adapted, labels["target"], strict=True)])
    assert own > 0.9
    assert 0.5 < carried < 0.88
