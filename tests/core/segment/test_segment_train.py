from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from histobridge.core.config import FineTuneConfig, SegmenterTraining
from histobridge.core.errors import ProjectError
from histobridge.core.job import finish
from histobridge.core.segment.crops import CropSampler, Field
from histobridge.core.segment.networks import build_network
from histobridge.core.segment.schedule import learning_rate_share
from histobridge.core.segment.train import DivergedError, train


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stripes():
    labels = np.tile((np.arange(96) // 8 % 2).astype(np.uint8), (96, 1))
    noise = np.random.default_rng(0).normal(0, 0.3, labels.shape)
    return Field(np.clip(labels - 0.5 + noise, -1, 1).astype(np.float32), labels)


def sampler(seed=0):
    return CropSampler([stripes()], 32, 1.0, seed=seed)


def plan(**values):
    defaults = {"preset": "tiny", "steps": 6, "batch_size": 2, "crop_px": 32, "checkpoint_every": 100}
    return SegmenterTraining(**defaults | values)


def weights(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(one, two):
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


class Broken:
    """Gives good batches, but not-a-number images at some steps."""

    def __init__(self, bad):
        self.good, self.bad = sampler(), bad

    def batches(self, size):
        for step, (image, labels, weight) in enumerate(self.good.batches(size), 1):
            yield image * float("nan") if step in self.bad else image, labels, weight

    def state(self):
        return self.good.state()

    def restore(self, state):
        self.good.restore(state)


def test_training_learns_stripes():
    losses = []
    crops = CropSampler([stripes()], 32, 0.0, seed=0)
    job = train(build_network("tiny", 2), crops, plan(steps=60, batch_size=4, learning_rate=1e-2))
    net = finish(job, watch=lambda progress: losses.append(progress.metrics["loss"]))
    assert len(losses) == 60
    assert losses[-1] < 0.3 * losses[0]
    image, labels, _ = next(crops.batches(4))
    with torch.inference_mode():
        assert (net(image).argmax(dim=1) == labels).float().mean() > 0.93


def test_a_resumed_training_equals_an_uninterrupted_one_exactly(tmp_path):
    whole = finish(train(build_network("tiny", 2), sampler(), plan()))
    job = train(build_network("tiny", 2), sampler(), plan(), tmp_path)
    list(islice(job, 3))
    job.close()
    steps = []
    job = train(build_network("tiny", 2, seed=9), sampler(seed=9), plan(), tmp_path)
    resumed = finish(job, watch=lambda progress: steps.append(progress.step))
    assert steps == [4, 5, 6]
    assert same(weights(whole), weights(resumed))


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path):
    whole = finish(train(build_network("tiny", 2), sampler(), plan()))
    saved = []
    killed = train(build_network("tiny", 2), sampler(), plan(checkpoint_every=2), tmp_path, saved.append)
    list(islice(killed, 5))
    assert saved == [2, 4]
    resumed = finish(train(build_network("tiny", 2), sampler(), plan(checkpoint_every=2), tmp_path, saved.append))
    assert saved == [2, 4, 6]
    assert same(weights(whole), weights(resumed))


def test_a_closed_training_leaves_a_checkpoint_and_a_net_to_predict_with(tmp_path):
    net, saved = build_network("tiny", 2), []
    job = train(net, sampler(), plan(), tmp_path, saved.append)
    list(islice(job, 2))
    assert net.training
    job.close()
    assert saved == [2]
    assert not net.training


def test_a_finished_training_started_again_returns_what_it_made(tmp_path):
    made = weights(finish(train(build_network("tiny", 2), sampler(), plan(steps=2), tmp_path)))
    again = train(build_network("tiny", 2, seed=9), sampler(), plan(steps=2), tmp_path)
    assert same(made, weights(finish(again)))


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finish(train(build_network("tiny", 2), sampler(), plan(steps=2)))
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    finish(train(build_network("tiny", 2), sampler(), plan(steps=1), tmp_path))
    with pytest.raises(ProjectError, match=str(tmp_path)):
        next(train(build_network("tiny", 3), sampler(), plan(steps=2), tmp_path))


def test_a_bad_step_is_skipped_and_spoils_nothing():
    net = build_network("tiny", 2)
    job = train(net, Broken({2, 3}), plan(steps=4))
    next(job)
    before = weights(net)
    skipped = [next(job) for _ in range(2)]
    assert [(dict(one.metrics), one.message.split()[0]) for one in skipped] == [({}, "skipped")] * 2
    assert same(before, weights(net))
    assert np.isfinite(next(job).metrics["loss"])
    assert all(torch.isfinite(tensor).all() for tensor in net.state_dict().values())


def test_three_bad_steps_in_a_row_end_the_training_with_its_cause():
    net = build_network("tiny", 2)
    with pytest.raises(DivergedError, match="3 times in a row"):
        finish(train(net, Broken({2, 4, 5, 6}), plan(steps=9)))
    assert not net.training


def test_batches_without_labels_are_survived():
    class Unlabelled(Broken):
        def batches(self, size):
            for image, labels, weight in self.good.batches(size):
                yield image, torch.full_like(labels, 255), weight

    losses = []
    finish(
        train(build_network("tiny", 2), Unlabelled(set()), plan(steps=3)), lambda p: losses.append(p.metrics["loss"])
    )
    assert losses == [0, 0, 0]


def test_a_fine_tuning_config_is_trained_by_the_same_loop():
    progress = []
    finish(train(build_network("tiny", 2), sampler(), FineTuneConfig(steps=2, batch_size=2)), watch=progress.append)
    assert [(one.step, one.total) for one in progress] == [(1, 2), (2, 2)]


def test_the_learning_rate_warms_up_and_decays_to_almost_zero():
    shares = [learning_rate_share(step, 500) for step in range(1, 501)]
    assert shares[0] == pytest.approx(1 / 20)
    assert np.argmax(shares) == 19
    assert all(later < earlier for earlier, later in pairwise(shares[20:]))
    assert 0 < shares[-1] < 0.01
