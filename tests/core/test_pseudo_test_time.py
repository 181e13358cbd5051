"""What is asked for at test time is in the proposals, and in the model saved beside them."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import ndimage

from histobridge.core.config import ProposeConfig
from histobridge.core.perform import CancelledError, perform
from histobridge.core.proposals import read_proposal
from histobridge.core.segment.test_time_settings import AtTestTime
from histobridge.core.target_model import TargetModel

FITTED = AtTestTime(adapt_statistics=0.5, entropy_steps=2, tiles=3)


def weights(run):
    return load_file(run.path / "model.safetensors")


def changed(one, other):
    return {name for name in one if not np.array_equal(one[name], other[name])}


@pytest.mark.parametrize("route", ["adaptation", "model"])
def test_the_saved_model_is_the_fitted_one_that_proposed(loop, route):
    image_id = loop.targets[0]
    segmenter = loop.tutored if route == "model" else ""
    run = loop.run(
        "propose", ProposeConfig(route=route, segmenter=segmenter, images=(image_id,), flips=False, test_time=FITTED)
    )
    began = loop.project.run(loop.tutored if route == "model" else loop.learned)
    assert any(name.endswith("running_mean") for name in changed(weights(run), weights(began)))
    model = TargetModel.load(loop.project, run.path)
    predicted = model.prediction(image_id, flips=False).labels(loop.whole)
    assert np.array_equal(predicted[0], read_proposal(loop.project, run.id, image_id, loop.whole)[0])
    assert loop.score(run, image_id) > 0.5


@pytest.mark.slow
def test_a_model_is_fitted_once_however_often_the_run_is_resumed(loop):
    def cancel(run, message):
        def watch(progress):
            if message in progress.message:
                raise CancelledError(run.id)

        return watch

    config = ProposeConfig(route="tutorship", training=loop.brief, test_time=FITTED, flips=False)
    straight, stopped = loop.run("propose", config), loop.project.create_run("propose", config)
    for message in ("fitting the model", loop.targets[1]):
        with pytest.raises(CancelledError):
            perform(stopped, cancel(stopped, message))
    perform(stopped)
    assert not changed(weights(straight), weights(stopped))
    for image_id in loop.targets:
        assert np.array_equal(loop.proposed(straight, image_id), loop.proposed(stopped, image_id))


def test_both_routes_are_fitted_where_both_are_made(loop):
    config = ProposeConfig(route="fused", training=loop.brief, images=loop.targets[:1], flips=False)
    plain, fitted = (
        loop.run("propose", config.model_copy(update={"test_time": each})) for each in (AtTestTime(), FITTED)
    )
    for route in ("tutorship", "adaptation"):
        one, other = (load_file(run.path / route / "model.safetensors") for run in (plain, fitted))
        assert any(name.endswith("running_var") for name in changed(one, other))


def test_quarter_turns_are_averaged(loop):
    image_id = loop.targets[0]
    turned = loop.run(
        "propose",
        ProposeConfig(route="model", segmenter=loop.tutored, images=(image_id,), test_time=AtTestTime(turns=True)),
    )
    assert not changed(weights(turned), weights(loop.project.run(loop.tutored)))
    model = TargetModel.load(loop.project, loop.project.run(loop.tutored).path)
    expected = model.prediction(image_id, flips=True, turns=True).labels(loop.whole)
    found = read_proposal(loop.project, turned.id, image_id, loop.whole)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    assert not np.array_equal(found[1], model.prediction(image_id, flips=True).labels(loop.whole)[1])


def test_regions_below_the_smallest_object_are_dropped_and_zero_keeps_all(loop):
    image_id, share = loop.targets[0], 0.5
    model = TargetModel.load(loop.project, loop.project.run(loop.tutored).path)
    area_px = np.pi / 4 * (share * model.segmenter.card.object_diameter_px) ** 2
    smallest = {}
    for limit in (0.0, share):
        prediction = model.prediction(image_id, flips=False, smallest_object=limit)
        whole = tuple(slice(0, size) for size in prediction.tiled.shape)
        regions, _ = ndimage.label(prediction.working(whole).argmax(axis=0) == 1)
        smallest[limit] = np.bincount(regions.ravel())[1:].min()
    assert smallest[0.0] < area_px <= smallest[share]
    config = ProposeConfig(
        route="model", segmenter=loop.tutored, images=(image_id,), flips=False, smallest_object=share
    )
    assert np.array_equal(loop.proposed(loop.run("propose", config), image_id), prediction.labels(loop.whole)[0])
