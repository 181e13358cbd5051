import numpy as np
import pytest

from histobridge.core.config import TrainSegmenterConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.errors import ProjectError
from histobridge.core.manifest import ClassSpec
from histobridge.core.perform import CancelledError, perform
from histobridge.core.project import Project
from histobridge.core.segment.learn import labelled_images, working_field
from histobridge.core.segment.model import Segmenter
from histobridge.core.tiles import tile_grid

VESSEL = ClassSpec(name="vessel", value=9, color="#123456", domains=("target",))


def learn(loop, **config):
    return loop.run("train-segmenter", TrainSegmenterConfig(**({"training": loop.brief} | config)))


def test_the_card_says_what_was_learned(sample_loop):
    run = sample_loop.project.run(sample_loop.learned)
    card = Segmenter.load(run.path, "cpu").card
    assert (card.classes, card.values, card.domain) == (("axon", "myelin"), (1, 2), "source")
    assert card.trained_on == tuple(record.id for record in sample_loop.project.images("source"))
    assert card.run == run.id
    assert len(card.quantiles) == 257
    assert np.all(np.diff(card.quantiles) >= 0)
    assert run.state().result["working_um"] == card.working_um


def test_objects_have_the_diameter_asked_for_at_the_working_scale(loop):
    from histobridge.core.scale import typical_diameter

    for wanted in (36.0, 20.0):
        card = Segmenter.load(learn(loop, object_diameter_px=wanted).path, "cpu").card
        fields = [working_field(loop.project, name, card.working_um, (1, 2)) for name in card.trained_on]
        assert np.median([typical_diameter(field.labels == 1) for field in fields]) == pytest.approx(wanted, rel=0.08)


def test_the_segmenter_knows_its_own_training_images(sample_loop):
    import torch

    from histobridge.core.metrics import dice

    run = sample_loop.project.run(sample_loop.learned)
    segmenter = Segmenter.load(run.path, "cpu")
    field = working_field(sample_loop.project, segmenter.card.trained_on[0], segmenter.card.working_um, (1, 2))
    found = segmenter.probabilities(torch.from_numpy(field.image)[None, None])[0].argmax(dim=0).numpy()
    assert dice(found, field.labels, 2) > 0.8


def test_only_the_subjects_asked_for(loop):
    result = learn(loop, subjects=("mouse2",)).state().result
    assert (result["subjects"], result["images"]) == (["mouse2"], ["mouse2-tem01"])
    with pytest.raises(ProjectError, match="no labelled source images of subjects mouse9; add images with masks"):
        learn(loop, subjects=("mouse9",))


def test_without_labels_the_user_is_told_what_to_do(tmp_path):
    project = Project.create(tmp_path / "project")
    with pytest.raises(ProjectError, match="no labelled source images; add images with masks on the Images page"):
        perform(project.create_run("train-segmenter", TrainSegmenterConfig()))


def test_a_class_of_the_target_alone_is_not_learned_from_the_source(loop):
    with loop.project.editing():
        loop.project.set_classes([VESSEL, *loop.project.classes])
    assert Segmenter.load(learn(loop).path, "cpu").card.values == (1, 2)


def test_pixels_of_an_unknown_class_and_ignored_ones_are_left_out(loop):
    name = loop.project.images("source")[0].id
    with loop.project.editing():
        store = loop.project.labels(name)
        edit = TileEdit(store, tile_grid((192, 192))[0])
        painted = edit.classes
        painted[:60, :60] = 9
        edit.commit(painted)
        ignored = np.zeros((192, 192), bool)
        ignored[-60:] = True
        edit.ignore(ignored)
        store.close()
    labels = working_field(loop.project, name, 0.05, (1, 2)).labels
    assert (labels[:60, :60] == 255).all()
    assert (labels[-60:] == 255).all()
    assert set(np.unique(labels[60:-60])) == {0, 1, 2}


def test_labels_painted_by_hand_are_labels_too(loop):
    """Images need not come with masks: what is reviewed in the window can be learned, in the target as well."""
    assert len(labelled_images(loop.project, "source")) == 3
    with pytest.raises(ProjectError, match="no labelled target images"):
        labelled_images(loop.project, "target")
    skipped, painted, _ = loop.targets
    with loop.project.editing():
        for name in (skipped, painted):
            store = loop.project.labels(name)
            edit = TileEdit(store, tile_grid((192, 192))[0], loop.proposed(loop.tutored, name), loop.tutored)
            if name == skipped:
                edit.ignore(np.ones((192, 192), bool))
            else:
                edit.accept()
            store.close()
    assert labelled_images(loop.project, "target") == [painted]
    assert learn(loop, domain="target").state().result["images"] == [painted]


def test_stopped_and_resumed_it_ends_as_if_never_stopped(loop):
    config = TrainSegmenterConfig(training=loop.brief)
    straight, stopped = loop.run("train-segmenter", config), loop.project.create_run("train-segmenter", config)
    with pytest.raises(CancelledError):
        perform(stopped, lambda progress: stopped.request_cancel() if progress.step > 400 else None)
    assert not (stopped.path / "model.json").exists()
    perform(stopped)
    assert (straight.path / "model.safetensors").read_bytes() == (stopped.path / "model.safetensors").read_bytes()
