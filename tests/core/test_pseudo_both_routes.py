import numpy as np
import pytest
from proposing import cancel_when, contents

from histobridge.core.choice import read_choice
from histobridge.core.config import ProposeConfig, TrainSegmenterConfig
from histobridge.core.errors import ProjectError
from histobridge.core.fused import FusedPrediction
from histobridge.core.perform import CancelledError, perform
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.target_model import TargetModel


def test_fused_proposals_are_of_both_models_and_fine_tuning_restarts_from_the_tutored_one(loop):
    image_id = loop.targets[0]
    run = loop.run("propose", ProposeConfig(route="fused", training=loop.brief, images=(image_id,), flips=False))
    tutored = TargetModel.load(loop.project, run.path)
    adapted = TargetModel.load(loop.project, run.path / "adaptation")
    assert (tutored.view.tutor, adapted.view.translator) == ("instant", "instant")
    fused = FusedPrediction(*(model.prediction(image_id, flips=False) for model in (tutored, adapted)))
    for one, other in zip(contents(loop, run, image_id), fused.labels(loop.whole), strict=True):
        assert np.array_equal(one, other)
    assert run.state().result["route"] == "fused"
    assert read_choice(run) is None


def test_the_route_chosen_for_you_is_not_one_that_found_nothing_and_says_why(loop):
    """A tutor of six steps has learned nothing; the source segmenter is good."""
    config = ProposeConfig(route="auto", training=loop.brief, reverse_steps=2)
    run = loop.run("propose", config)
    choice, result = read_choice(run), run.state().result
    assert (choice.chosen, choice.tie) == ("adaptation", False)
    assert set(choice.evidence) == {"tutorship", "adaptation"}
    assert (result["route"], result["reason"]) == ("adaptation", choice.reason)
    for image_id in loop.targets:
        for one, other in zip(
            contents(loop, run, image_id), read_proposal(loop.project, loop.adapted, image_id, loop.whole), strict=True
        ):
            assert np.array_equal(one, other)
    assert TargetModel.load(loop.project, run.path).view.translator == "instant"


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param("tutoring a segmenter", marks=pytest.mark.slow),
        "judging adaptation in reverse",
        pytest.param("second image", marks=pytest.mark.slow),
    ],
)
def test_a_choice_stopped_and_resumed_builds_no_model_twice(loop, stop):
    config = ProposeConfig(route="auto", training=loop.brief, reverse_steps=2)
    run = loop.project.create_run("propose", config)
    with pytest.raises(CancelledError):
        perform(run, cancel_when(run, loop.targets[1] if stop == "second image" else stop))
    models = [run.path / route / "model.safetensors" for route in ("adaptation", "tutorship")]
    before = {path: path.stat().st_mtime_ns for path in models if path.exists()}
    assert len(before) == (1 if stop == "tutoring a segmenter" else 2)
    chosen = read_choice(run)
    assert (chosen is not None) == (stop == "second image")
    result = perform(run)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert result["route"] == read_choice(run).chosen
    assert all(has_proposal(loop.project, run.id, image_id) for image_id in loop.targets)


@pytest.mark.parametrize("route", ["auto", "fused"])
def test_both_routes_refuse_a_segmenter_that_does_not_fit_before_they_train(loop, route):
    other = loop.run("train-segmenter", TrainSegmenterConfig(object_diameter_px=20, training=loop.brief))
    config = ProposeConfig(route=route, segmenter=other.id, matching=loop.matched, training=loop.brief)
    run, seen = loop.project.create_run("propose", config), []
    with pytest.raises(ProjectError, match="match the domains again"):
        perform(run, seen.append)
    assert not any("tutoring" in progress.message for progress in seen)
