"""How far a job is that proposes with a slow translator."""

import numpy as np
import pytest
import torch

from histobridge.core import proposals
from histobridge.core.config import ProposeConfig, TrainTranslatorConfig
from histobridge.core.matching import load_matching
from histobridge.core.perform import perform
from histobridge.core.runs import RunState
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.learner import build_learner
from histobridge.core.translate.syndiff_settings import SynDiffSettings

SMALL = SynDiffSettings(width=4, multipliers=(1,), latent=4, latent_width=8, judge_width=2, judge_halvings=1)
CONFIG = TrainTranslatorConfig(method="syndiff", crop_px=48, channels=2, blocks=1, syndiff=SMALL, device="cpu")


@pytest.fixture
def diffusion(loop):
    """A SynDiff that has learned nothing."""
    matching = load_matching(loop.project, loop.matched)
    run = loop.project.create_run("train-translator", CONFIG)
    instant = Instant(matching.invert, matching.source_look, matching.target_look)
    build_learner(CONFIG, torch.device("cpu")).translator(instant).save(run.path)
    run.write_state(RunState(status="finished"))
    return run.id


def messages(loop, config):
    """The run, and each different message of its progress with the shares that were done."""
    run, said = loop.project.create_run("propose", config), {}
    perform(run, watch=lambda progress: said.setdefault(progress.message, []).append(progress.step / progress.total))
    return run, said


def test_a_slow_translator_tells_how_far_it_is_within_an_image(loop, diffusion, monkeypatch):
    image_id = loop.targets[0]
    slow = ProposeConfig(route="adaptation", translator=diffusion, images=(image_id,), insist=True)
    at_once = loop.run("propose", slow)
    monkeypatch.setattr(proposals, "CHUNK", 96)
    run, said = messages(loop, slow)
    assert len(said[f"proposing labels for {image_id}"]) == 4
    assert np.array_equal(loop.proposed(run, image_id), loop.proposed(at_once, image_id))


def test_tutorship_tells_how_far_the_translation_is(loop, diffusion, monkeypatch):
    monkeypatch.setattr("histobridge.core.translate.base.SLOW_BLOCK_PX", 96)
    images = (loop.targets[0],)
    _, said = messages(
        loop,
        ProposeConfig(route="tutorship", translator=diffusion, images=images, training=loop.brief, insist=True),
    )
    shares = [share for message, found in said.items() if message.startswith("translating ") for share in found]
    assert len(shares) >= 3 * 2 * 2
    assert shares == sorted(shares)
    assert shares[-1] <= min(share for message, found in said.items() if "tutoring" in message for share in found)
