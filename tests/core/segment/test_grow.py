import pytest
import torch

from histobridge.core.manifest import MYELINATED_FIBRE, ClassSpec
from histobridge.core.segment.grow import grow
from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.segment.networks import build_network

VESSEL = ClassSpec(name="vessel", value=9, color="#123456", domains=("target",))


def segmenter(preset):
    net = build_network(preset, 3, seed=1)
    with torch.no_grad():
        net.train()(torch.randn(2, 1, 32, 32))
    card = ModelCard(
        preset=preset,
        classes=("axon", "myelin"),
        values=(1, 2),
        domain="target",
        working_um=0.1,
        object_diameter_px=36,
        quantiles=(0.0,) * 257,
        trained_on=("a",),
    )
    return Segmenter(net, card)


@pytest.mark.parametrize("preset", ["tiny", "cpu", "gpu"])
def test_what_is_known_stays_as_it_is(preset):
    torch.set_num_threads(1)
    known = segmenter(preset)
    grown = grow(known, (*MYELINATED_FIBRE, VESSEL), seed=0)
    assert (grown.card.classes, grown.card.values) == (("axon", "myelin", "vessel"), (1, 2, 9))
    assert known.card.values == (1, 2)
    image = torch.randn(1, 1, 48, 48)
    with torch.no_grad():
        assert torch.allclose(grown.net(image)[:, :3], known.net(image), atol=1e-5)


@pytest.mark.parametrize("preset", ["tiny", "cpu", "gpu"])
def test_a_new_class_counts_little_before_it_is_learned(preset):
    grown = grow(segmenter(preset), (VESSEL,), seed=0)
    image = torch.randn(1, 1, 64, 64)
    assert grown.probabilities(image)[:, 3].mean() < 0.12


def test_who_knows_all_classes_is_left_alone():
    known = segmenter("tiny")
    assert grow(known, MYELINATED_FIBRE, seed=0) is known


def test_a_grown_segmenter_is_saved_and_loaded(tmp_path):
    grown = grow(segmenter("tiny"), (VESSEL,), seed=0)
    grown.save(tmp_path)
    image = torch.randn(1, 1, 32, 32)
    again = Segmenter.load(tmp_path, "cpu")
    assert torch.equal(again.probabilities(image), grown.probabilities(image))
