"""What the window shows when it comes back, when jobs change behind it, and when files cannot be written."""

import errno
import json

import numpy as np
import pytest
from qtpy.QtTest import QTest
from questions import answer
from window_fakes import proposed, say, submitted, tuned

from histobridge.core.config import AddImagesConfig, ExportConfig, MatchConfig
from histobridge.core.files import write_json
from histobridge.core.images.stage import image_record, stage_array
from histobridge.core.sample import make_sample_project
from histobridge.widgets.remembered import Remembered


@pytest.fixture
def open_page(make_window, sample):
    """Open the sample on a page; a viewer kept by a fixture would count as leaked."""

    def make(key):
        _, window = make_window(sample)
        window.go(key)
        return window, window.page(key)

    return make


def test_a_job_that_failed_while_no_window_was_open_is_told_with_its_traceback(make_window, sample):
    run = sample.create_run("match", MatchConfig())
    say(run, "failed", message="out of memory", error="Traceback ...")
    _, window = make_window(sample)
    (row,) = window.jobs.rows()
    assert row.error.text() == "out of memory"
    assert row.details.isVisibleTo(row)


def test_a_failure_that_was_made_good_since_is_not_told_again(make_window, sample):
    for status in ("failed", "finished"):
        say(sample.create_run("match", MatchConfig()), status)
    _, window = make_window(sample)
    assert window.jobs.rows() == []


def test_start_is_offered_again_after_an_interruption_and_not_while_the_job_runs_again(open_page, sample):
    window, page = open_page("export")
    run = window.session.submit("export", ExportConfig())
    page.refresh()
    assert not page.start_button.isEnabled()
    for status, offered in (("running", False), ("interrupted", True), ("running", False), ("failed", True)):
        say(run, status)
        window.session.poll()
        assert page.start_button.isEnabled() is offered, status


def test_the_model_that_was_chosen_stays_so_when_another_comes(open_page, sample):
    for _ in range(2):
        proposed(sample, sample.images("target"))
    window, page = open_page("learn")
    page.models.selectRow(1)
    chosen = page.models.item(1, 0).text()
    tuned(sample, 0.7, 0.6)
    window.session.poll()
    (index,) = page.models.selectionModel().selectedRows()
    assert page.models.item(index.row(), 0).text() == chosen


def test_the_folder_of_exports_is_kept_and_replacing_is_decided_each_time(make_window, sample, engine, tmp_path):
    _, window = make_window(sample)
    window.go("export")
    form = window.page("export").form
    form.set(out=tmp_path / "masks", replace=True)
    form.changed.emit()
    window.page("export").start_button.click()
    assert [config["replace"] for _, config in submitted(window, engine)] == [True]
    assert not form.config().replace
    again = make_window(sample)[1]
    again.go("export")
    assert again.page("export").form.config().out == tmp_path / "masks"


def test_an_import_on_a_full_disk_is_taken_in_once_there_is_room(make_window, tmp_path, monkeypatch):
    _, window = make_window()
    window.create_project(tmp_path / "fresh")
    run = window.session.submit("add", AddImagesConfig())
    stage_array(run, image_record("sem1", "target", subject="rat1"), np.ones((40, 40), np.uint8))
    say(run, "finished", result={"added": ["sem1"]})
    told = []
    window.session.trouble.connect(told.append)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("histobridge.core.project.write_json", full)
        window.session.poll()
        assert "No space left" in told[-1]
        assert window.jobs.rows()[0].message.text() != "waiting for its turn", "that it ended is told all the same"
    window.session.poll()
    assert [record.id for record in window.session.project.images()] == ["sem1"]
    assert told[-1] == ""


def test_problems_of_all_imports_are_told_and_stay_with_their_project(make_window, tmp_path):
    _, window = make_window()
    window.create_project(tmp_path / "fresh")
    page = window.page("images")
    for name in ("a.png", "b.png"):
        run = window.session.submit("add", AddImagesConfig())
        problem = {"file": f"/data/{name}", "problem": "it is empty", "remedy": "save it again"}
        say(run, "finished", result={"added": [], "problems": [problem], "notes": ["1 mask file(s) not used"]})
        window.session.poll()
    lines = page.problems.text().splitlines()
    assert [line.partition(":")[0] for line in lines if ":" in line] == ["a.png", "b.png"]
    assert "1 mask file(s) not used" in lines
    window.create_project(tmp_path / "other")
    assert page.problems.text() == ""


def test_nonsense_in_the_folded_settings_of_an_import_is_shown(open_page, tmp_path, engine):
    _, page = open_page("images")
    QTest.keyClicks(page.form.editors["pixel_size_um"].line, "nonsense")
    page.add_files("target", [tmp_path / "a.png"])
    assert engine.submitted == []
    assert page.how.toggle.isChecked()


def test_images_that_come_while_a_tile_is_open_can_be_jumped_to(open_page):
    window, page = open_page("review")
    before = page.images.count()
    shown = page.images.currentText()
    run = window.session.submit("add", AddImagesConfig())
    stage_array(run, image_record("late", "target", subject="rat1"), np.ones((40, 40), np.uint8))
    say(run, "finished", result={"added": ["late"]})
    window.session.poll()
    page.refresh()
    assert (page.images.count(), page.images.currentText()) == (before + 1, shown)


def test_labels_that_stay_hidden_when_the_window_is_left_come_back_with_the_next_press(open_page):
    window, _ = open_page("review")
    canvas = window.canvas
    canvas.hide_labels(True)
    canvas.hide_labels(True)  # the release of the key before went to another window
    canvas.hide_labels(False)
    assert canvas.labels.visible
    canvas.labels.visible = False
    canvas.hide_labels(False)
    assert not canvas.labels.visible, "what she hid herself stays hidden"


def test_two_windows_keep_what_each_other_remember_and_a_full_disk_stops_nobody(tmp_path, monkeypatch):
    one, other = (Remembered(tmp_path / "window.json") for _ in range(2))
    one.stay(tmp_path / "a", page="review")
    other.stay(tmp_path / "b", page="learn")
    one.keep_keys({"accept": "K"})
    assert set(json.loads((tmp_path / "window.json").read_text())["places"]) == {
        str(tmp_path / "a"),
        str(tmp_path / "b"),
    }

    def full(*_, **__):
        raise OSError(errno.EDQUOT, "quota")

    with monkeypatch.context() as disk:
        disk.setattr("histobridge.widgets.remembered.write_json", full)
        one.stay(tmp_path / "a", page="labels")
        one.stay(tmp_path / "a", tile="r000c000")
    assert one.place(tmp_path / "a") == {"page": "labels", "tile": "r000c000"}
    one.stay(tmp_path / "a", image="sem")
    assert Remembered(tmp_path / "window.json").place(tmp_path / "a")["page"] == "labels"


def test_a_project_that_cannot_be_written_says_why_for_as_long_as_it_is_so(make_window, sample, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("histobridge.core.lock.EditLock.acquire", refuse)
    _, window = make_window(sample)
    window.project_bar.watch_lock()
    assert "Read-only file system" in window.project_bar.read_only.text()
    assert window.project_bar.retry.text() == "Try again"


def test_a_line_is_drawn_only_where_the_pixel_size_is_known(make_window, sample):
    with sample.editing():
        for record in sample.images("target"):
            sample.update_image(record.id, pixel_size_um=None)
    _, window = make_window(sample)
    window.go("match")
    assert not window.page("match").draw_buttons["target"].isEnabled()


def test_closing_by_the_menu_asks_about_jobs_and_a_script_is_not_asked(make_window, sample, qtbot):
    viewer, window = make_window(sample, show=True)
    qtbot.waitUntil(window.isVisible)
    run = window.session.submit("match", MatchConfig())
    say(run, "running")
    window.session.poll()
    asked = answer("Stay here")
    viewer.window._qt_window.close()
    assert "still running" in asked[0]
    assert window.isVisible()


def test_review_goes_on_where_it_was_and_after_a_way_round_in_the_queue(make_window, tmp_path):
    from histobridge.core.config import RankConfig
    from histobridge.core.queue import Queue, QueuedTile

    project = make_sample_project(tmp_path / "queued", fields=5, size=64)
    proposed(project, project.images("target"))
    images = [record.id for record in project.images("target")]
    run = project.create_run("rank", RankConfig())
    tiles = [QueuedTile(image=name, tile="r000c000", score=0.5, reason="unlike") for name in images[:4]]
    write_json(run.path / "queue.json", Queue(order="queue", tiles=tiles).model_dump(mode="json"))
    say(run, "finished")
    _, window = make_window(project)
    window.go("review", domain="target", image=images[1], tile="r000c000")
    page = window.page("review")
    page.next_button.click()
    assert page.desk.place.image == images[2]
    page.back_button.click()
    page.back_button.click()
    assert page.desk.place.image == images[0], "before the tiles of this session lie those of the queue"
    page.next_button.click()
    page.open_domain("target", images[4])
    page.next_button.click()
    assert page.desk.place.image == images[2], "after a way round it goes on behind the last tile of the queue"


def test_the_page_stays_where_it_is_when_what_was_clicked_is_switched_off(make_window, sample, matched, qtbot):
    viewer, window = make_window(sample, show=True)
    viewer.window._qt_window.resize(900, 380)
    window.go("match")
    page = window.page("match")
    main = viewer.window._qt_window
    main.activateWindow()
    qtbot.waitUntil(main.isActiveWindow)
    page.start_button.setFocus()
    qtbot.waitUntil(page.start_button.hasFocus)
    assert window.scroll.verticalScrollBar().maximum() > 0
    page.start_button.click()
    assert not page.start_button.isEnabled()
    assert window.scroll.verticalScrollBar().value() == 0
