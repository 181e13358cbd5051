import pytest
import torch

from histobridge.core.translate.diffusion import sample, vp_schedule

PUBLISHED = {
    "added²": [1e-8, 0.4782553, 0.8492060, 0.9564177, 0.9874039],
    "signal": [1, 0.722319, 0.280492, 0.058557, 0.006572],
    "noise": [1e-4, 0.691560, 0.959856, 0.998284, 0.999978],
    "spread²": [0, 0.440819, 0.884202, 0.984061],
    "from_clean": [1, 0.665778, 0.269191, 0.057822],
    "from_noisy": [0, 0.201576, 0.193001, 0.111852],
}


@pytest.fixture(scope="module")
def schedule():
    return vp_schedule()


def times(step, count):
    return torch.full((count,), step)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_coefficients_are_the_published_ones(schedule, name):
    table = getattr(schedule, name.rstrip("²"))
    squared = table**2 if name.endswith("²") else table
    torch.testing.assert_close(squared, torch.tensor(PUBLISHED[name]), atol=1e-6, rtol=0)


def test_signal_and_noise_keep_the_variance(schedule):
    torch.testing.assert_close(schedule.signal**2 + schedule.noise**2, torch.ones(5))
    torch.testing.assert_close(schedule.kept**2 + schedule.added**2, torch.ones(5))


def test_two_steps_are_as_good_as_the_last_one(schedule):
    assert vp_schedule(2).steps == 2
    torch.testing.assert_close(vp_schedule(2).signal[-1], schedule.signal[-1])


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_one_step_more_gives_the_noise_of_the_time_after(schedule, step):
    count = 200_000
    pair = noise(2, count, 1, 1, 1)
    now, later = schedule.pair(torch.full((count, 1, 1, 1), 0.7), times(step, count), *pair)
    for drawn, time in ((now, step), (later, step + 1)):
        assert drawn.mean().item() == pytest.approx(0.7 * schedule.signal[time].item(), abs=0.01)
        assert drawn.std().item() == pytest.approx(schedule.noise[time].item(), rel=0.01)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_way_back_undoes_the_way_there(schedule, step):
    count = 200_000
    clean, (first, more, back) = torch.full((count, 1, 1, 1), -0.4), noise(3, count, 1, 1, 1)
    now, later = schedule.pair(clean, times(step, count), first, more)
    again = schedule.earlier(clean, later, times(step, count), back)
    assert again.mean().item() == pytest.approx(now.mean().item(), abs=0.01)
    assert again.std().item() == pytest.approx(now.std().item(), rel=0.01)
    both = [torch.corrcoef(torch.stack([drawn.flatten(), later.flatten()]))[0, 1].item() for drawn in (now, again)]
    assert both[0] == pytest.approx(both[1], abs=0.01)


def test_the_last_step_returns_what_was_predicted(schedule):
    clean, later, back = noise(3, 2, 1, 4, 4)
    assert torch.equal(schedule.earlier(clean, later, times(0, 2), back), clean)


def test_sampling_with_a_perfect_prediction_gives_the_image(schedule):
    truth, source = noise(2, 3, 1, 4, 4)
    seen = []

    def predict(noisy, beside, step, latent):
        seen.append((step.tolist(), latent.item()))
        assert torch.equal(beside, source)
        return truth

    result = sample(predict, schedule, source, lambda step: noise(3, 1, 4, 4), lambda step: torch.tensor(10.0 * step))
    assert torch.equal(result, truth)
    assert seen == [([3] * 3, 30), ([2] * 3, 20), ([1] * 3, 10), ([0] * 3, 0)]


def test_images_of_a_batch_may_be_at_different_times(schedule):
    clean, first, more = noise(3, 2, 1, 4, 4)
    now, _ = schedule.pair(clean, torch.tensor([0, 3]), first, more)
    alone, _ = schedule.pair(clean[1:], torch.tensor([3]), first[1:], more[1:])
    assert torch.equal(now[1:], alone)
