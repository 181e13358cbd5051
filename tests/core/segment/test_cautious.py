"""Fine-tuning on little: frozen statistics, weights near their start, replay."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from histobridge.core.segment.cautious import (
    frozen_statistics,
    go_back,
    replay_share,
    share_of_the_way,
    weights_of,
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


def learn(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net.train()
    net(torch.randn(2, 1, 16, 16) + 3).square().mean().backward()
    optimizer.step()


def test_frozen_statistics_stay_while_all_weights_learn(net):
    before = weights_of(net)
    with frozen_statistics(net):
        learn(net)
        assert not net[1].training
    after = net.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in ("1.running_mean", "1.running_var"))
    assert not any(torch.equal(after[name], before[name]) for name in ("0.weight", "1.weight", "1.bias", "3.weight"))


def test_afterwards_statistics_follow_again(net):
    with frozen_statistics(net):
        pass
    before = weights_of(net)
    learn(net)
    assert not torch.equal(net.state_dict()["1.running_mean"], before["1.running_mean"])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_and_statistics_end_the_share_of_the_way(net, share):
    start = weights_of(net)
    learn(net)
    tuned = weights_of(net)
    go_back(net, start, share)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, start[name] + share * (tuned[name] - start[name]))
    assert net.state_dict()["1.num_batches_tracked"] == tuned["1.num_batches_tracked"]


def test_shares_of_the_issue():
    assert [share_of_the_way(tiles, 0.4) for tiles in (1, 2, 3, 4, 16)] == pytest.approx([0.4, 0.6, 0.8, 1, 1])
    assert share_of_the_way(0.1, 0.4) == pytest.approx(0.4)
    assert share_of_the_way(2.5, 0.4) == pytest.approx(0.7)
    assert replay_share(0.1, 1 / 3) == pytest.approx(1 / 3)
    assert replay_share(1, 1 / 3) == pytest.approx(1 / 3)
    assert replay_share(8, 1 / 3) == replay_share(30, 1 / 3) == pytest.approx(0.1)
    assert replay_share(3, 0.0) == 0.0
    assert replay_share(3, 0.05) == 0.05


@given(st.integers(1, 30), st.floats(0, 1))
@settings(deadline=None)
def test_with_every_tile_the_weights_go_further_and_the_source_counts_less(tiles, share):
    assert share - 1e-9 <= share_of_the_way(tiles, share) <= share_of_the_way(tiles + 1, share) <= 1 + 1e-9
    assert replay_share(tiles + 1, share) <= replay_share(tiles, share) + 1e-9 <= share + 2e-9
