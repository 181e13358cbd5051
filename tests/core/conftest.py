"""The small sample project, learned, matched and proposed for once; tests that change it get a copy."""

import importlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from histobridge.core.config import AddImagesConfig, MatchConfig, ProposeConfig, SegmenterTraining, TrainSegmenterConfig
from histobridge.core.files import read_json, write_json
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.metrics import dice
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.proposals import read_proposal
from histobridge.core.runs import Run
from histobridge.core.sample import make_sample_project, read_truth

SIDE = 192
WHOLE = (slice(0, SIDE), slice(0, SIDE))
TRAINING = SegmenterTraining(preset="tiny", steps=200, batch_size=4, crop_px=64, augmentation=0.5, device="cpu")
BRIEF = TRAINING.model_copy(update={"steps": 6, "batch_size": 2, "checkpoint_every": 4})
STEPS = (
    ("train-segmenter", TrainSegmenterConfig(training=TRAINING)),
    ("match", MatchConfig()),
    ("propose", ProposeConfig(route="tutorship", training=TRAINING)),
    ("propose", ProposeConfig(route="adaptation", training=TRAINING)),
)


@dataclass(frozen=True)
class Loop:
    """A project and its runs, by id."""

    project: Project
    learned: str
    matched: str
    tutored: str
    adapted: str

    whole = WHOLE
    brief = BRIEF

    def run(self, verb: str, config) -> Run:
        """Perform a job to its end."""
        return ended(self.project, verb, config)

    @property
    def targets(self) -> list[str]:
        return [record.id for record in self.project.images("target")]

    def proposed(self, run: Run | str, image_id: str) -> np.ndarray:
        """Proposed classes of a whole image."""
        return read_proposal(self.project, run if isinstance(run, str) else run.id, image_id, WHOLE)[0]

    def score(self, run: Run | str, image_id: str) -> float:
        """Mean Dice of the classes of one proposal against the hidden truth."""
        truth = read_truth(self.project, image_id)
        return float(np.mean([dice(self.proposed(run, image_id), truth, value) for value in (1, 2)]))


def ended(project: Project, verb: str, config) -> Run:
    """Perform a job to its end."""
    run = project.create_run(verb, config)
    perform(run)
    return run


def add(project: Project, domain: str, images: dict, size_um: float | None = 0.1, classes: dict | None = None) -> None:
    """Add arrays (Y, X) uint8 as images, each of its own subject; `classes` are the label maps of some."""
    run = project.create_run("add", AddImagesConfig())
    for name, pixels in images.items():
        record = image_record(name, domain, subject=name, pixel_size_um=size_um, pixel_size_from="test")
        stage_array(run, record, pixels, classes=(classes or {}).get(name))
    with project.editing():
        project.adopt(run)


@pytest.fixture(scope="session")
def add_arrays():
    return add


@pytest.fixture(scope="session")
def sample_loop(tmp_path_factory) -> Loop:
    """The sample after every route, made once for all test processes; never to be changed."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    done = folder / "loop.json"
    with FileLock(folder / "loop.lock"):
        if not done.exists():
            project = make_sample_project(folder / "loop", fields=3, size=SIDE)
            write_json(done, [ended(project, verb, config).id for verb, config in STEPS])
    return Loop(Project.open(folder / "loop"), *read_json(done))


@pytest.fixture
def loop(sample_loop, tmp_path) -> Loop:
    """A copy of the sample with its runs, to be changed; the proposals of tutorship are active."""
    path = tmp_path / "project"
    shutil.copytree(sample_loop.project.path, path)
    project = Project.open(path)
    with project.editing():
        project.pin("proposals", sample_loop.tutored)
    return Loop(project, sample_loop.learned, sample_loop.matched, sample_loop.tutored, sample_loop.adapted)


@pytest.fixture
def learned_elsewhere(sample_loop, tmp_path):
    """Return a function that makes a project of target arrays in which the sample's segmenter is known."""

    def make(images: dict, size_um: float | None = 0.1, name: str = "elsewhere") -> Project:
        project = Project.create(tmp_path / name)
        shutil.copytree(
            sample_loop.project.path / "runs" / sample_loop.learned, Path(project.path, "runs", sample_loop.learned)
        )
        add(project, "target", images, size_um)
        return project

    return make


@pytest.fixture
def benchmark(monkeypatch):
    """Import a file of the benchmarks by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module
