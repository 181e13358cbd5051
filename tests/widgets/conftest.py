"""A window with a project, and an engine that runs nothing by itself."""

import pytest
from window_fakes import FakeEngine


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
