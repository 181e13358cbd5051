import numpy as np
import pytest
import torch
from pydantic import ValidationError

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.job import finish
from histobridge.core.segment.losses import masked_dice_ce
from histobridge.core.translate.base import look_of, translate_window
from histobridge.core.translate.bridge_learning import BridgeLearner
from histobridge.core.translate.bridge_settings import BridgeSettings
from histobridge.core.translate.bridgecut import BridgeCut
from histobridge.core.translate.crops import Labelled
from histobridge.core.translate.learn import train_pair
from histobridge.core.translate.learner import load_trained

CPU = torch.device("cpu")
SMALL = BridgeSettings(
    steps=2, transport=0.01, similarity=0.2, segmenter_width=4, patches=16, projection_width=8, contrast=1.0
)
BRIEF = TrainTranslatorConfig(
    method="bridgecut", steps=3, crop_px=32, channels=4, blocks=1, checkpoint_every=2, bridge=SMALL, device="cpu"
)
BY_LABELS = {"segmentation", "agreement", "segmenter", "trust"}
ALL = {"generator", "discriminator", "transport", "similarity", "contrast"} | BY_LABELS
OFF = {
    "transport": {"transport"},
    "similarity": {"similarity"},
    "contrast": {"contrast"},
    "segmentation": BY_LABELS,
    "agreement": {"agreement"},
}


def config_with(**changes):
    return BRIEF.model_copy(update={"bridge": SMALL.model_copy(update=changes)})


def train(pair, config, folder=None):
    return train_pair(pair.labelled[:2], pair.target[:2], pair.instant, config, folder)


@pytest.fixture
def crops(pair):
    source = pair.instant.translate(pair.source[0], "source_to_target", look_of(pair.source[0]))
    labels = torch.from_numpy(pair.maps[0][:32, :32].copy())[None]
    return [torch.from_numpy(field[:32, :32].copy())[None, None] for field in (source, pair.target[0])] + [labels]


def test_all_parts_tell_their_loss(crops):
    assert set(BridgeLearner(BRIEF, CPU, (0, 1, 2)).step(*crops)) == ALL


@pytest.mark.parametrize("part", list(OFF))
def test_every_part_can_be_switched_off(crops, part):
    learner = BridgeLearner(config_with(**{part: 0.0}), CPU, (0, 1, 2))
    assert set(learner.step(*crops)) == ALL - OFF[part]
    assert ("segmenter" in learner.networks) == (part != "segmentation")


def test_a_training_goes_on_when_a_further_class_was_labelled_meanwhile(pair, tmp_path):
    """It asked for the settings it was started with, which nobody had changed."""
    job = train(pair, BRIEF, tmp_path)
    while next(job).step < 2:
        pass
    job.close()
    more = [Labelled(one.image, np.where(one.classes == 1, np.uint8(3), one.classes)) for one in pair.labelled[:2]]
    config = BRIEF.model_copy(update={"steps": 4})
    assert finish(train_pair(more, pair.target[:2], pair.instant, config, tmp_path)).card.config.steps == 4


def test_without_labels_there_is_no_segmenter(crops):
    losses = BridgeLearner(BRIEF, CPU).step(*crops[:2])
    assert set(losses) == ALL - OFF["segmentation"]


def test_translations_are_held_to_the_labels_by_the_mean_segmenter(crops):
    learner = BridgeLearner(BRIEF, CPU, (0, 1, 2))
    for _ in range(3):
        learner.step(*crops)
    (part,) = learner.parts(dict(zip(("source", "target"), crops, strict=False)), crops[2])
    losses, fakes = learner.make(part)
    labels = crops[2].long()
    mean, newest = (
        masked_dice_ce(nets["segmenter"](fakes["target"]), labels, torch.ones(labels.shape)).item()
        for nets in (learner.average, learner.networks)
    )
    assert losses["segmentation"].item() == pytest.approx(mean, rel=1e-5)
    assert mean != pytest.approx(newest, rel=1e-4)
    generator = list(learner.networks["source_to_target"].parameters())
    gradients = torch.autograd.grad(losses["segmentation"], generator, allow_unused=True)
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


def test_the_segmenter_learns_from_fakes_if_it_is_to_see_them(crops):
    learned = {}
    for sees_fakes in (False, True):
        learner = BridgeLearner(config_with(segmenter_sees_fakes=sees_fakes), CPU, (0, 1, 2))
        learner.step(*crops)
        learned[sees_fakes] = torch.cat([weight.flatten() for weight in learner.networks["segmenter"].parameters()])
    assert not torch.equal(learned[False], learned[True])


def test_agreement_is_with_what_the_segmenter_finds_in_the_image_the_surer_the_more(crops):
    learner = BridgeLearner(BRIEF, CPU, (0, 1, 2))
    learner.step(*crops)
    (part,) = learner.parts(dict(zip(("source", "target"), crops, strict=False)), crops[2])
    losses, fakes = learner.make(part)
    segmenter = learner.average["segmenter"]
    with torch.no_grad():
        sure, found = segmenter(part.real["target"]).softmax(dim=1).max(dim=1)
        expected = masked_dice_ce(segmenter(fakes["source"]), found, sure)
    assert losses["agreement"].item() == pytest.approx(expected.item(), rel=1e-5)


class Says(torch.nn.Module):
    """A segmenter that is sure of the same channels, (N, Y, X), whatever it is shown."""

    def __init__(self, channels):
        super().__init__()
        self.logits = 20 * torch.nn.functional.one_hot(channels.long(), 3).movedim(-1, 1).float()

    def forward(self, images):
        return self.logits + 0 * images


def lost_by(learner, crops):
    (part,) = learner.parts(dict(zip(("source", "target"), crops, strict=False)), crops[2])
    return {name: loss.item() for name, loss in learner.make(part)[0].items()}


@pytest.mark.parametrize("right", [True, False])
def test_labels_hold_as_far_as_the_segmenter_is_right_about_them_and_patches_hold_the_rest(crops, right):
    settings = {"contrast": 0.25, "contrast_alone": 2.0, "segmentation": 3.0, "agreement": 5.0}
    learner = BridgeLearner(config_with(**settings), CPU, (0, 1, 2))
    learner.average["segmenter"] = Says(crops[2] if right else torch.zeros_like(crops[2]))
    lost = lost_by(learner, crops)
    trust = 1 / (1 + 0.6**8) if right else 0.0
    assert lost["trust"] == pytest.approx(trust)
    rest = lost["generator"] + 0.01 * lost["transport"] + 0.2 * lost["similarity"]
    held = trust * (3 * lost["segmentation"] + 5 * lost["agreement"])
    patches = (0.25 * trust + 2 * (1 - trust)) * lost["contrast"]
    assert lost["loss"] == pytest.approx(rest + held + patches, rel=1e-4)


def test_trust_is_in_what_the_segmenter_reads_in_images_not_in_their_translations(crops):
    class Reads(Says):
        def forward(self, images):
            return super().forward(images) * (1 if torch.equal(images, crops[0]) else -1)

    learner = BridgeLearner(BRIEF, CPU, (0, 1, 2))
    learner.average["segmenter"] = Reads(crops[2])
    lost = lost_by(learner, crops)
    assert lost["trust"] == pytest.approx(1 / (1 + 0.6**8))
    assert lost["segmentation"] > 1, "wrong in the translation"


def test_without_a_segmenter_patches_hold_alone(crops):
    settings = {"segmentation": 0.0, "contrast": 0.25, "contrast_alone": 2.0}
    lost = lost_by(BridgeLearner(config_with(**settings), CPU, (0, 1, 2)), crops)
    rest = lost["generator"] + 0.01 * lost["transport"] + 0.2 * lost["similarity"]
    assert lost["loss"] == pytest.approx(rest + 2 * lost["contrast"], rel=1e-4)


def test_images_of_the_target_learn_to_agree(crops):
    """What the segmenter finds changes under way; what agreement costs must fall below that without its weight."""

    def lost(agreement):
        settings = {"agreement": agreement, "transport": 0.0, "similarity": 0.0, "contrast": 0.0, "steps": 1}
        config = config_with(**settings).model_copy(update={"steps": 200, "learning_rate": 2e-3})
        learner = BridgeLearner(config, CPU, (0, 1, 2))
        return np.mean([learner.step(*crops)["agreement"] for _ in range(80)][-10:])

    assert lost(10.0) < 0.8 * lost(1e-6)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("demodulated", [True, False])
def test_tiles_equal_the_whole_and_files_the_translator(pair, steps, demodulated, tmp_path):
    translator = finish(train(pair, config_with(steps=steps, demodulated=demodulated).model_copy(update={"steps": 2})))
    translator.save(tmp_path)
    image = pair.tested[0]
    tile = slice(37, 90), slice(20, 101)

    def translated(one, window):
        return translate_window(one, lambda part: image[part], image.shape, window, "source_to_target", look_of(image))

    whole = translated(translator, (slice(0, 128), slice(0, 128)))
    assert np.abs(translated(translator, tile) - whole[tile]).max() <= 1e-5
    assert np.array_equal(translated(translator, tile), translated(load_trained(tmp_path, "cpu"), tile))
    assert np.abs(whole).max() <= 1


def test_segmenter_and_patches_are_learned(crops):
    config = config_with(segmenter_sees_fakes=False, segmenter_width=8).model_copy(
        update={"steps": 60, "learning_rate": 1e-3}
    )
    learner = BridgeLearner(config, CPU, (0, 1, 2))
    losses = [learner.step(*crops) for _ in range(24)]
    for name in ("segmenter", "contrast"):
        first, last = (np.mean([one[name] for one in part]) for part in (losses[:4], losses[-4:]))
        assert last < 0.9 * first, name


def test_a_crop_of_nan_is_skipped(crops):
    learner = BridgeLearner(BRIEF, CPU, (0, 1, 2))
    learner.step(*crops)
    assert learner.step(torch.full((1, 1, 32, 32), torch.nan), *crops[1:]) == {}
    assert learner.step(*crops)


def test_unlabelled_pixels_do_not_count(crops):
    learner = BridgeLearner(BRIEF, CPU, (0, 1, 2))
    losses = learner.step(*crops[:2], torch.full_like(crops[2], 255))
    assert losses["segmentation"] == losses["segmenter"] == 0


def test_noise_on_the_way_is_another_for_each_direction_and_image(pair):
    noisy = config_with(steps=3, noise=1.0).model_copy(update={"steps": 2})
    learned = finish(train(pair, noisy))
    net, image = learned.generators["source_to_target"], np.zeros((32, 32), np.float32)
    same = BridgeCut(dict.fromkeys(learned.generators, net), pair.instant, learned.card)
    there, back = (same.generate(image, direction) for direction in same.generators)
    assert not np.allclose(there, back, atol=1e-4)
    looks = (np.linspace(-1, end, 257, dtype=np.float32) for end in (1, 0.9))
    here, elsewhere = (same.drawn_for(look).generate(image, "source_to_target") for look in looks)
    assert not np.allclose(here, elsewhere, atol=1e-4)


def test_crops_too_small_for_self_similarity_are_refused():
    """Nothing lies as far apart as it looks in crops of 16 px: every step was not a number."""
    with pytest.raises(ValidationError, match=r"crop_px: 16 found, at least 32 expected"):
        TrainTranslatorConfig(crop_px=16, bridge=SMALL)
    without = SMALL.model_copy(update={"similarity": 0.0})
    assert TrainTranslatorConfig.model_validate(BRIEF.model_dump() | {"crop_px": 16, "bridge": without}).crop_px == 16
