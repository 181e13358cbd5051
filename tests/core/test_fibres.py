"""Fibres from classes: which axon owns which sheath."""

import numpy as np
import pytest

from histobridge.core.fibres import derive_fibres, filled_axons
from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec, Manifest
from histobridge.core.metrics import instance_f1
from histobridge.core.morphometry import measure_fibres
from histobridge.core.synthetic import two_modalities

NERVE = Manifest(name="nerve")
CELLS = Manifest(
    name="cells",
    classes=(ClassSpec(name="nucleus", value=3, color="#ff0000"), ClassSpec(name="debris", value=7, color="#00ff00")),
)


def test_a_sheath_shared_by_two_axons_is_split_halfway():
    classes = np.zeros((9, 20), np.uint8)
    classes[1:8, 1:19] = 2
    classes[3:6, 3:7], classes[3:6, 13:17] = 1, 1
    fibres = derive_fibres(classes, NERVE)
    assert set(np.unique(fibres)) == {0, 1, 2}
    assert np.array_equal(fibres > 0, classes > 0)
    assert (fibres[1:8, 1:9] == fibres[4, 4]).all()
    assert (fibres[1:8, 11:19] == fibres[4, 14]).all()


def test_a_sheath_without_an_axon_is_a_fibre_of_its_own():
    classes = np.zeros((12, 12), np.uint8)
    classes[1:6, 1:6], classes[2:4, 2:4], classes[8:10, 8:10] = 2, 1, 2
    fibres = derive_fibres(classes, NERVE)
    assert fibres[8, 8] not in (0, fibres[2, 2])


def test_unlabelled_pixels_belong_to_no_fibre():
    classes = np.full((6, 6), 255, np.uint8)
    classes[2:4, 2:4] = 1
    fibres = derive_fibres(classes, NERVE)
    assert (fibres > 0).sum() == 4


def test_classes_without_a_nested_pair_are_connected_components_of_one_class():
    classes = np.zeros((4, 8), np.uint8)
    classes[:, 0:2], classes[:, 2:4], classes[:, 6:8] = 3, 7, 3
    fibres = derive_fibres(classes, CELLS)
    assert fibres.max() == 3
    assert len({int(fibres[0, column]) for column in (0, 2, 6)}) == 3


@pytest.mark.parametrize("first", [True, False])
def test_what_lies_in_an_axon_belongs_to_its_fibre(first):
    mitochondrion = ClassSpec(name="mitochondrion", value=3, color="#009E73", inside="axon")
    table = (mitochondrion, *MYELINATED_FIBRE) if first else (*MYELINATED_FIBRE, mitochondrion)
    manifest = Manifest(name="nerve", classes=table)
    assert [spec.name for spec in manifest.nested_pair()] == ["axon", "myelin"]
    assert set(manifest.enclosed_by("myelin")) == {1, 3}
    classes = np.zeros((40, 40), np.uint8)
    classes[4:36, 4:36], classes[8:32, 8:32], classes[8:32, 18:22] = 2, 1, 3
    fibres = derive_fibres(classes, manifest)
    assert np.array_equal(fibres, (classes > 0).astype(np.uint32))
    measured = measure_fibres(fibres, filled_axons(classes, manifest), 1, 1.0)
    assert measured.g_ratio == pytest.approx([24 / 32])


def test_ids_are_consecutive_uint32():
    fibres = derive_fibres(two_modalities(1, 128)[0].classes, NERVE)
    assert fibres.dtype == np.uint32
    assert np.array_equal(np.unique(fibres), np.arange(fibres.max() + 1))


@pytest.mark.parametrize("index", [0, 1])
def test_most_synthetic_fibres_are_recovered_from_their_classes(index):
    field = two_modalities(1, 256, seed=2)[index]
    assert instance_f1(derive_fibres(field.classes, NERVE), field.fibres) > 0.8


def test_an_empty_field_has_no_fibres():
    assert not derive_fibres(np.zeros((5, 5), np.uint8), NERVE).any()
