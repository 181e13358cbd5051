"""A window with a project, and an engine that runs nothing by itself."""

import pytest
from window_fakes import FakeEngine, say

from histobridge.core.config import MatchConfig, TrainSegmenterConfig
from histobridge.core.files import write_json


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def sample(tmp_path):
    """A project of two source images with masks and two target images, 96 px."""
    from histobridge.core.sample import make_sample_project

    return make_sample_project(tmp_path / "nerve", fields=2, size=96)


@pytest.fixture
def make_window(make_napari_viewer, engine):
    """Open the dock in a real viewer."""
    from histobridge.widgets.main import HistoBridge

    def make(project=None, show=False):
        viewer = make_napari_viewer(show=show)
        window = HistoBridge(viewer, engine)
        viewer.window.add_dock_widget(window, name="HistoBridge", area="right")
        if project is not None:
            window.open_project(project.path)
        return viewer, window

    return make


@pytest.fixture
def ended(sample):
    """Write a run that has finished."""

    def make(verb, config, **values):
        run = sample.create_run(verb, config)
        say(run, "finished", **values)
        return run

    return make


@pytest.fixture
def matched(ended):
    """A finished matching, as its file says."""
    ended("train-segmenter", TrainSegmenterConfig())
    run = ended("match", MatchConfig())
    values = {"source_working_um": 0.1, "target_working_um": 0.2, "scale_from": "estimate", "invert": True}
    values |= {"polarity_from": "estimate", "certainty": 0.62, "certain": False}
    write_json(run.path / "matching.json", values)
    return run
