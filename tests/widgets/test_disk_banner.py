"""A disk that cannot be written, two windows on one project, and the way back to the last place."""

import errno
import os

import pytest
from qtpy.QtWidgets import QApplication, QFileDialog
from questions import Asked, answer
from window_fakes import say

from histobridge.core.config import MatchConfig
from histobridge.core.project import Project
from histobridge.widgets.kept_stores import rescue_folder
from histobridge.widgets.main import HistoBridge
from histobridge.widgets.session import Session


class Disk:
    """A disk on which no edit can be written until it is mended."""

    def __init__(self):
        self._real = os.pwrite

    def breaks(self, number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        os.pwrite = refuse

    def mend(self):
        os.pwrite = self._real


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.mend()


def paint(window, row, value=2):
    window.canvas.painted()[row] = value
    window.page("review").desk.commit()


def stored(sample, image):
    record = sample.image(image)
    return sample.labels(image).read(tuple(slice(0, side) for side in record.shape))[0]


def wait_for_trouble(window, qtbot):
    def shown():
        window.disk_banner.refresh()
        return not window.disk_banner.isHidden()

    qtbot.waitUntil(shown)


def wait_until_written(window, qtbot):
    def written():
        window.disk_banner.refresh()
        return window.disk_banner.isHidden()

    qtbot.waitUntil(written)


def test_a_disk_that_cannot_be_written_is_told_with_a_way_out_and_nothing_is_lost(
    make_window, sample, engine, disk, qtbot, monkeypatch, tmp_path
):
    seen = bool(os.environ.get("DISPLAY"))
    viewer, window = make_window(sample, show=seen)
    fill_up(viewer, window, sample, disk, qtbot)
    window.open_project(sample.path)
    turn_read_only(window, sample, disk, qtbot)
    if seen:  # offscreen Qt has no OpenGL, and what is not shown is not closed
        ask_before_closing_on_jobs(window, engine)
        ask_before_closing_on_edits(window, disk, qtbot)
    save_elsewhere_and_bring_back(viewer, window, sample, engine, disk, qtbot, monkeypatch, tmp_path)


def fill_up(viewer, window, sample, disk, qtbot):
    disk.breaks(errno.ENOSPC)
    window.go("review", domain="target")
    banner, first, second = window.disk_banner, *(record.id for record in sample.images("target"))
    assert banner.isHidden()
    paint(window, 3)
    paint(window, 5)
    wait_for_trouble(window, qtbot)
    assert "2 edits are not saved in the project: the disk is full." in banner.note.text()
    window.go("images")
    assert not banner.isHidden()
    window.go("review", domain="target", image=second)
    page = window.page("review")
    page.open_domain("target", second)
    assert page.desk.place.image == second, "another image can be opened all the same"
    paint(window, 7)
    wait_for_trouble(window, qtbot)
    assert "3 edits are" in banner.note.text()
    page.open_domain("target", first)
    assert (window.canvas.painted()[[3, 5]] == 2).all(), "what is not on disk is still there"
    window.session.close_project()
    assert window.session.project is not None
    assert "could not be written" in window.project_bar.trouble.text()
    assert page.desk.place.image == first, "its tile was opened again"
    assert viewer.layers["labels"].editable
    paint(window, 9)

    disk.mend()
    banner.retry_button.click()
    wait_until_written(window, qtbot)
    assert (stored(sample, first)[[3, 5, 9]] == 2).all()
    assert (stored(sample, second)[7] == 2).all()
    window.session.close_project()
    assert window.session.project is None


def turn_read_only(window, sample, disk, qtbot):
    """While one paints; painting goes on."""
    window.go("review", domain="target")
    image = window.page("review").desk.place.image
    paint(window, 20)
    disk.breaks(errno.EROFS)
    for row in (22, 24):
        paint(window, row)
        wait_for_trouble(window, qtbot)
        assert "the disk can only be read. You can go on painting" in window.disk_banner.note.text()
        assert (window.canvas.painted()[row] == 2).all()
        assert window.page("review").desk.editable
    window.page("review").undo()
    assert not (window.canvas.painted()[24] == 2).all(), "undo goes on as well"
    window.page("review").redo()
    disk.mend()
    window.disk_banner.retry_button.click()
    wait_until_written(window, qtbot)
    assert (stored(sample, image)[[20, 22, 24]] == 2).all()


def ask_before_closing_on_jobs(window, engine):
    main = window.window()
    assert not window.eventFilter(main, Asked()), "nothing runs and nothing is unsaved: napari may close"
    run = window.session.submit("match", MatchConfig())
    asked = answer("Stay here")
    event = Asked()
    QApplication.sendEvent(main, event)
    assert not event.isAccepted()
    assert "A job is still running. It can go on without napari." in asked[0]
    asked = answer("Keep running")
    assert not window.eventFilter(main, Asked())
    assert asked
    assert not engine.cancelled
    asked = answer("Stop it")
    assert not window.eventFilter(main, Asked())
    assert asked
    assert engine.cancelled == [run.id]
    say(run, "cancelled", message="stopped as you asked")
    window.session.poll()


def ask_before_closing_on_edits(window, disk, qtbot):
    disk.breaks(errno.ENOSPC)
    paint(window, 30)
    wait_for_trouble(window, qtbot)
    asked = answer("Stay and keep trying")
    event = Asked()
    QApplication.sendEvent(window.window(), event)
    assert not event.isAccepted()
    assert "1 edit is not saved in the project: the disk is full." in asked[0]
    answer("Close")
    assert not window.eventFilter(window.window(), Asked())
    disk.mend()
    window.disk_banner.retry_button.click()
    wait_until_written(window, qtbot)


def save_elsewhere_and_bring_back(viewer, window, sample, engine, disk, qtbot, monkeypatch, tmp_path):
    image = window.page("review").desk.place.image
    disk.breaks(errno.ENOSPC)
    paint(window, 40)
    wait_for_trouble(window, qtbot)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "stick"))
    window.disk_banner.elsewhere_button.click()
    (file,) = (tmp_path / "stick").iterdir()
    assert "1 edit is not saved" in window.disk_banner.note.text()
    assert str(tmp_path / "stick") in window.disk_banner.note.text()
    assert window.disk_banner.may_close()
    paint(window, 42)
    window.session.close()
    (kept,) = rescue_folder().iterdir()
    assert not (stored(sample, image)[[40, 42]] == 2).any()
    disk.mend()

    again = HistoBridge(viewer, engine)
    again.open_project(sample.path)
    assert "its newest edits are kept in a file" in again.disk_banner.waiting.text()
    again.disk_banner.back_button.click()
    assert (stored(sample, image)[[40, 42]] == 2).all()
    assert not kept.exists()
    assert again.disk_banner.isHidden()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    again.project_bar.bring_back_asked.emit()
    assert file.exists()
    assert again.project_bar.trouble.text() == ""
    again.session.close()


def test_a_folder_that_cannot_be_reached_is_told_once_and_comes_back(qapp, sample, engine, tmp_path):
    session, told = Session(engine), []
    session.open(sample)
    session.trouble.connect(told.append)
    sample.path.rename(tmp_path / "unplugged")
    session.poll()
    session.poll()
    assert len(told) == 1
    assert "cannot be read now" in told[0]
    (tmp_path / "unplugged").rename(sample.path)
    session.poll()
    assert told[1:] == [""]
    assert session.editable
    session.close()


def test_a_project_on_a_disk_that_can_only_be_read_is_looked_at(qapp, sample, engine, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("histobridge.core.lock.write_json", read_only)
    session = Session(engine)
    session.open(sample)
    assert session.project is sample
    assert not session.editable
    assert "cannot be written" in session.read_only
    session.close()


def test_reopening_leads_to_the_last_place_and_a_second_window_looks_on_until_it_may_edit(make_window, sample, engine):
    viewer, window = make_window(sample)
    again = reopen_where_it_was_left(viewer, window, sample, engine)
    look_on_and_take_over(viewer, again, sample, engine)


def reopen_where_it_was_left(viewer, window, sample, engine):
    """The same tile, zoom, class and brush."""
    window.go("review", domain="target")
    page, image = window.page("review"), sample.images("target")[1].id
    page.open_domain("target", image)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (2.5, 3.5), 17.0
    window.canvas.labels.brush_size = 28
    page.choose_class(2)
    window.last_view.look()
    window.last_view.look()
    window.session.close()
    again = HistoBridge(viewer, engine)
    again.open_project(sample.path)
    assert again.step_bar.current == "review"
    assert again.page("review").desk.place.image == image
    assert viewer.scene.camera.zoom == pytest.approx(17.0)
    assert tuple(viewer.scene.camera.center)[-2:] == pytest.approx((2.5, 3.5))
    assert again.canvas.labels.brush_size == 28
    assert again.canvas.labels.selected_label == 2
    again.page("review").step(-1)
    assert viewer.scene.camera.zoom != pytest.approx(17.0), "only the first tile is shown as it was left"
    return again


def look_on_and_take_over(viewer, first, sample, engine):
    """When the first is gone."""
    second = HistoBridge(viewer, engine)
    second.open_project(sample.path)
    second.go("review", domain="target")
    bar = second.project_bar
    assert not second.session.editable
    assert "Read-only: this project is open elsewhere, by" in bar.read_only.text()
    assert "since" in bar.read_only.text()
    assert bar.retry.isHidden()
    assert not second.page("review").desk.editable
    first.go("review", domain="target")
    paint(first, 3)
    first.session.close_project()
    bar.watch_lock()
    assert "Nobody edits it now" in bar.read_only.text()
    assert not bar.retry.isHidden()
    bar.retry.click()
    assert second.session.editable
    assert second.page("review").desk.editable
    assert bar.read_only.text() == ""
    assert second.canvas.painted()[3].all(), "what the first has painted meanwhile"
    Project.open(sample.path).lock.acquire(take_over=True)
    bar.watch_lock()
    assert not second.session.editable, "somebody took it by force"
    second.session.close()
