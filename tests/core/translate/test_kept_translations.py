"""What a trained translator makes of an image: kept by a job, shown by the window in place of the instant look."""

import numpy as np
import pytest
import torch
from brief_training import SMALL_DIFFUSION

from histobridge.core.config import MatchConfig, TrainTranslatorConfig, TranslateImageConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.jobs import parse_config
from histobridge.core.manifest import ImageRecord
from histobridge.core.matching import working_image
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.tile_views import INSTANT, trained_tile, translated_tile
from histobridge.core.translate.base import translate_window
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learn import load_translator
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.quality.report import Quality, write_quality

CONFIG = TrainTranslatorConfig(method="cyclegan", channels=2, blocks=1, device="cpu")
SLOW = CONFIG.model_copy(update={"method": "syndiff", "crop_px": 32, "syndiff": SMALL_DIFFUSION})
WHOLE = (slice(0, 128), slice(0, 128))
CORNER = (slice(64, 128), slice(64, 128))
"""Native pixels; at the working scale the image has 102 of them a side, in 16 blocks."""


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("histobridge.core.translations.BLOCK_PX", 32)


@pytest.fixture
def project(tmp_path):
    project, random = Project.create(tmp_path / "project"), np.random.default_rng(0)
    with project.editing():
        staged = project.create_run("add", MatchConfig())
        for domain in ("source", "target"):
            folder = staged.path / "staged" / f"{domain}0"
            folder.mkdir(parents=True)
            pixels = random.integers(0, 256, (128, 128), np.uint8)
            write_pyramid(folder / "image", pixels, 0.1)
            known = {"subject": "a", "shape": pixels.shape, "dtype": "uint8", "pixel_size_um": 0.1}
            record = ImageRecord(id=folder.name, domain=domain, **known)
            write_json(folder / "record.json", record.model_dump(mode="json"))
        project.adopt(staged)
    return project


@pytest.fixture
def match(project, known_matching):
    """Match the domains."""

    def make():
        run = project.create_run("match", MatchConfig())
        look = np.linspace(-1, 1, 257)
        matching = known_matching(look, look, run=run.id, target_working_um=0.125)
        write_json(run.path / "matching.json", matching.model_dump(mode="json"))
        run.write_state(RunState(status="finished"))
        return matching

    return make


@pytest.fixture
def matching(match):
    return match()


@pytest.fixture
def translator(project, matching):
    """Run of a translator that has learned nothing, which is no more instant for that."""
    torch.manual_seed(0)
    run = project.create_run("train-translator", CONFIG)
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    seen = {domain: torch.rand(2, 1, 32, 32) * 2 - 1 for domain in ("source", "target")}
    build_learner(CONFIG, torch.device("cpu")).translator(instant, seen).save(run.path)
    run.write_state(RunState(status="finished"))
    return run


def translate(project, **config):
    run = project.create_run("translate-image", TranslateImageConfig(device="cpu", **config))
    return perform(run)


def truth(project, matching, translator, image_id, direction):
    """The whole image, translated at once."""
    image, trained = working_image(project, image_id, matching), load_translator(project, translator.id, matching)
    everything = tuple(slice(0, size) for size in image.shape)
    return translate_window(trained, image.read, image.shape, everything, direction, image.look)


def test_the_parts_of_an_image_join_to_the_whole_of_either_domain(project, matching, translator):
    for image_id, direction, side in (("target0", "target_to_source", 102), ("source0", "source_to_target", 128)):
        assert translate(project, image=image_id) == {
            "image": image_id,
            "translator": translator.id,
            "matching": matching.run,
            "blocks": 16,
        }
        shown = translated_tile(project, image_id, WHOLE, translator.id)
        assert (shown.made_by, shown.pixels.shape) == (translator.id, (side, side))
        expected = truth(project, matching, translator, image_id, direction)
        np.testing.assert_allclose(shown.pixels, expected, atol=1 / 127)
        tile = translated_tile(project, image_id, CORNER, translator.id)
        np.testing.assert_array_equal(tile.pixels, shown.pixels[-tile.pixels.shape[0] :, -tile.pixels.shape[1] :])


def test_the_window_shows_the_instant_look_until_the_trained_one_is_made(project, matching, translator):
    before = translated_tile(project, "target0", CORNER, translator.id)
    assert (before.made_by, before.why) == (INSTANT, "")
    wanted = before.missing
    assert (wanted.image, wanted.translator, wanted.window) == ("target0", translator.id, (64, 64, 128, 128))
    assert wanted.whole
    assert trained_tile(project, wanted, CORNER) is None
    perform(project.create_run("translate-image", wanted))
    after = translated_tile(project, "target0", CORNER, translator.id)
    assert (after.made_by, after.missing) == (translator.id, None)
    assert (after.zoom, after.origin, after.pixels.shape) == (before.zoom, before.origin, before.pixels.shape)
    assert np.abs(after.pixels - before.pixels).mean() > 0.05
    np.testing.assert_array_equal(trained_tile(project, wanted, CORNER).pixels, after.pixels)


def test_of_a_large_image_only_the_tile_is_asked_for(project, matching, translator, monkeypatch):
    monkeypatch.setattr("histobridge.core.tile_views.WHOLE_PIXELS", 100**2)
    wanted = translated_tile(project, "target0", CORNER, translator.id).missing
    assert not wanted.whole
    assert perform(project.create_run("translate-image", wanted))["blocks"] == 9
    assert translated_tile(project, "target0", CORNER, translator.id).made_by == translator.id
    assert translated_tile(project, "target0", WHOLE, translator.id).made_by == INSTANT


def test_a_slow_translator_can_be_stopped_within_a_block(project, matching, monkeypatch):
    run = project.create_run("train-translator", SLOW)
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    build_learner(SLOW, torch.device("cpu")).translator(instant).save(run.path)
    run.write_state(RunState(status="finished"))
    monkeypatch.setattr("histobridge.core.translate.base.SLOW_BLOCK_PX", 16)
    said = []
    job = project.create_run("translate-image", TranslateImageConfig(device="cpu", image="target0", translator=run.id))
    perform(job, watch=said.append)
    assert [progress.step for progress in said].count(0) == 1 + 3
    assert said[-1].step == said[-1].total == 16


def test_a_stopped_job_has_made_what_came_first_and_goes_on(project, matching, translator, monkeypatch):
    near = TranslateImageConfig(image="target0", window=(96, 96, 128, 128), device="cpu")
    run = project.create_run("translate-image", near)
    with pytest.raises(CancelledError):
        perform(run, lambda progress: run.request_cancel() if progress.step == 4 else None)
    assert translated_tile(project, "target0", (slice(96, 128), slice(96, 128)), translator.id).made_by == translator.id
    assert translated_tile(project, "target0", WHOLE, translator.id).made_by == INSTANT
    perform(run)
    whole = translated_tile(project, "target0", WHOLE, translator.id)
    np.testing.assert_allclose(
        whole.pixels, truth(project, matching, translator, "target0", "target_to_source"), atol=1 / 127
    )
    monkeypatch.delattr("histobridge.core.translate.keep.translate_blocks")  # what is made is not made again
    assert translate(project, image="target0")["blocks"] == 16
    np.testing.assert_array_equal(translated_tile(project, "target0", WHOLE, translator.id).pixels, whole.pixels)


def test_what_was_made_under_another_matching_is_not_shown(project, match, matching, translator):
    translate(project, image="target0")
    match()
    assert translated_tile(project, "target0", WHOLE, translator.id).made_by == INSTANT


def test_a_translator_that_failed_its_checks_is_shown_only_if_chosen(project, matching, translator):
    write_quality(translator.path, Quality(ways={}, verdict="failed", reasons=("It invents fibres.",)))
    shown = translated_tile(project, "target0", CORNER, translator.id)
    assert (shown.made_by, shown.missing) == (INSTANT, None)
    assert "failed its checks" in shown.why
    with project.editing():
        project.pin("translator", translator.id)
    assert translated_tile(project, "target0", CORNER, translator.id).missing.translator == translator.id


def test_wrong_wishes_name_the_remedy(project, matching):
    for wish, error, words in (
        ({"image": "nerve"}, ProjectError, "no image 'nerve'; choose among source0, target0"),
        ({"image": "target0"}, ProjectError, "no translator yet; train one"),
        ({"image": "target0", "window": (0, 0, 128, 129)}, InputError, "128 rows and 128 columns"),
    ):
        with pytest.raises(error, match=words):
            translate(project, **wish)
    with pytest.raises(InputError, match=r"window: .*expected top, left, bottom and right"):
        parse_config("translate-image", {"image": "target0", "window": (4, 4, 4, 8)})
