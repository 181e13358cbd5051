import numpy as np
import pytest
import torch
from brief_training import BRIEF, CPU, SMALL_BRIDGE, SMALL_DIFFUSION, batch

from histobridge.core.translate.adversaries import Adversaries
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.losses import FakePool, average_weight, discriminator_loss, least_squares
from histobridge.core.translate.syndiff_learning import SynDiffLearner

DIFFUSION = BRIEF.model_copy(update={"method": "syndiff", "syndiff": SMALL_DIFFUSION})


def test_least_squares_is_the_mean_squared_distance_from_the_answer():
    logits = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert least_squares(logits, True).item() == pytest.approx((1 + 0 + 1 + 4) / 4)
    assert least_squares(logits, False).item() == pytest.approx((0 + 1 + 4 + 9) / 4)


def test_discriminator_loss_is_zero_when_right_and_a_quarter_when_undecided():
    ones, zeros, half = torch.ones(2, 3), torch.zeros(2, 3), torch.full((2, 3), 0.5)
    assert discriminator_loss(ones, zeros).item() == 0
    assert discriminator_loss(half, half).item() == 0.25
    assert discriminator_loss(zeros, ones).item() == 1


def test_average_is_the_plain_mean_at_first_and_forgets_slowly_later():
    mean = 123.0
    for step, value in enumerate([2.0, 4.0, 6.0]):
        weight = average_weight(step, 0.999)
        mean = weight * mean + (1 - weight) * value
    assert mean == pytest.approx(4.0)
    assert average_weight(10_000, 0.999) == 0.999


def test_a_recent_average_counts_later_values_as_a_power_of_their_number():
    mean, values = 123.0, [2.0, 4.0, 6.0]
    for step, value in enumerate(values):
        weight = average_weight(step, 0.999, recency=1.0)
        mean = weight * mean + (1 - weight) * value
    assert mean == pytest.approx((1 * 2 + 2 * 4 + 3 * 6) / 6)
    assert average_weight(10_000, 0.999, recency=3.0) == 0.999


@pytest.mark.parametrize("method", ["cyclegan", "cut", "syndiff", "bridgecut"])
@pytest.mark.parametrize("published", [False, True])
def test_late_weights_count_most_and_those_of_the_last_step_alone_where_published_so(method, published):
    small = {"method": method, "published": published, "syndiff": SMALL_DIFFUSION, "bridge": SMALL_BRIDGE}
    learner = build_learner(BRIEF.model_copy(update=small), CPU, (1,))
    expected = weights_of(learner.average)
    for step in range(1, 4):
        learner.step(*batch(4, seed=step), torch.ones(4, 32, 32, dtype=torch.uint8))
        past = average_weight(step, 0.999, recency=3.0)
        expected = past * expected + (1 - past) * weights_of(learner.networks)
    if published and method in ("cyclegan", "cut"):
        expected = weights_of(learner.networks)
    torch.testing.assert_close(weights_of(learner.average), expected)


def weights_of(networks):
    return torch.cat([weight.detach().flatten() for weight in networks.parameters()])


def image(value: float) -> torch.Tensor:
    return torch.full((1, 1, 4, 4), value)


def test_pool_returns_the_first_fakes_as_they_are():
    pool = FakePool(50)
    assert [pool.swap(image(value)).unique().item() for value in range(50)] == list(range(50))
    assert len(pool.fakes) == 50


def test_full_pool_returns_an_older_fake_half_of_the_time():
    pool = FakePool(50)
    for value in range(50):
        pool.swap(image(value))
    older = [pool.swap(image(value)).unique().item() < value for value in range(50, 1050)]
    assert 0.45 < np.mean(older) < 0.55
    assert len(pool.fakes) == 50


def test_pool_returns_no_fake_twice_from_its_store():
    pool = FakePool(5)
    returned = [pool.swap(image(value)).unique().item() for value in range(300)]
    swapped = [value for place, value in enumerate(returned[5:], 5) if value != place]
    assert len(set(swapped)) == len(swapped)


def test_pool_hands_out_no_gradients():
    fake = image(1.0).requires_grad_()
    assert not FakePool().swap(fake * 2).requires_grad


def test_pool_continues_where_its_state_was_taken():
    pool, again = FakePool(3, seed=1), FakePool(3, seed=2)
    for value in range(6):
        pool.swap(image(value))
    again.restore(*pool.state())
    assert all(torch.equal(pool.swap(image(value)), again.swap(image(value))) for value in range(6, 40))


def test_state_of_an_empty_pool_can_be_restored():
    pool = FakePool()
    pool.restore(*pool.state())
    assert torch.equal(pool.swap(image(1)), image(1))


def test_cyclegan_minimises_the_weighted_sum_of_its_paper():
    learner = Adversaries(BRIEF, CPU)
    source, target = batch(1)
    (part,) = learner.parts({"source": source, "target": target}, None)
    losses, fakes = learner.make(part)
    there, back = (learner.networks[name] for name in ("source_to_target", "target_to_source"))
    cycle = (back(there(source)) - source).abs().mean() + (there(back(target)) - target).abs().mean()
    identity = (there(target) - target).abs().mean() + (back(source) - source).abs().mean()
    fooled = least_squares(learner.judge("target", there(source)), True)
    fooled = fooled + least_squares(learner.judge("source", back(target)), True)
    assert losses["loss"].item() == pytest.approx((fooled + 10 * cycle + 5 * identity).item(), rel=1e-5)
    torch.testing.assert_close(fakes["target"], there(source).detach())


def test_syndiff_minimises_the_losses_of_its_paper(monkeypatch):
    """Softplus of the logits, each with its sign; half the weight for the clean image and for the cycle."""
    learner = SynDiffLearner(DIFFUSION.model_copy(update={"identity_weight": 0.0}), CPU)
    (part,) = learner.parts(dict(zip(("source", "target"), batch(1), strict=True)), None)
    real = [*part.real.values(), *(noised.now for noised in part.drawn.values())]

    def judged(of_real, of_made, images):
        return torch.tensor(of_real if any(images.equal(one) for one in real) else of_made)

    monkeypatch.setattr(learner, "judge", lambda domain, images: judged(3.0, -2.0, images))
    monkeypatch.setattr(learner, "_judge_pair", lambda domain, images, *_, **__: judged(5.0, -1.0, images))
    losses, made = learner.make(part)
    minus = {logit: np.log1p(np.exp(-logit)) for logit in (-1.0, -2.0, 1.0, 2.0, 3.0, 5.0)}
    assert losses["generator"].item() == pytest.approx(2 * (minus[-1.0] + minus[-2.0]), rel=1e-5)
    weighted = losses["generator"] + 0.5 * losses["clean"] + 0.5 * losses["cycle"]
    assert losses["loss"].item() == pytest.approx(weighted.item())
    clean = sum((made.clean[domain] - part.real[domain]).abs().mean() for domain in part.real)
    assert losses["clean"].item() == pytest.approx(clean.item())
    told_apart = minus[5.0] + minus[1.0] + minus[3.0] + minus[2.0]
    assert learner.judge_made(part, made).item() == pytest.approx(2 * told_apart, rel=1e-5)


def test_ours_holds_the_cycle_of_syndiff_to_images_that_need_no_change():
    learner = SynDiffLearner(DIFFUSION, CPU)
    (part,) = learner.parts(dict(zip(("source", "target"), batch(1), strict=True)), None)
    losses, made = learner.make(part)
    there, back = (learner.networks[name] for name in ("source_to_target", "target_to_source"))
    source, target = part.real["source"], part.real["target"]
    identity = (there(target) - target).abs().mean() + (back(source) - source).abs().mean()
    cycle = (back(made.cycle["target"]) - source).abs().mean() + (there(made.cycle["source"]) - target).abs().mean()
    assert losses["identity"].item() == pytest.approx(identity.item(), rel=1e-5)
    assert losses["cycle"].item() == pytest.approx(cycle.item(), rel=1e-5)
    weighted = losses["generator"] + 0.5 * (losses["clean"] + losses["cycle"]) + 5 * losses["identity"]
    assert losses["loss"].item() == pytest.approx(weighted.item(), rel=1e-5)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_any_number_of_crops_makes_a_batch_of_syndiff(count):
    assert SynDiffLearner(DIFFUSION.model_copy(update={"batch_size": count}), CPU).step(*batch(count))
