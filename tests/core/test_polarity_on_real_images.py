"""Polarity of every manually labelled image of a real pair of modalities, each judged alone; takes minutes.

Run with ``-s`` to see the scores.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from histobridge.core.config import AddImagesConfig, MatchConfig, SegmenterTraining, TrainSegmenterConfig
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.judge import Judge, decide
from histobridge.core.matching import load_matching
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.segment.model import Segmenter

DATA = Path(__file__).parents[3] / "shared" / "data"
TEM, SEM = "myelin-tem-mouse", "myelin-sem-rat"
TRAINING = SegmenterTraining(preset="cpu", steps=600)
needs_images = pytest.mark.skipif(
    not all((DATA / name / "index.csv").exists() for name in (TEM, SEM)), reason="the shared images are not here"
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), needs_images]


def rows(name):
    with (DATA / name / "index.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def picture(name, kind, file):
    from PIL import Image

    with Image.open(DATA / name / kind / file) as image:
        return np.array(image)


def add_set(project, domain, name, subjects=None):
    """Add a data folder; masks go in for the source alone."""
    run = project.create_run("add", AddImagesConfig(domain=domain))
    for row in rows(name):
        if subjects is None or row["subject"] in subjects:
            record = image_record(
                f"{domain}-{Path(row['file']).stem}",
                domain,
                subject=row["subject"],
                pixel_size_um=float(row["px_um"]),
                pixel_size_from="index.csv",
            )
            masks = picture(name, "masks", row["file"]) if domain == "source" else None
            stage_array(run, record, picture(name, "images", row["file"]), classes=masks)
    with project.editing():
        project.adopt(run)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return a function that makes a project that has learned TEM from some subjects, or all."""
    import torch

    torch.set_num_threads(1)

    def learn(subjects=None):
        project = Project.create(tmp_path_factory.mktemp("learned") / "project")
        add_set(project, "source", TEM, subjects)
        perform(project.create_run("train-segmenter", TrainSegmenterConfig(training=TRAINING)))
        return project

    return learn


@pytest.fixture(scope="module")
def learned_from_all(learned):
    return learned()


def leads(project, name, subjects=None):
    """Add a target, match it, and judge each image alone: image -> lead of inverting."""
    have = {record.id for record in project.images("target")}
    add_set(project, "target", name, subjects)
    records = [record for record in project.images("target") if record.id not in have]
    matched = project.create_run("match", MatchConfig(images_used=99))
    perform(matched)
    matching = load_matching(project, matched.id)
    segmenter = Segmenter.load(project.run(matching.segmenter).path)
    found = {}
    for record in records:
        scores = Judge(project, segmenter, [record], "auto").scores(matching.target_working_um)
        pair = scores[record.id]
        found[record.id] = pair["invert"] - pair["keep"]
        invert, certainty = decide(scores)
        assert invert == (found[record.id] > 0) == matching.polarity_by_image[record.id]
        chosen = "invert" if invert else "keep"
        scores_of_it = f"keep {pair['keep']:.3f} invert {pair['invert']:.3f} certainty {certainty:.3f}"
        print(f"{record.id:26} {chosen:6} {scores_of_it} at {matching.target_working_um:.4f} µm a pixel")
    return found


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that copies a project, so that it gets a target of its own."""

    def copy(project, name):
        import shutil

        shutil.copytree(project.path, tmp_path / name)
        return Project.open(tmp_path / name)

    return copy


def test_every_image_of_the_other_modality_is_inverted_alone(learned_from_all, elsewhere):
    found = leads(elsewhere(learned_from_all, "sem"), SEM)
    assert len(found) == 6
    assert {name: lead for name, lead in found.items() if lead <= 0} == {}


def test_every_image_of_the_same_modality_is_kept_alone(learned_from_all, elsewhere):
    found = leads(elsewhere(learned_from_all, "tem"), TEM)
    assert len(found) == 13
    assert {name: lead for name, lead in found.items() if lead >= 0} == {}


@pytest.mark.parametrize("half", [0, 1])
def test_images_of_animals_never_seen_are_kept_alone(learned, half):
    animals = sorted({row["subject"] for row in rows(TEM)})
    project = learned(animals[half::2])
    found = leads(project, TEM, animals[1 - half :: 2])
    assert len(found) >= 6
    assert {name: lead for name, lead in found.items() if lead >= 0} == {}
