"""Contrastive, pretext and translating terms: cases by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from histobridge.core.errors import InputError
from histobridge.core.segment.terms.base import Scene, Student, Unlabelled
from histobridge.core.segment.terms.build import build_terms
from histobridge.core.segment.terms.contrastive import info_nce
from histobridge.core.segment.terms.pretext import distant_orders, mutual_information
from histobridge.core.training_config import SegmenterTraining


class Blocks(nn.Module):
    """A network whose bottleneck holds means of 2 x 2 pixels in two channels, m and 1 - m; says nothing."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 1))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 1))
        with torch.no_grad():
            self.down[1].weight[:] = torch.tensor([1.0, -1.0])[:, None, None, None]
            self.down[1].bias[:] = torch.tensor([0.0, 1.0])
            self.up[1].weight.zero_()
            self.up[1].bias.zero_()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(image))


def term_of(net: nn.Module, look=None, **settings):
    (term,) = build_terms(SegmenterTraining.model_validate({"terms": [settings]}).terms, Student(net, 2, 0, look))
    return term


def scene(net: nn.Module, weak: torch.Tensor, strong: torch.Tensor | None = None, place=None) -> Scene:
    count, _, *size = weak.shape
    labelled = torch.zeros(count, 1, *size), torch.zeros(count, *size, dtype=torch.long), torch.ones(count, *size)
    place = torch.tensor([[number, 0, 0] for number in range(count)]) if place is None else place
    return Scene(net, net, (1, 1), labelled, Unlabelled(weak, weak if strong is None else strong, place))


def unchanged(term):
    """Compare the features themselves."""
    term.nets = nn.Identity()
    return term


def test_info_nce_of_two_things_at_a_right_angle():
    things = torch.tensor([[[2.0, 0.0], [0.0, 5.0]]])
    # cosines: 1 with the other view, 0 with both views of the other thing
    assert info_nce(things, things, 0.5).item() == pytest.approx(-math.log(math.e**2 / (math.e**2 + 2)), abs=1e-6)
    assert info_nce(things[:, :1], things[:, :1], 0.5).item() == pytest.approx(0)


def test_contrastive_global_tells_crops_apart_by_their_pooled_bottleneck():
    net = Blocks()
    crops = torch.stack([torch.ones(1, 32, 32), torch.zeros(1, 32, 32)])  # pooled: (1, 0) and (0, 1)
    term = unchanged(term_of(net, kind="contrastive-global"))
    expected = math.log(1 + 2 * math.exp(-10))
    assert term.loss(scene(net, crops)).item() == pytest.approx(expected, abs=1e-6)
    swapped = term.loss(scene(net, crops, crops.flip(0)))
    assert swapped.item() == pytest.approx(math.log(2 + math.exp(10)), abs=1e-5)


def test_crops_that_overlap_are_not_told_apart():
    net = Blocks()
    crops = torch.zeros(2, 1, 32, 32)
    term = unchanged(term_of(net, kind="contrastive-global"))
    beside, over = (torch.tensor([[0, 0, 0], [0, 0, column]]) for column in (32, 31))
    assert term.loss(scene(net, crops, place=beside)).item() == pytest.approx(math.log(3), abs=1e-6)
    assert term.loss(scene(net, crops, place=over)).item() == pytest.approx(0, abs=1e-6)


def test_contrastive_local_tells_places_apart():
    net = Blocks()
    crop = torch.zeros(1, 1, 6, 12)
    crop[..., :6] = 1  # two regions of 3 x 3 features: (1, 0) and (0, 1)
    term = unchanged(term_of(net, kind="contrastive-local", stride=2))
    assert term.loss(scene(net, crop)).item() == pytest.approx(math.log(1 + 2 * math.exp(-10)), abs=1e-6)


def test_contrastive_local_needs_more_than_one_region():
    net = Blocks()
    with pytest.raises(InputError, match="larger crops"):
        term_of(net, kind="contrastive-local", stride=2).loss(scene(net, torch.zeros(1, 1, 6, 6)))


def test_a_stride_that_the_network_lacks_is_told():
    with pytest.raises(InputError, match="stride of 8"):
        term_of(Blocks(), kind="contrastive-local", stride=8)


def test_rotation_is_the_cross_entropy_of_four_turns():
    net = Blocks()
    term = term_of(net, kind="rotation")
    nn.init.zeros_(term.nets[0].weight)
    with torch.no_grad():
        term.nets[0].bias[:] = torch.tensor([math.log(5), 0.0, 0.0, 0.0])  # says: not turned, with 5/8
    seen = {round(term.loss(scene(net, torch.zeros(1, 1, 32, 32))).item(), 4) for _ in range(40)}
    assert seen == {round(math.log(8 / 5), 4), round(math.log(8), 4)}


def test_rotation_turns_what_the_student_sees():
    net = Blocks()
    crop = torch.zeros(1, 1, 4, 4)
    crop[0, 0, :2, :2] = 1
    corners = []
    term = term_of(net, kind="rotation")
    net.down.register_forward_hook(lambda module, inputs, maps: corners.append(int(maps[0, 0].flatten().argmax())))
    for _ in range(40):
        term.loss(scene(net, crop))
    assert set(corners) == {0, 1, 2, 3}


def test_jigsaw_shuffles_the_pieces_in_the_order_that_is_asked_for():
    net = Blocks()
    crop = torch.zeros(1, 1, 32, 32)
    for number, (y, x) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        crop[..., y : y + 16, x : x + 16] = number
    shown = []
    term = term_of(net, kind="jigsaw", permutations=24)

    class Watching(nn.Module):
        """Notes the order of the pieces and is sure of one and the same answer."""

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            shown.append(tuple(int(value) for value in seen[0, ::2].round()))
            return torch.where(torch.arange(24) == 3, math.log(2), 0.0)[None]

    term.nets = Watching()
    losses = [term.loss(scene(net, crop)).item() for _ in range(60)]
    orders = [tuple(order) for order in distant_orders(4, 24).tolist()]
    for order, loss in zip(shown, losses, strict=True):
        assert loss == pytest.approx(math.log(25 / (2 if orders.index(order) == 3 else 1)), abs=1e-5)
    assert len(set(shown)) > 12


def test_crops_too_small_for_a_jigsaw_are_told():
    net = Blocks()
    with pytest.raises(InputError, match="at least 48 px"):
        term_of(net, kind="jigsaw", grid=3).loss(scene(net, torch.zeros(1, 1, 32, 32)))


@pytest.mark.parametrize(("pieces", "wanted", "apart"), [(4, 4, 4), (4, 24, 2), (9, 30, 7)])
def test_orders_are_permutations_far_from_each_other(pieces, wanted, apart):
    orders = distant_orders(pieces, wanted)
    assert orders.shape == (wanted, pieces)
    assert (np.sort(orders, axis=1) == np.arange(pieces)).all()
    differ = (orders[:, None] != orders[None]).sum(axis=2)
    assert differ[~np.eye(wanted, dtype=bool)].min() >= apart
    assert np.array_equal(orders, distant_orders(pieces, wanted))


def test_mutual_information_of_two_clusters():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T[None, None, :, :, None]  # two places, one in each cluster
    assert mutual_information(first, first, 0).item() == pytest.approx(math.log(2), abs=1e-5)
    unsure = torch.full_like(first, 0.5)
    assert mutual_information(first, unsure, 0).item() == pytest.approx(0, abs=1e-6)
    # joint (0.5 * (0.8, 0.2), 0.5 * (0.2, 0.8)): log 2 less the entropy of (0.8, 0.2)
    leaning = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).T[None, None, :, :, None]
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    assert mutual_information(first, leaning, 0).item() == pytest.approx(math.log(2) - entropy, abs=1e-5)


def test_mutual_information_with_neighbours():
    column = torch.tensor([1.0, 1.0, 0.0, 0.0])
    clusters = torch.stack([column, 1 - column])[None, None, :, :, None]
    # shifted by 0 log 2; by one along the column, of three pairs one is mixed, symmetrised; sideways there are no pairs
    assert mutual_information(clusters, clusters, 0).item() == pytest.approx(math.log(2), abs=1e-5)
    wide = clusters.expand(-1, -1, -1, -1, 3)
    shifted = mutual_information(wide, wide, 1).item()
    joint = {(0, 0): 1 / 3, (1, 1): 1 / 3, (0, 1): 1 / 6, (1, 0): 1 / 6}
    moved = sum(share * math.log(share / 0.25) for share in joint.values())
    assert shifted == pytest.approx((3 * math.log(2) + 6 * moved) / 9, abs=1e-5)


def test_the_term_weighs_bottleneck_and_decoder():
    net = Blocks()
    crop = torch.zeros(1, 1, 32, 32)
    crop[..., 16:] = 1
    term = term_of(net, kind="mutual-information", clusters=2, heads=1, stride=2, shift=0, encoder=1.0, decoder=0.5)
    for head in term.nets:
        with torch.no_grad():
            head.weight[:, :, 0, 0] = 50 * torch.eye(2)
            head.bias.zero_()
    assert term.loss(scene(net, crop)).item() == pytest.approx(-1.5 * math.log(2), abs=1e-4)


class TwoLooks(nn.Module):
    """Says (1/2, 1/2) where the image is 0 and (3/4, 1/4) where it is 1."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([math.log(3), 0.0])[None, :, None, None])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.factor


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"consistency": False}, -math.log(0.75)),
        ({"labels": False}, -0.5 * math.log(0.75 / 0.5) - 0.5 * math.log(0.25 / 0.5)),
        ({}, -math.log(0.75) - 0.5 * math.log(0.75 / 0.5) - 0.5 * math.log(0.25 / 0.5)),
    ],
)
def test_semantic_consistency_is_cross_entropy_plus_divergence_on_the_translation(parts, expected):
    net = TwoLooks()
    term = term_of(net, lambda image, rng: image + 1, kind="semantic-consistency", translator="instant", **parts)
    assert term.loss(scene(net, torch.zeros(1, 1, 2, 2))).item() == pytest.approx(expected, abs=1e-6)


def test_unlabelled_pixels_count_for_consistency_alone():
    net = TwoLooks()
    labelled = torch.zeros(1, 1, 2, 2), torch.full((1, 2, 2), 255), torch.ones(1, 2, 2)
    seen = Scene(net, net, (1, 1), labelled, None)
    term = term_of(net, lambda image, rng: image + 1, kind="semantic-consistency", translator="instant")
    assert term.loss(seen).item() == pytest.approx(-0.5 * math.log(0.75 * 0.25 / 0.25), abs=1e-6)


def test_a_translator_that_is_not_there_is_told():
    with pytest.raises(InputError, match="choose strong"):
        term_of(TwoLooks(), kind="semantic-consistency", translator="instant")
