from itertools import islice

import brief_training
import numpy as np
import pytest
import torch
from brief_training import CPU

from histobridge.core.job import finish
from histobridge.core.translate.base import look_of, translate_window
from histobridge.core.translate.contrast_settings import ContrastSettings
from histobridge.core.translate.cut import Contrast
from histobridge.core.translate.gan_presets import CUT, CYCLEGAN, FASTCUT
from histobridge.core.translate.generators import discriminator_of, generator_of, reach_of, tap_channels
from histobridge.core.translate.learn import train_pair
from histobridge.core.translate.learner import load_trained

FAST = ContrastSettings(weight=10.0, identity=False, flip=True, patches=16, width=8)
BRIEF = brief_training.BRIEF.model_copy(update={"method": "cut", "steps": 3, "batch_size": 1})
PUBLISHED = BRIEF.model_copy(update={"published": True, "steps": 1})


@pytest.fixture
def crops():
    random = torch.Generator().manual_seed(0)
    return [torch.rand(1, 1, 32, 32, generator=random) * 2 - 1 for _ in range(2)]


def train(pair, config, folder=None):
    return train_pair(pair.source[:1], pair.target[:1], pair.instant, config, folder)


def count(net):
    return sum(weight.numel() for weight in net.parameters())


@pytest.mark.parametrize("presets", [CYCLEGAN, CUT, FASTCUT])
def test_published_presets_have_the_networks_of_the_papers(presets):
    with torch.device("meta"):
        assert count(generator_of(presets["faithful"])) == 11_365_633
        assert count(discriminator_of(presets["faithful"])) == 2_762_689
    assert (presets["faithful"].crop_px, presets["faithful"].batch_size) == (256, 1)
    assert presets["faithful"].learning_rate == 2e-4
    assert count(generator_of(presets["cpu"])) < 400_000


def test_published_presets_have_the_weights_of_the_papers():
    assert (CYCLEGAN["faithful"].cycle_weight, CYCLEGAN["faithful"].identity_weight) == (10, 5)
    cut, fast = CUT["faithful"].contrast, FASTCUT["faithful"].contrast
    assert (cut.weight, cut.identity, cut.flip, cut.patches, cut.temperature) == (1, True, False, 256, 0.07)
    assert (fast.weight, fast.identity, fast.flip, fast.patches, fast.temperature) == (10, False, True, 256, 0.07)
    assert tap_channels(CUT["faithful"]) == (1, 128, 256, 256, 256)


@pytest.mark.parametrize("config", [BRIEF, BRIEF.model_copy(update={"method": "fastcut", "contrast": FAST}), PUBLISHED])
def test_a_training_tells_its_losses_and_gives_both_directions(pair, config, tmp_path):
    for progress in (job := train(pair, config)):
        expected = {"generator", "discriminator", "contrast"} | ({"identity"} if config.contrast.identity else set())
        assert {name for name in progress.metrics if not name.startswith("tiles/")} == expected
    translator = finish(train(pair, config))
    job.close()
    assert translator.card.method == config.method
    translator.save(tmp_path)
    loaded = load_trained(tmp_path, "cpu")
    for direction in ("source_to_target", "target_to_source"):
        image, look = pair.tested[0], look_of(pair.tested[0])
        once, again = (one.translate(image, direction, look) for one in (translator, loaded))
        assert np.array_equal(once, again)
        assert np.abs(once).max() <= 1


@pytest.mark.parametrize("contrast", [BRIEF.contrast, FAST])
def test_a_resumed_contrast_training_equals_an_uninterrupted_one(pair, contrast, tmp_path):
    config = BRIEF.model_copy(update={"contrast": contrast, "steps": 20})
    uninterrupted = finish(train(pair, config))
    job = train(pair, config, tmp_path)
    list(islice(job, 13))
    job.close()
    resumed = finish(train(pair, config, tmp_path))
    results = [
        one.translate(pair.tested[0], "source_to_target", look_of(pair.tested[0])) for one in (uninterrupted, resumed)
    ]
    assert np.array_equal(*results)


def test_a_step_moves_every_network_and_leaves_nothing_nan(crops):
    training = Contrast(BRIEF, CPU)
    before = {name: torch.cat([w.detach().flatten() for w in net.parameters()]).clone() for name, net in nets(training)}
    training.step(*crops)
    for name, net in nets(training):
        after = torch.cat([weight.detach().flatten() for weight in net.parameters()])
        assert after.isfinite().all()
        assert not torch.equal(before[name], after), name


def nets(training):
    return training.networks.items()


def test_a_crop_of_nan_is_skipped(crops):
    training = Contrast(BRIEF, CPU)
    training.step(*crops)
    assert training.step(torch.full((1, 1, 32, 32), torch.nan), crops[1]) == {}
    assert training.step(*crops)


def test_constant_crops_are_learned_from(crops):
    losses = Contrast(BRIEF, CPU).step(torch.zeros(1, 1, 32, 32), crops[1])
    assert np.isfinite(list(losses.values())).all()


def test_several_crops_a_step_count_as_their_mean(crops):
    doubled = [torch.cat([crop, crop]) for crop in crops]
    one, two = (Contrast(BRIEF, CPU).step(*images) for images in (crops, doubled))
    assert one == pytest.approx(two, rel=1e-4)


@pytest.mark.parametrize("antialiased", [False, True])
def test_tiles_of_a_published_generator_join_exactly(pair, antialiased):
    config = PUBLISHED.model_copy(update={"method": "cut" if antialiased else "cyclegan", "steps": 1})
    translator = finish(train(pair, config))
    assert translator.halo == reach_of(config)
    image = pair.tested[0]

    def translated(window):
        return translate_window(
            translator, lambda part: image[part], image.shape, window, "source_to_target", look_of(image)
        )

    whole = translated((slice(0, 128), slice(0, 128)))
    tile = slice(37, 90), slice(20, 101)
    assert np.abs(translated(tile) - whole[tile]).max() <= 1e-5


@pytest.mark.parametrize(("contrast", "identity"), [(BRIEF.contrast, 0.5), (FAST, 0.0)])
def test_what_is_minimised_is_the_weighted_sum_of_the_paper(crops, contrast, identity):
    learner = Contrast(BRIEF.model_copy(update={"contrast": contrast}), CPU)
    (part,) = learner.parts({"source": crops[0], "target": crops[1]}, None)
    losses, _ = learner.make(part)
    contrasts = (1 - identity) * losses["contrast"] + identity * losses.get("identity", 0)
    assert losses["loss"].item() == pytest.approx((losses["generator"] + contrast.weight * contrasts).item())


class AsItIs(torch.nn.Linear):
    """In place of what describes patches: the image itself."""

    def __init__(self, *_):
        super().__init__(1, 1)

    def forward(self, features, places):
        return features


def test_mirrored_images_are_compared_place_by_place(crops, monkeypatch):
    """A network that mirrors its result with its input differs in no place, mirrored or not."""
    compared, mirrored = [], set()

    def compare(found, wanted, temperature):
        compared.append(torch.equal(found[0], wanted[0]))
        return torch.zeros(())

    for name, stand_in in (
        ("with_taps", lambda net, images, taps: (images, [images])),
        ("features_at", lambda net, images, taps: [images]),
        ("Projection", AsItIs),
        ("patch_contrast", compare),
    ):
        monkeypatch.setattr(f"histobridge.core.translate.cut.{name}", stand_in)
    learner = Contrast(BRIEF.model_copy(update={"contrast": FAST}), CPU)
    for _ in range(8):
        (part,) = learner.parts({"source": crops[0], "target": crops[1]}, None)
        _, made = learner.make(part)
        mirrored.add(torch.equal(made["target"], crops[0].flip(3)))
        learner.random.manual_seed(len(compared))
    assert all(compared)
    assert mirrored == {True, False}
