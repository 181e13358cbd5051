"""A real viewer with the dock, and an engine of its own in real worker processes."""

import os

import pytest
from hands import canvas_of, click, open_dock
from qtpy.QtWidgets import QFileDialog

from histobridge.engine.cluster import stop_engine


def pytest_collection_modifyitems(items):
    """Skip what needs a canvas where there is none."""
    here = [item for item in items if item.path.parent.name == "end_to_end"]
    for item in here if not os.environ.get("DISPLAY") else []:
        item.add_marker(pytest.mark.skip(reason="offscreen Qt has no OpenGL"))


@pytest.fixture(scope="session")
def shared_engine_folder(tmp_path_factory):
    """One engine for all these tests: its workers take seconds to load torch."""
    folder = tmp_path_factory.mktemp("engine")
    folder.chmod(0o700)
    yield folder
    stop_engine(folder)


@pytest.fixture
def engine_folder(shared_engine_folder, monkeypatch):
    monkeypatch.setenv("HISTOBRIDGE_RUNTIME_DIR", str(shared_engine_folder))
    return shared_engine_folder


@pytest.fixture
def open_window(make_napari_viewer, engine_folder, qtbot):
    """Open napari and the dock in it."""

    def make():
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1366, 768)
        window = open_dock(viewer)
        qtbot.waitUntil(lambda: window.welcome.isVisible() and canvas_of(viewer).isVisible())
        return viewer, window

    return make


@pytest.fixture
def new_project(monkeypatch, tmp_path):
    """Make a project by the dock's button; the file dialog is answered."""

    def make(window, name="nerve"):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / name), ""))
        click(window.welcome.new)
        assert window.session.project is not None, window.project_bar.trouble.text()
        return window.session.project

    return make


@pytest.fixture
def ended(qtbot):
    """Wait until the newest run of a job has ended well."""

    def wait(window, verb, seconds=240):
        def newest():
            item = window.session.newest(verb)
            return item if item is not None and item.state.ended else None

        qtbot.waitUntil(lambda: newest() is not None, timeout=seconds * 1000)
        assert newest().state.status == "finished", newest().state.error or newest().state.message
        return newest()

    return wait
