"""The dock: projects, steps, lock, closing."""

import subprocess
import sys
import time

import pytest

from histobridge.core.project import Project
from histobridge.widgets.steps import STEPS


def test_importing_the_dock_imports_neither_torch_nor_monai_nor_zarr():
    code = "import histobridge.widgets.main, sys; print({'torch', 'monai', 'zarr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_dock_opens_within_300_ms(make_napari_viewer, engine):
    from histobridge.widgets.main import HistoBridge

    viewer = make_napari_viewer()
    begun = time.process_time()
    viewer.window.add_dock_widget(HistoBridge(viewer, engine), name="HistoBridge")
    assert time.process_time() - begun < 0.3


def test_a_new_project_opens_on_the_images_page_and_holds_the_lock(make_window, tmp_path, engine):
    viewer, window = make_window()
    assert not window.step_bar.buttons["images"].isEnabled()
    window.create_project(tmp_path / "fresh")
    assert window.step_bar.buttons["images"].text() == "◉ Images"
    assert Project.open(tmp_path / "fresh").lock.holder() is not None
    viewer.close()
    assert Project.open(tmp_path / "fresh").lock.holder() is None
    assert engine.closed


def test_a_folder_that_is_no_project_is_told_in_the_dock(make_window, tmp_path):
    _, window = make_window()
    window.open_project(tmp_path)
    assert "is not a HistoBridge project" in window.project_bar.trouble.text()


@pytest.mark.parametrize("key", [step.key for step in STEPS])
def test_every_page_opens_on_an_empty_project(make_window, tmp_path, key):
    _, window = make_window()
    window.create_project(tmp_path / "empty")
    window.step_bar.buttons[key].click()
    assert window.step_bar.current == key
    assert window.project_bar.trouble.text() == ""


def test_a_project_locked_by_another_process_opens_read_only_and_says_by_whom(make_window, sample, qtbot):
    code = (
        "import sys, time; from pathlib import Path; from histobridge.core.project import Project\n"
        f"project = Project.open(Path({str(sample.path)!r})); project.lock.program = 'other window'\n"
        "project.lock.acquire(); print('locked', flush=True); sys.stdin.read(); project.lock.release()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as other:
        assert other.stdout.readline() == "locked\n"
        _, window = make_window(sample)
        assert f"(other window, process {other.pid})" in window.project_bar.read_only.text()
        assert not window.session.editable
        assert not window.page("images").add_buttons[0].isEnabled()
        other.stdin.close()
    window.project_bar.retry.click()
    assert window.session.editable
    assert window.project_bar.read_only.text() == ""


def test_taking_the_dock_out_gives_the_lock_back(make_window, sample):
    viewer, window = make_window(sample)
    assert sample.lock.holder() is not None
    viewer.window.remove_dock_widget(window)
    assert sample.lock.holder() is None
    window.close()


def test_the_window_remembers_projects_and_pages(make_window, sample, tmp_path):
    _, window = make_window(sample)
    window.step_bar.buttons["export"].click()
    window.session.close_project()
    window.create_project(tmp_path / "other")
    window.open_project(sample.path)
    assert window.step_bar.current == "export"
    assert window.session.remembered.recent == [sample.path, tmp_path / "other"]


def test_layers_of_the_user_are_never_touched(make_window, sample):
    import numpy as np

    viewer, window = make_window()
    hers = viewer.add_labels(np.ones((8, 8), np.uint8), name="labels")
    viewer.add_image(np.ones((8, 8)), name="image")
    window.open_project(sample.path)
    window.go("review")
    window.session.close_project()
    assert [layer.name for layer in viewer.layers] == ["labels", "image"]
    assert (hers.data == 1).all()


def test_the_sample_project_is_made_and_opened(make_window, tmp_path, qtbot):
    _, window = make_window()
    window.create_sample(tmp_path / "sample")
    qtbot.waitUntil(lambda: window.session.project is not None, timeout=20000)
    assert window.step_bar.current == "images"
    assert window.session.editable


def test_looking_at_a_tile_does_not_make_review_done_but_accepting_one_does(make_window, sample):
    _, window = make_window(sample, show=False)
    window.go("review", domain="target")
    window.go("export")
    assert window.step_bar.buttons["review"].text() == "○ Review"
    window.page("review").accept_button.click()
    window.page("review").desk.flush()
    window.step_bar.refresh()
    assert window.step_bar.buttons["review"].text() == "● Review"
