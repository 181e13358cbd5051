"""Subjects that a source segmenter was not to learn from teach nothing that is made along with it."""

import numpy as np
import pytest

from histobridge.core.config import FineTuneConfig, MatchConfig, ProposeConfig, TrainSegmenterConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.matching import load_matching
from histobridge.core.project import Project
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import tile_grid
from histobridge.core.translate.fields import Labelled, fields_of
from histobridge.core.translate.quality.panel import panel_of_project
from histobridge.core.translator_config import TrainTranslatorConfig

HELD, KEPT = ("mouse1-tem00", "mouse3-tem02"), "mouse2-tem01"
TUNING = FineTuneConfig(steps=2, batch_size=2, crop_px=64, device="cpu", cross_validate=False, source_replay=0.5)


@pytest.fixture
def matched(loop):
    """The sample, learned of one subject and matched by hand."""
    loop.run("train-segmenter", TrainSegmenterConfig(training=loop.brief, subjects=("mouse2",)))
    loop.run("match", MatchConfig(scale_factor=1.0, polarity="invert"))
    return loop


@pytest.fixture
def read(monkeypatch):
    """Ids of the images whose labels are read from now on."""
    ids = set()
    labels = Project.labels

    def listening(project, image_id):
        ids.add(image_id)
        return labels(project, image_id)

    monkeypatch.setattr(Project, "labels", listening)
    return ids


def test_held_out_labels_are_read_neither_for_routes_nor_for_replay(matched, read):
    run = matched.run("propose", ProposeConfig(route="auto", training=matched.brief, reverse_steps=2))
    card = TargetModel.load(matched.project, run.path / "tutorship").segmenter.card
    assert (card.subjects, card.trained_on) == (("mouse2",), (KEPT,))
    image_id = matched.targets[0]
    for route in ("tutorship", "adaptation"):
        run = matched.run("propose", ProposeConfig(route=route, training=matched.brief, images=(image_id,)))
        with matched.project.editing():
            matched.project.pin("proposals", run.id)
            edit = TileEdit(matched.project.labels(image_id), tile_grid((192, 192))[0], np.ones((192, 192), np.uint8))
            edit.accept()
            edit.store.close()
        matched.run("finetune", TUNING)
    assert KEPT in read
    assert not read & set(HELD)


def test_held_out_labels_teach_no_translator_and_do_not_judge_one(matched, read):
    matching = load_matching(matched.project)
    config = TrainTranslatorConfig(method="cut", class_balanced=True)
    fields = fields_of(matched.project, "source", matching, config)
    assert [isinstance(field, Labelled) for field in fields].count(False) >= 2, "images of others are still seen"
    panel_of_project(matched.project, matching, "cpu")
    assert not read & set(HELD)
