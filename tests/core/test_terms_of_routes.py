"""Terms and pre-training in the jobs of a project."""

import pytest

from histobridge.core.config import ProposeConfig, SegmenterTraining, TrainSegmenterConfig
from histobridge.core.errors import InputError
from histobridge.core.perform import CancelledError, perform

PRETRAINING = {"pretrain_terms": [{"kind": "contrastive-local"}], "pretrain_steps": 4}


def training(loop, **changes) -> SegmenterTraining:
    return SegmenterTraining.model_validate(loop.brief.model_dump() | changes)


def watched(run) -> list[str]:
    """Perform a job and return what it said, each once."""
    said = []
    perform(run, lambda progress: said.append(progress.message.split(":")[0]))
    return list(dict.fromkeys(said))


def test_a_tutor_looks_at_the_target_first_and_at_the_source_beside_it(loop):
    terms = [{"kind": "semantic-consistency", "translator": "instant"}, {"kind": "adversarial-output"}]
    config = ProposeConfig(route="tutorship", training=training(loop, terms=terms, **PRETRAINING))
    straight, stopped = (loop.project.create_run("propose", config) for _ in range(2))
    said = watched(straight)
    assert said.index("looking at the target") < said.index("tutoring a segmenter")

    def stop(progress):
        if "tutoring" in progress.message:
            stopped.request_cancel()

    with pytest.raises(CancelledError):
        perform(stopped, stop)
    perform(stopped)
    weights = [(run.path / "model.safetensors").read_bytes() for run in (straight, stopped)]
    assert weights[0] == weights[1]


def test_a_segmenter_looks_at_its_own_images_first(loop):
    plain, pretrained = (
        loop.project.create_run("train-segmenter", TrainSegmenterConfig(training=training(loop, **changes)))
        for changes in ({}, PRETRAINING)
    )
    assert "looking at the images" not in watched(plain)
    assert "looking at the images" in watched(pretrained)
    weights = [(run.path / "model.safetensors").read_bytes() for run in (plain, pretrained)]
    assert weights[0] != weights[1]


def test_one_translator_is_named_for_all_terms_that_use_one(loop):
    """The second one was left out without a word."""
    terms = [{"kind": "semantic-consistency", "translator": name} for name in ("instant", "identity")]
    config = ProposeConfig(route="tutorship", training=training(loop, terms=terms))
    with pytest.raises(InputError, match="names the translators identity, instant, one expected"):
        perform(loop.project.create_run("propose", config))
