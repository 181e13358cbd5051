from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from histobridge.core.checkpoint import load_checkpoint, save_checkpoint
from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.job import finish
from histobridge.core.translate.adversaries import Adversaries
from histobridge.core.translate.base import look_of
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.crops import ImageCrops, crops_of
from histobridge.core.translate.learn import train_pair
from histobridge.core.translate.presets import PRESETS

BRIDGE = BridgeSettings(steps=3, segmenter_width=4, patches=16, projection_width=8)


@pytest.fixture
def brief(small):
    return small.model_copy(update={"steps": 20, "crop_px": 32, "channels": 4, "blocks": 1, "checkpoint_every": 8})


@pytest.fixture
def crops(pair):
    source = pair.instant.translate(pair.source[0], "source_to_target", look_of(pair.source[0]))
    return [torch.from_numpy(field[:32, :32].copy())[None, None] for field in (source, pair.target[0])]


def train(pair, config, folder=None, **fields):
    return train_pair(
        fields.get("source", pair.source), fields.get("target", pair.target), pair.instant, config, folder
    )


def result_of(translator, image):
    return translator.translate(image, "source_to_target", look_of(image))


def weights_of(networks):
    return torch.cat([weight.detach().flatten() for weight in networks.parameters()])


def test_the_same_seed_gives_the_same_translator_to_the_bit(pair, brief):
    first, second = (finish(train(pair, brief)) for _ in range(2))
    assert np.array_equal(result_of(first, pair.tested[0]), result_of(second, pair.tested[0]))


def test_another_seed_gives_another_translator(pair, brief):
    first, second = (finish(train(pair, brief.model_copy(update={"seed": seed}))) for seed in (0, 1))
    assert not np.array_equal(result_of(first, pair.tested[0]), result_of(second, pair.tested[0]))


def test_training_leaves_the_random_state_of_others_alone(pair, brief):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    finish(train(pair, brief.model_copy(update={"steps": 2})))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("method", "stop_at"), [("cyclegan", 1), ("cyclegan", 13), ("bridgecut", 9)])
def test_a_cancelled_and_resumed_training_equals_an_uninterrupted_one(pair, brief, tmp_path, method, stop_at):
    if method == "bridgecut":
        brief = brief.model_copy(update={"method": method, "bridge": BRIDGE, "augment": True, "class_balanced": True})
        pair = replace(pair, source=pair.labelled)
    uninterrupted = finish(train(pair, brief))
    job = train(pair, brief, tmp_path)
    list(islice(job, stop_at))
    job.close()
    assert (tmp_path / "checkpoint.safetensors").exists()
    steps = []
    resumed = finish(train(pair, brief, tmp_path), watch=lambda progress: steps.append(progress.step))
    assert steps == list(range(stop_at + 1, 21))
    for direction in ("source_to_target", "target_to_source"):
        image = pair.tested[0]
        results = [gan.translate(image, direction, look_of(image)) for gan in (uninterrupted, resumed)]
        assert np.array_equal(*results)


def test_a_killed_training_goes_on_from_its_last_checkpoint(pair, brief, tmp_path):
    uninterrupted = finish(train(pair, brief))
    job = train(pair, brief, tmp_path)
    list(islice(job, 8))
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    list(islice(job, 3))
    job.close()
    (tmp_path / "checkpoint.safetensors").write_bytes(kept)
    resumed = finish(train(pair, brief, tmp_path))
    assert np.array_equal(result_of(uninterrupted, pair.tested[0]), result_of(resumed, pair.tested[0]))


def test_a_full_pool_survives_a_resume(crops, brief, tmp_path):
    training = Adversaries(brief, torch.device("cpu"))
    for pool in training.pools.values():
        pool.size = 2
    for _ in range(4):
        training.step(*crops)
    again = Adversaries(brief.model_copy(update={"seed": 9}), torch.device("cpu"))
    for pool in again.pools.values():
        pool.size = 2
    save_checkpoint(tmp_path, *training.state())
    again.restore(*load_checkpoint(tmp_path))
    assert [training.step(*crops) for _ in range(4)] == [again.step(*crops) for _ in range(4)]
    assert torch.equal(weights_of(training.average), weights_of(again.average))


def test_checkpoints_are_reported_with_their_step(pair, brief, tmp_path):
    steps = []
    finish(train_pair(pair.source, pair.target, pair.instant, brief, tmp_path, steps.append))
    assert steps == [8, 16, 20]


def test_a_finished_training_is_not_trained_again(pair, brief, tmp_path):
    first = finish(train(pair, brief, tmp_path))
    steps = []
    again = finish(train(pair, brief, tmp_path), watch=steps.append)
    assert steps == []
    assert np.array_equal(result_of(first, pair.tested[0]), result_of(again, pair.tested[0]))


def test_a_checkpoint_of_other_networks_is_refused(pair, brief, tmp_path):
    finish(train(pair, brief.model_copy(update={"steps": 1}), tmp_path))
    with pytest.raises(ProjectError, match="other networks"):
        finish(train(pair, brief.model_copy(update={"channels": 8}), tmp_path))


def test_progress_tells_losses_and_shows_the_same_tiles_of_both_domains(pair, small):
    config = small.model_copy(update={"steps": 51, "crop_px": 32, "channels": 2, "blocks": 1})
    shown, tiles = {}, {}
    for progress in train(pair, config):
        losses = {name: value for name, value in progress.metrics.items() if not name.startswith("tiles/")}
        assert set(losses) == {"generator", "discriminator", "cycle", "identity"}
        if progress.preview:
            shown[progress.step] = progress.preview
            tiles[progress.step] = {name: progress.metrics[name] for name in progress.metrics if name not in losses}
    assert list(shown) == [1, 6, 50, 51], "the sixth is the first at which the polarity has settled"
    for name in ("source_to_target", "target_to_source"):
        assert (shown[50][name].shape, shown[50][name].dtype) == ((4 * 32, 3 * 32), np.uint8)
        assert np.array_equal(shown[1][name][:, :32], shown[51][name][:, :32])
        assert not np.array_equal(shown[1][name][:, 32:], shown[51][name][:, 32:])
    assert set(tiles[50]) == {"tiles/source back", "tiles/target back", "tiles/to source", "tiles/to target"}
    for name in ("tiles/source back", "tiles/target back"):
        assert tiles[51][name] < tiles[1][name]


def test_constant_crops_are_finite_and_learned_from(crops, brief):
    training = Adversaries(brief, torch.device("cpu"))
    losses = training.step(torch.zeros(1, 1, 32, 32), crops[1])
    assert all(np.isfinite(list(losses.values())))
    assert weights_of(training.networks).isfinite().all()


def test_one_image_a_domain_is_enough(pair, brief):
    translator = finish(train(pair, brief, source=pair.source[:1], target=pair.target[:1]))
    assert np.isfinite(result_of(translator, pair.tested[0])).all()


@pytest.mark.slow
def test_three_times_as_many_images_of_one_domain_teach_as_well(pair, small):
    """Every step sees as many crops of both, so the smaller domain is not drowned."""
    translator = finish(train(pair, small, target=pair.target[:2]))
    assert pair.error(translator) < 0.8 * pair.error(pair.instant)


def test_images_smaller_than_a_crop_are_reflected(pair, brief):
    translator = finish(train(pair, brief, source=[pair.source[0][:20, :50]], target=pair.target))
    assert np.isfinite(result_of(translator, pair.tested[0])).all()


def test_a_crop_of_nan_changes_no_weight_to_nan(crops, brief):
    training = Adversaries(brief, torch.device("cpu"))
    for _ in range(3):
        training.step(*crops)
    assert training.step(torch.full((1, 1, 32, 32), torch.nan), crops[1]) == {}
    assert weights_of(training.networks).isfinite().all()
    assert torch.equal(weights_of(training.networks), weights_of(training.average))
    assert set(training.step(*crops)) == {"generator", "discriminator", "cycle", "identity"}


@pytest.mark.parametrize("name", ["source_to_target", "target"])
def test_weights_that_became_nan_are_restored_from_the_running_mean(crops, brief, name):
    training = Adversaries(brief, torch.device("cpu"))
    training.step(*crops)
    with torch.no_grad():
        next(training.networks[name].parameters()).fill_(torch.nan)
    assert training.step(*crops) == {}
    assert training.step(*crops)
    assert weights_of(training.average).isfinite().all()


def test_a_training_that_stays_nan_gives_up_with_a_remedy(crops, brief):
    training = Adversaries(brief, torch.device("cpu"))
    nothing = torch.full((1, 1, 32, 32), torch.nan)
    assert [training.step(nothing, crops[1]) for _ in range(19)] == [{}] * 19
    with pytest.raises(ProjectError, match="learning_rate"):
        training.step(nothing, crops[1])


def test_images_with_nan_are_refused_before_training(pair, brief):
    damaged = pair.target[0].copy()
    damaged[3, 3] = np.nan
    with pytest.raises(InputError, match="image 2 of 2"):
        finish(train(pair, brief, target=[pair.target[1], damaged]))


def test_an_empty_domain_is_refused(pair, brief):
    with pytest.raises(InputError, match="no images"):
        finish(train(pair, brief, target=[]))


def test_learning_rate_is_constant_then_falls_to_nearly_zero(crops, brief):
    training = Adversaries(brief, torch.device("cpu"))
    rates = []
    for _ in range(20):
        training.step(*crops)
        rates.append(training.optimizers["generators"].param_groups[0]["lr"] / brief.learning_rate)
    assert rates[:11] == [1] * 11
    np.testing.assert_allclose(rates[10:], np.linspace(1, 0.1, 10))


def test_nearly_constant_crops_are_drawn_again():
    field = np.zeros((64, 256), np.float32)
    field[:, 192:] = np.random.default_rng(0).uniform(-1, 1, (64, 64))
    crops = ImageCrops([field], 32, seed=0)
    assert all(crops.draw().std() > 2 / 255 for _ in range(50))


def test_a_wholly_constant_domain_still_gives_crops():
    assert ImageCrops([np.zeros((40, 40), np.float32)], 32, seed=0).draw().shape == (1, 1, 32, 32)


def test_larger_images_give_more_crops():
    fields = [
        np.random.default_rng(0).normal(mean, 0.1, (side, side)).astype(np.float32)
        for mean, side in ((-1, 32), (1, 96))
    ]
    means = [ImageCrops(fields, 32, seed=seed).draw().mean().item() for seed in range(200)]
    assert 0.82 < np.mean(np.array(means) > 0) < 0.97


def orientations(config):
    field = np.arange(1024, dtype=np.float32).reshape(32, 32) / 1024
    crops = crops_of({"source": [field]}, config.model_copy(update={"crop_px": 32}), seed=0)["source"]
    return field, {crops.draw().numpy().tobytes() for _ in range(200)}


def test_crops_come_in_all_eight_orientations():
    assert len(orientations(TrainTranslatorConfig())[1]) == 8


@pytest.mark.parametrize(
    ("method", "preset", "flips"),
    [
        pytest.param("cyclegan", "faithful", [(), (1,)], id="CycleGAN mirrors"),
        pytest.param("cut", "faithful", [(), (1,)], id="CUT mirrors"),
        pytest.param("syndiff", "faithful", [(), (0,), (1,), (0, 1)], id="the histology paper flips both ways"),
        pytest.param("syndiff", "faithful-256", [()], id="the authors of SynDiff do neither"),
    ],
)
def test_crops_come_in_the_orientations_of_the_paper(method, preset, flips):
    field, found = orientations(PRESETS[method][preset])
    assert found == {np.flip(field, axes).tobytes() for axes in flips}
