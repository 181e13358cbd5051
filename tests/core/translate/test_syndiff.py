from itertools import islice

import numpy as np
import pytest
import torch

from histobridge.core.checkpoint import load_checkpoint, save_checkpoint
from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.job import finish
from histobridge.core.translate.base import look_of, translate_window
from histobridge.core.translate.card import card_of
from histobridge.core.translate.learn import train_pair
from histobridge.core.translate.learner import load_trained
from histobridge.core.translate.syndiff import SynDiff, halo_of_tiles, tiling
from histobridge.core.translate.syndiff_learning import SynDiffLearner
from histobridge.core.translate.syndiff_presets import SYNDIFF
from histobridge.core.translate.syndiff_settings import SynDiffSettings

THERE, BACK = "source_to_target", "target_to_source"
NETWORKS = SynDiffSettings(
    width=4,
    multipliers=(1,),
    middle_attention=True,
    latent=4,
    latent_width=8,
    latent_layers=0,
    judge_width=2,
    judge_halvings=1,
    judge_time_width=8,
    penalty_every=3,
)
CONFIG = TrainTranslatorConfig(
    method="syndiff",
    steps=20,
    crop_px=32,
    channels=2,
    blocks=1,
    published=True,
    checkpoint_every=8,
    device="cpu",
    syndiff=NETWORKS,
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _few_crops():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("histobridge.core.translate.train.CALIBRATION_CROPS", 4)
        yield


@pytest.fixture(scope="module")
def training(pair):
    """A translator that was hardly trained, without interruption, and all that was said meanwhile."""
    said = []
    return finish(train_pair(pair.source, pair.target, pair.instant, CONFIG), watch=said.append), said


@pytest.fixture(scope="module")
def learned(training):
    return training[0]


@pytest.fixture
def crops(pair):
    return [torch.from_numpy(field[:32, :32].copy())[None, None] for field in (pair.source[0], pair.target[0])]


def weights_of(networks):
    return torch.cat([weight.detach().flatten() for weight in networks.parameters()])


def with_settings(**changes):
    return CONFIG.model_copy(update={"syndiff": NETWORKS.model_copy(update=changes)})


def translated(translator, image, window, direction=THERE):
    return translate_window(translator, lambda part: image[part], image.shape, window, direction, look_of(image))


def test_a_resumed_training_equals_an_uninterrupted_one(pair, learned, tmp_path):
    job = train_pair(pair.source, pair.target, pair.instant, CONFIG, tmp_path)
    list(islice(job, 11))
    job.close()
    resumed = finish(train_pair(pair.source, pair.target, pair.instant, CONFIG, tmp_path))
    for direction in (THERE, BACK):
        results = [one.generate(pair.tested[0][:32, :32], direction) for one in (resumed, learned)]
        assert np.array_equal(*results)


@pytest.mark.parametrize("shared", [True, False])
def test_a_step_after_a_checkpoint_is_the_step_without_it(crops, tmp_path, shared):
    config = with_settings(share_fakes=shared)
    learner, again = SynDiffLearner(config, CPU), SynDiffLearner(config.model_copy(update={"seed": 5}), CPU)
    learner.step(*crops)
    save_checkpoint(tmp_path, *learner.state())
    again.restore(*load_checkpoint(tmp_path))
    assert learner.step(*crops) == again.step(*crops)
    assert torch.equal(weights_of(learner.average), weights_of(again.average))


def test_every_network_learns_and_losses_are_named(crops):
    learner = SynDiffLearner(CONFIG, CPU)
    before = {name: weights_of(net) for name, net in learner.networks.items()}
    losses = learner.step(*crops)
    assert set(losses) == {"generator", "discriminator", "clean", "cycle", "identity"}
    assert not any(torch.equal(before[name], weights_of(net)) for name, net in learner.networks.items())


def test_the_penalty_is_half_the_squared_gradient_every_so_often(crops, monkeypatch):
    class Linear(torch.nn.Module):
        """Sum of an image times a weight: its gradient is that weight at every pixel."""

        def __init__(self, *_):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(0.25))

        def forward(self, earlier, step, later):
            return self.weight * earlier.sum(dim=(1, 2, 3))

    monkeypatch.setattr("histobridge.core.translate.syndiff_learning.TimeDiscriminator", Linear)
    losses = {}
    for weight in (0.0, 3.0):
        learner = SynDiffLearner(with_settings(penalty=weight, penalty_every=2, judge_learning_rate=1e-9), CPU)
        losses[weight] = [learner.step(*crops)["discriminator"] for _ in range(3)]
    more = np.subtract(losses[3.0], losses[0.0])
    expected = 2 * 3 / 2 * 0.25**2 * 32 * 32
    np.testing.assert_allclose(more, [expected, 0, expected], rtol=1e-3, atol=0.1)


def test_learning_rates_follow_a_cosine_to_the_last_one(crops):
    learner = SynDiffLearner(CONFIG.model_copy(update={"steps": 3}), CPU)
    rates = []
    for _ in range(3):
        learner.step(*crops)
        rates.append([learner.optimizers[side].param_groups[0]["lr"] for side in ("generators", "discriminators")])
    learner.set_learning_rate()
    rates.append([learner.optimizers["generators"].param_groups[0]["lr"]] * 2)
    expected = 1e-5 + (5e-4 - 1e-5) * (1 + np.cos(np.pi * np.arange(4) / 3)) / 2
    np.testing.assert_allclose(np.array(rates).T, [expected, expected])
    assert {group["betas"] for side in learner.optimizers.values() for group in side.param_groups} == {(0.5, 0.9)}


def test_a_crop_of_nan_changes_no_weight_to_nan(crops):
    learner = SynDiffLearner(CONFIG, CPU)
    learner.step(*crops)
    assert learner.step(torch.full((1, 1, 32, 32), torch.nan), crops[1]) == {}
    assert weights_of(learner.networks).isfinite().all()
    assert learner.step(*crops)


def test_constant_crops_and_batches_are_learned_from(crops):
    learner = SynDiffLearner(CONFIG, CPU)
    batch = torch.cat([crops[1], crops[1]])
    losses = learner.step(torch.zeros_like(batch), batch)
    assert all(np.isfinite(list(losses.values())))


def test_a_checkpoint_of_other_networks_is_refused(crops, tmp_path):
    save_checkpoint(tmp_path, *SynDiffLearner(CONFIG, CPU).state())
    with pytest.raises(RuntimeError):
        SynDiffLearner(with_settings(width=8), CPU).restore(*load_checkpoint(tmp_path))


def test_crops_that_do_not_fit_are_refused_with_what_fits():
    with pytest.raises(InputError, match="multiple of 64"):
        SynDiffLearner(with_settings(judge_halvings=6), CPU)


@pytest.mark.parametrize(("overlap", "direction"), [(0.0, THERE), (0.25, BACK), (0.5, THERE)])
def test_a_window_depends_neither_on_tiles_nor_on_their_order(pair, learned, overlap, direction, monkeypatch):
    config = with_settings(tile_overlap=overlap, tile_px=16)
    small = SynDiff(learned.generators, pair.instant, card_of(config, pair.instant, halo_of_tiles(config)))
    assert small.halo % small.alignment == 0
    image = pair.tested[0][:30, :26]
    whole = translated(small, image, (slice(0, 30), slice(0, 26)), direction)
    part = slice(13, 28), slice(-3, 20)
    monkeypatch.setattr("histobridge.core.translate.base.BLOCK_PX", 15)
    assert np.array_equal(translated(small, image, part, direction)[:, 3:], whole[13:28, :20])


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (33, 47)])
def test_any_size_keeps_its_size(pair, learned, shape):
    image = pair.tested[0][: shape[0], : shape[1]]
    result = learned.translate(image, THERE, look_of(pair.tested[0]))
    assert result.shape == shape
    assert result.dtype == np.float32
    assert np.abs(result).max() <= 1


def test_the_noise_belongs_to_places_of_one_image(pair, learned):
    image, look, other = (
        np.zeros((32, 32), np.float32),
        *(np.linspace(-1, end, 257, dtype=np.float32) for end in (1, 0.9)),
    )
    here, there = (learned.translate(image, THERE, look, origin) for origin in ((0, 0), (24, 0)))
    assert np.array_equal(here, learned.translate(image, THERE, look))
    assert not np.array_equal(here, there)
    # The other look would be given to it on the way; what the network makes must differ for more than that.
    drawn, otherwise = (learned.drawn_for(one).generate(image, THERE) for one in (look, other))
    assert not np.allclose(drawn, otherwise, atol=1e-3)


def test_there_and_back_draw_numbers_of_their_own(pair, learned):
    (net, *_), image = learned.generators.values(), np.zeros((32, 32), np.float32)
    same = SynDiff({THERE: net, BACK: net}, pair.instant, learned.card)
    assert not np.allclose(same.generate(image, THERE), same.generate(image, BACK), atol=1e-3)


def test_a_saved_translator_translates_as_before(pair, learned, tmp_path):
    learned.save(tmp_path)
    loaded = load_trained(tmp_path, "cpu")
    assert isinstance(loaded, SynDiff)
    assert (loaded.name, loaded.halo, loaded.alignment) == ("syndiff", learned.halo, learned.alignment)
    image = pair.tested[0][:32, :32]
    for direction in (THERE, BACK):
        assert np.array_equal(loaded.generate(image, direction), learned.generate(image, direction))


def test_weights_of_another_network_are_refused(learned, tmp_path):
    learned.save(tmp_path)
    file = tmp_path / "translator.json"
    file.write_text(file.read_text().replace('"latent_width": 8', '"latent_width": 4'))
    with pytest.raises(ProjectError, match=r"translator\.safetensors does not fit"):
        load_trained(tmp_path)


def test_translators_saved_before_are_read_unless_they_changed_their_source(learned, tmp_path):
    learned.save(tmp_path)
    card = tmp_path / "translator.json"
    words = card.read_text()
    card.write_text(words.replace('"latent": 4', '"from_source": false, "latent": 4'))
    assert isinstance(load_trained(tmp_path, "cpu"), SynDiff)
    card.write_text(words.replace('"latent": 4', '"from_source": true, "latent": 4'))
    with pytest.raises(ProjectError, match=r"translator\.json.*changes its source.*train"):
        load_trained(tmp_path, "cpu")
    other = TrainTranslatorConfig.model_validate({"method": "cut", "syndiff": {"from_source": True}})
    assert other == TrainTranslatorConfig(method="cut")


def test_previews_show_both_directions(training):
    shown = training[1][-1].preview
    assert {name: image.shape for name, image in shown.items()} == {THERE: (128, 96), BACK: (128, 96)}


def test_the_faithful_presets_are_the_published_settings():
    for name, side in (("faithful", 512), ("faithful-256", 256)):
        config, settings = SYNDIFF[name], SYNDIFF[name].syndiff
        assert (config.crop_px, config.batch_size, config.channels, config.blocks) == (side, 1, 64, 6)
        assert (settings.learning_rate, settings.judge_learning_rate, settings.last_learning_rate) == (
            1.6e-4,
            1e-4,
            1e-5,
        )
        assert (settings.clean_weight, settings.cycle_weight, settings.diffusion_steps) == (0.5, 0.5, 4)
        assert (settings.penalty, settings.penalty_every, settings.share_fakes) == (1, 10, False)
        assert config.identity_weight == 0
        assert not settings.fixed_statistics


@pytest.mark.parametrize("preset", SYNDIFF)
def test_presets_fit_their_crops(preset):
    config = SYNDIFF[preset]
    tile, step = tiling(config)
    assert tile % config.crop_px == 0
    assert 0 < step <= tile
