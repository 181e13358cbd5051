import numpy as np
import pytest
import torch

from histobridge.core.translate.crops import ImageCrops, Labelled, values_of


@pytest.fixture
def labelled():
    """An image whose grey values say its classes: a small square of class 3 in class 0, a strip unlabelled."""
    classes = np.zeros((128, 96), np.uint8)
    classes[10:14, 20:24] = 3
    classes[120:] = 255
    noise = np.random.default_rng(0).uniform(0, 0.1, classes.shape)
    return Labelled((classes / 255 + noise).astype(np.float32), classes)


def drawn(crops, count=60):
    return [crops.draw_labelled() for _ in range(count)]


def test_labels_are_turned_with_their_crop(labelled):
    for image, classes in drawn(ImageCrops([labelled], 32, seed=0)):
        assert (image.shape, classes.shape) == ((1, 1, 32, 32), (1, 32, 32))
        found = np.floor(image[0, 0].numpy() * 255)
        assert (np.abs(found - classes[0].numpy()) <= 26).all()


def test_balanced_crops_show_a_rare_class_half_of_the_time(labelled):
    shares = [
        np.mean([bool((classes == 3).any()) for _, classes in drawn(ImageCrops([labelled], 32, 0, balanced), 120)])
        for balanced in (False, True)
    ]
    assert shares[0] < 0.35
    assert shares[1] > 0.45


def test_balanced_crops_do_not_prefer_labelled_images(labelled):
    bare = np.random.default_rng(1).uniform(-1, -0.5, labelled.image.shape).astype(np.float32)
    crops = drawn(ImageCrops([labelled, bare], 32, 0, balanced=True), 120)
    assert 0.35 < np.mean([bool((image < -0.4).any()) for image, _ in crops]) < 0.65
    assert all((classes == 255).all() for image, classes in crops if (image < -0.4).any())


def test_a_class_is_never_drawn_around_where_its_labels_are_unknown(labelled):
    nothing = Labelled(labelled.image, np.full_like(labelled.classes, 255))
    assert len(drawn(ImageCrops([nothing], 32, 0, balanced=True))) == 60


def test_small_labelled_images_are_reflected_with_their_labels(labelled):
    small = Labelled(labelled.image[:20, :30], labelled.classes[:20, :30])
    image, classes = ImageCrops([small], 32, seed=0).draw_labelled()
    assert image.shape[2:] == classes.shape[1:] == (32, 32)


def test_values_of_are_those_that_labels_have(labelled):
    assert values_of([labelled, labelled.image]) == (0, 3)
    assert values_of([labelled.image]) == ()


def test_unlabelled_images_beside_labelled_ones_stay_on_the_device_of_the_crops(labelled):
    """The meta device stands for a GPU: tensors of two devices cannot be joined there either."""
    crops = ImageCrops([labelled, labelled.image], 32, seed=0, device=torch.device("meta"))
    for _ in range(5):
        images, classes = crops.batch(4, torch.device("meta"))
        assert (images.shape, classes.shape) == ((4, 1, 32, 32), (4, 32, 32))
        assert images.device.type == classes.device.type == "meta"
