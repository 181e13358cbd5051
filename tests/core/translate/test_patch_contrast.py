import math

import pytest
import torch
from torch.nn import functional

from histobridge.core.translate.patch_nce import (
    Projection,
    draw_places,
    features_at,
    patch_contrast,
    with_taps,
)
from histobridge.core.translate.resnet import TAPS, build_resnet


def units(seed, *shape):
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_projection_of_cut_has_as_many_weights_as_published():
    with torch.device("meta"):
        net = Projection((1, 128, 256, 256, 256))
    assert sum(weight.numel() for weight in net.parameters()) == 559_872


def test_contrast_is_the_cross_entropy_over_all_places_of_the_same_image():
    query, key = units(0, 2, 5, 8), units(1, 2, 5, 8)
    each = [functional.cross_entropy(q @ k.T / 0.07, torch.arange(5)) for q, k in zip(query, key, strict=True)]
    assert patch_contrast([query], [key]).item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-6)


def test_contrast_equals_that_of_a_positive_beside_the_other_places():
    query, key = units(0, 6, 8), units(1, 6, 8)
    likeness = query @ key.T
    positive = likeness.diagonal()[:, None]
    others = likeness.masked_fill(torch.eye(6, dtype=torch.bool), -10.0)
    expected = functional.cross_entropy(torch.cat([positive, others], 1) / 0.07, torch.zeros(6, dtype=torch.long))
    assert patch_contrast([query[None]], [key[None]]).item() == pytest.approx(expected.item(), rel=1e-6)


def test_contrast_of_patches_that_are_all_alike_is_the_logarithm_of_their_number():
    same = functional.normalize(torch.ones(1, 16, 4), dim=2)
    assert patch_contrast([same], [same]).item() == pytest.approx(math.log(16), rel=1e-5)


def test_contrast_of_patches_found_for_sure_is_nothing():
    distinct = torch.eye(8)[None]
    assert patch_contrast([distinct], [distinct]).item() < 1e-4


def test_contrast_is_the_mean_over_layers():
    layers = [(units(seed, 1, 4, 8), units(seed + 10, 1, 4, 8)) for seed in range(3)]
    each = [patch_contrast([query], [key]).item() for query, key in layers]
    queries, keys = zip(*layers, strict=True)
    assert patch_contrast(queries, keys).item() == pytest.approx(sum(each) / 3)


def test_gradients_flow_through_queries_only():
    query, key = units(0, 1, 4, 8).requires_grad_(), units(1, 1, 4, 8).requires_grad_()
    patch_contrast([query], [key]).backward()
    assert query.grad.abs().sum() > 0
    assert key.grad is None


def test_patches_are_described_by_unit_vectors_of_their_place():
    net = Projection((3,), width=6, weights="normal")
    feature = torch.randn(2, 3, 4, 5)
    (described,) = net([feature], [torch.tensor([7])])
    assert described.shape == (2, 1, 6)
    torch.testing.assert_close(described.norm(dim=2), torch.ones(2, 1))
    (alone,) = net([feature[:, :, 1:2, 2:3]], [torch.tensor([0])])
    torch.testing.assert_close(described, alone)


def test_places_are_different_ones_and_at_most_as_many_as_there_are():
    random = torch.Generator().manual_seed(0)
    few, all_of_them = draw_places([torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 3, 3)], 20, random)
    assert len(few.unique()) == 20
    assert sorted(all_of_them.tolist()) == list(range(9))


def test_features_on_the_way_are_those_of_a_pass_of_their_own():
    net = build_resnet(2, 5, antialiased=True)
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        made, kept = with_taps(net, x, TAPS)
        torch.testing.assert_close(made, net(x))
        for one, other in zip(kept, features_at(net, x, TAPS), strict=True):
            assert torch.equal(one, other)
