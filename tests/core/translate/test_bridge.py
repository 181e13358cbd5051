import pytest
import torch

from histobridge.core.translate.bridge import between, bridge_times, walk
from histobridge.core.translate.bridge_networks import StepConvolution, StepRectified


def test_a_bridge_goes_half_the_way_first_and_ends_at_one():
    assert bridge_times(1) == (0, 1)
    assert bridge_times(2) == (0, 0.5, 1)
    assert bridge_times(3) == pytest.approx((0, 0.5, 5 / 6, 1))


@pytest.mark.parametrize(
    ("step", "share", "variance"),
    [(0, 0.5, 0.5 * 0.5 * 1 * 0.04), (1, 2 / 3, 2 / 3 * 1 / 3 * 0.5 * 0.04), (2, 1, 0)],
)
def test_the_next_state_has_mean_and_variance_of_a_brownian_bridge(step, share, variance):
    found, deviation = between(bridge_times(3), step, 0.04)
    assert (found, deviation**2) == pytest.approx((share, variance))


def test_walked_states_have_the_distribution_of_the_bridge():
    start, end = torch.full((1, 1, 100, 100), -0.4), 0.8
    random = torch.Generator().manual_seed(0)
    state = walk(
        lambda x, _: torch.full_like(x, end), start, 2, bridge_times(3), 0.04,
        lambda _: torch.randn(start.shape, generator=random),
    )  # fmt: skip
    # A bridge from -0.4 at 0 to 0.8 at 1, seen at 5/6: variance t (1 - t) tau.
    assert state.mean().item() == pytest.approx(-0.4 + 5 / 6 * 1.2, abs=0.002)
    assert state.var().item() == pytest.approx(5 / 6 * 1 / 6 * 0.04, rel=0.05)


def test_a_walk_of_no_steps_stays_and_draws_nothing():
    start = torch.rand(1, 1, 8, 8)
    assert walk(None, start, 0, bridge_times(1), 1.0, None) is start


def test_a_demodulated_convolution_keeps_the_variance_whatever_its_weights_are():
    random = torch.Generator().manual_seed(0)
    layer = StepRectified(16, 64, 3)
    # Independent inputs after a ReLU whose squares have mean one half.
    x = torch.randn(1, 16, 64, 64, generator=random).relu()
    powers = []
    for factor in (1.0, 7.0):
        with torch.no_grad():
            layer.weight.mul_(factor)
            powers.append(layer(x).square().mean().item())
    assert powers[0] == pytest.approx(powers[1], rel=1e-4)
    assert 0.3 < powers[0] < 0.8


def test_demodulation_by_hand():
    layer = StepConvolution(2, 1, 1, steps=2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([3.0, 2.0])[None, :, None, None])
        layer.gain.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
        layer.bias.copy_(torch.tensor([[0.5], [0.0]]))
    x = torch.tensor([1.0, 0.5])[None, :, None, None].expand(1, 2, 4, 4)
    # Step 0: weights 3 and 4, of length 5; step 1: 0 and 2, of length 2; the ReLU gain is the square root of 2.
    assert layer(x, 0)[0, 0, 0, 0].item() == pytest.approx(2**0.5 * (3 + 2) / 5 + 0.5)
    assert layer(x, 1)[0, 0, 0, 0].item() == pytest.approx(2**0.5 * 0.5)
