"""The Tiles dock, progress towards the goal, effort and blind checks; one viewer at the end."""

import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QWidget
from window_fakes import proposed

from histobridge.core.blind import BlindChecks, answers, write_checks
from histobridge.core.corrections import TileEdit
from histobridge.core.effort import read_effort
from histobridge.core.images.tile_thumbnails import TileThumbnails
from histobridge.core.project import Project
from histobridge.core.sample import make_sample_project
from histobridge.core.tiles import tile_grid
from histobridge.core.worklist import WorkTile
from histobridge.core.worth import AT_RANDOM
from histobridge.widgets.desk import Place
from histobridge.widgets.effort_watch import EffortWatch
from histobridge.widgets.goal_bar import GoalBar
from histobridge.widgets.session import Session
from histobridge.widgets.tiles_dock import TilesDock
from histobridge.widgets.tiles_model import COLUMNS, REASON, SCORE, STATUS, TIME, TilesModel
from histobridge.widgets.worklist import Worklist

TILES = tile_grid((2000, 2000))
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def rows():
    statuses = ("proposed", "accepted", "corrected", "skipped")
    made = [WorkTile("sem", tile, statuses[n % 4], score=n / 16, seconds=n) for n, tile in enumerate(TILES)]
    for rank, row in enumerate((made[5], made[2])):
        row.rank, row.reason = rank, f"reason {rank}"
    return made


@pytest.fixture
def model(rows):
    shown = TilesModel()
    shown.show(rows)
    return shown


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return make_sample_project(tmp_path_factory.mktemp("four") / "nerve", fields=4, size=64).path


@pytest.fixture
def session(four, tmp_path, engine):
    """A project of four target images of one tile each, open without a window."""
    opened = Session(engine)
    opened.open(Project.open(shutil.copytree(four, tmp_path / "nerve")))
    yield opened
    opened.close()


def ids(model):
    return [model.row(place).tile.id for place in range(model.rowCount())]


# -- the table, without a view -----------------------------------------------------------------------------------------


def test_what_waits_comes_first_in_the_order_of_the_queue(model, rows):
    assert ids(model)[:2] == [rows[5].tile.id, rows[2].tile.id]
    assert ids(model)[2:] == [row.tile.id for row in rows if row.rank is None]


def test_columns_sort_both_ways_and_back_to_the_queue(model, rows):
    model.sort(SCORE, Qt.SortOrder.DescendingOrder)
    assert ids(model) == [row.tile.id for row in rows[::-1]]
    model.sort(STATUS)
    assert [model.row(n).status for n in (0, model.rowCount() - 1)] == ["proposed", "accepted"]
    model.sort(-1)
    assert ids(model)[0] == rows[5].tile.id


def test_filters_by_status_and_by_text(model, rows):
    model.keep("accepted")
    assert ids(model) == [rows[n].tile.id for n in (1, 5)][::-1]
    model.keep(text=" REASON 1")
    assert ids(model) == [rows[2].tile.id]
    model.keep()
    assert model.rowCount() == len(rows)


def test_cells_say_status_score_time_and_reason(model, rows):
    cells = [model.data(model.index(model.place(rows[5].key), column)) for column in range(len(COLUMNS))]
    assert cells == [f"sem\n{rows[5].tile.id}", "accepted", "0.31", "0:05", "reason 0"]
    rows[5].seconds = 65
    told = []
    model.dataChanged.connect(lambda first, last: told.append(first.row()))
    model.refresh(rows[5].key)
    assert told == [model.place(rows[5].key)]
    assert model.data(model.index(told[0], TIME)) == "1:05"
    assert model.data(model.index(told[0], REASON), Qt.ItemDataRole.DecorationRole) is None


# -- the dock and the progress, without a viewer -----------------------------------------------------------------------


@pytest.fixture
def desk():
    return SimpleNamespace(edit=None)


@pytest.fixture
def dock(session, desk, qtbot):
    """The dock, its worklist and the places it has jumped to."""
    worklist, jumps = Worklist(session, desk), []
    made = TilesDock(session, worklist, jumps.append)
    qtbot.addWidget(made)
    made.resize(340, 400)
    made.show()
    worklist.refresh()
    qtbot.waitUntil(lambda: made.model.rowCount() == 4)
    return made, worklist, jumps


def test_enter_and_a_double_click_jump(dock):
    made, _, jumps = dock
    made.table.selectRow(2)
    QTest.keyClick(made.table, Qt.Key.Key_Return)
    index = made.model.index(1, 0)
    for click in (QTest.mouseClick, QTest.mouseDClick):
        click(made.table.viewport(), LEFT, NONE, made.table.visualRect(index).center())
    assert [place.image for place in jumps] == [made.model.row(2).image, made.model.row(1).image]


@pytest.fixture
def held(monkeypatch):
    """No thumbnail is read before this is set."""
    go, read = threading.Event(), TileThumbnails.read
    monkeypatch.setattr(TileThumbnails, "read", lambda *given: read(*given) if go.wait(10) else None)
    yield go
    go.set()


def test_thumbnails_come_by_and_by_for_what_is_seen(held, dock, qtbot):
    made, _, _ = dock
    icons = [made.model.data(made.model.index(row, 0), Qt.ItemDataRole.DecorationRole) for row in range(4)]
    assert all(icon.availableSizes()[0].width() == 40 for icon in icons)
    held.set()

    def come():
        sizes = [made.model.data(made.model.index(row, 0), Qt.ItemDataRole.DecorationRole) for row in range(4)]
        return all(icon.availableSizes()[0].width() == 64 for icon in sizes)

    qtbot.waitUntil(come)


def test_the_open_tile_is_followed_and_its_status_kept_up_to_date(dock, session, desk, qtbot):
    made, worklist, _ = dock
    project = session.project
    image = project.images("target")[3]
    goal = GoalBar(session, worklist)
    qtbot.addWidget(goal)
    assert goal.bar.text() == "0 reviewed, 4 to go"
    store = project.labels(image.id)
    desk.edit = TileEdit(store, project.tiles(image)[0])
    session.tile_opened.emit(Place(image.id, project.tiles(image)[0]))
    assert made.model.row(made.table.currentIndex().row()).image == image.id
    desk.edit.accept()
    worklist.look()
    assert made.model.data(made.model.index(made.table.currentIndex().row(), STATUS)) == "accepted"
    assert goal.bar.text() == "1 reviewed, 3 to go"
    assert "1 accepted" in made.sums.text()
    goal.goal.setValue(1)
    goal.goal.editingFinished.emit()
    assert goal.bar.text() == "1 reviewed, goal reached"
    again = GoalBar(session, worklist)
    qtbot.addWidget(again)
    assert again.goal.value() == 1, "the goal is remembered"
    store.close()


def test_the_reason_is_written_over_the_width_of_the_row_and_nothing_is_scrolled_for(dock, qtbot):
    made, worklist, _ = dock
    before = made.table.viewport().grab().toImage()
    worklist.rows[0].reason = "routes disagree on 12 fibres, and it looks unlike the tiles reviewed so far"
    made.model.show(worklist.rows)
    place = made.model.place(worklist.rows[0].key)
    after = made.table.viewport().grab().toImage()
    row = made.table.visualRect(made.model.index(place, 0))
    differ = [
        x
        for x in range(row.left() + 46, made.table.viewport().width())
        for y in range(row.center().y() + 1, row.bottom())
        if before.pixel(x, y) != after.pixel(x, y)
    ]
    assert max(differ) > made.table.visualRect(made.model.index(place, STATUS)).left(), "below the other columns too"
    assert made.table.horizontalScrollBar().maximum() == 0
    assert "routes disagree" in made.model.data(made.model.index(place, 0), Qt.ItemDataRole.ToolTipRole)


def test_empty_states_say_what_to_do(dock, session):
    made, _, _ = dock
    made.text.setText("nowhere")
    assert "Empty it" in made.empty.text()
    session.close_project()
    assert made.empty.text() == "No project is open."
    assert made.model.rowCount() == 0


def test_the_table_of_costs_is_saved_or_says_why_not(dock, tmp_path):
    made, _, _ = dock
    made.save(tmp_path / "effort.csv")
    assert len((tmp_path / "effort.csv").read_text().splitlines()) == 5
    made.save(tmp_path / "none" / "effort.csv")
    assert "Choose another folder" in made.trouble.text()


# -- effort ------------------------------------------------------------------------------------------------------------


def send(widget, *kinds):
    """Send events to the window as the system does."""
    handle, place = widget.windowHandle(), QPointF(5, 5)
    for kind in kinds:
        if kind == QEvent.Type.KeyPress:
            QApplication.sendEvent(handle, QKeyEvent(kind, Qt.Key.Key_N, NONE, "n"))
        else:
            QApplication.sendEvent(handle, QMouseEvent(kind, place, place, LEFT, LEFT, NONE))


def test_acts_in_the_window_count_for_the_open_tile(session, desk, qtbot):
    now = [0.0]
    watch = EffortWatch(session, desk, lambda: now[0])
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
    watch.watch(widget)
    project = session.project
    first, second = project.images("target")[:2]
    (tile,) = project.tiles(first)
    store = project.labels(first.id)
    desk.edit = edit = TileEdit(store, tile)
    session.tile_opened.emit(Place(first.id, tile))
    for wait in (0, 2, 40):
        now[0] += wait
        send(widget, QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress)
    edit.commit(np.eye(64, dtype=np.uint8))
    desk.edit = None
    session.tile_opened.emit(Place(second.id, tile))
    watch.reviewing(False)
    send(widget, QEvent.Type.KeyPress)
    watch.reviewing(True)
    send(widget, QEvent.Type.KeyPress)
    store.close()
    session.close_project()
    (logged,) = read_effort(project)
    assert (logged.image, logged.seconds, logged.clicks, logged.keys) == (first.id, 17, 3, 0)
    assert (logged.strokes, logged.pixels) == (1, 64)


# -- in the window -----------------------------------------------------------------------------------------------------


def test_review_opens_the_dock_and_slips_in_blind_checks(make_window, sample, qtbot):
    proposed(sample, sample.images("target"))
    write_checks(sample, BlindChecks(on=True, twice=1, without=0, after=0))
    viewer, window = make_window(sample)
    window.go("review", domain="target")
    page, tiles = window.page("review"), window.docks.tiles
    qtbot.waitUntil(lambda: tiles.model.rowCount() == 2)
    main = window.window()
    layers = main.findChild(QDockWidget, "layer list")
    assert [dock.windowTitle() for dock in main.tabifiedDockWidgets(layers)] == ["Tiles"]
    first, second = (record.id for record in sample.images("target"))
    viewer.layers["labels"].data[:8] = 2
    page.accept_button.click()
    assert (page.desk.place.image, page.desk.place.check) == (first, "again")
    assert page.chip.text() == "proposed"
    assert AT_RANDOM in page.queue.reason.text()
    assert not (viewer.layers["labels"].data == 2).any()
    viewer.layers["labels"].data[:4] = 2
    page.accept_button.click()
    assert (page.desk.place.image, page.desk.place.check) == (second, "")
    page.desk.flush()
    rows = [
        store.read((slice(0, 96), slice(0, 1)))[0][:, 0] for store in (sample.labels(first), answers(sample, first))
    ]
    assert [int((row == 2).sum()) for row in rows] == [8, 4]
    window.go("images")
    tiles.table.mark((first, "r000c000"))
    QTest.keyClick(tiles.table, Qt.Key.Key_Return)
    assert window.step_bar.current == "review"
    assert page.desk.place.image == first
    assert page.chip.text() == "accepted"
