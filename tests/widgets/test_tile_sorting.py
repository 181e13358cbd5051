"""The Tiles dock sorted by what its columns say, also by the reason, which has no header; without a viewer."""

from collections import Counter

import pytest
from qtpy.QtCore import QObject, QPoint, Qt, Signal
from qtpy.QtTest import QTest

from histobridge.core.tiles import tile_grid
from histobridge.core.worklist import WorkTile
from histobridge.widgets.session import Session
from histobridge.widgets.tiles_dock import TilesDock
from histobridge.widgets.tiles_model import SCORE, TILE, TIME

REASONS = ("unsure about 12 fibres", "", "At random", "unsure about 3 fibres", "at random", "")
BY_REASON = ["At random", "at random", "unsure about 3 fibres", "unsure about 12 fibres", "", ""]


class Listed(QObject):
    """A worklist of six tiles."""

    renewed, changed, opened = Signal(), Signal(object), Signal(object)
    domain, read, key = "target", True, None

    def __init__(self):
        super().__init__()
        self.rows = [
            WorkTile("sem", tile, "proposed", rank=rank, reason=reason, seconds=10 - rank)
            for rank, (tile, reason) in enumerate(zip(tile_grid((1500, 2500)), REASONS, strict=True))
        ]

    def counts(self):
        return Counter(row.status for row in self.rows)


@pytest.fixture
def listed():
    return Listed()


@pytest.fixture
def dock(engine, qtbot, listed):
    session = Session(engine)
    made = TilesDock(session, listed, lambda _: None)
    qtbot.addWidget(made)
    made.show()
    yield made
    session.close()


def column(dock, name):
    return [getattr(dock.model.row(place), name) for place in range(dock.model.rowCount())]


def choose(dock, text, qtbot):
    """Choose an order as the keyboard does."""
    dock.order.setCurrentText(text)
    dock.order.showPopup()
    qtbot.keyClick(dock.order.view(), Qt.Key.Key_Return)


def test_reasons_sort_as_they_are_read_then_by_the_queue_and_tiles_without_one_stay_last(dock, qtbot):
    choose(dock, "by reason", qtbot)
    assert column(dock, "reason") == BY_REASON
    choose(dock, "by reason", qtbot)
    assert column(dock, "reason") == [BY_REASON[n] for n in (3, 2, 0, 1, 4, 5)]
    dock.text.setText("unsure")
    assert column(dock, "reason") == [BY_REASON[n] for n in (3, 2)], "a filter keeps the order"


def test_headers_and_the_list_of_orders_agree(dock, qtbot):
    header = dock.table.horizontalHeader()
    QTest.mouseClick(
        header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(header.sectionPosition(TIME) + 5, header.height() // 2)
    )
    assert dock.order.currentText() == "by time"
    assert column(dock, "seconds") == [5, 6, 7, 8, 9, 10]
    choose(dock, "by queue", qtbot)
    assert column(dock, "rank") == [0, 1, 2, 3, 4, 5]
    choose(dock, "by time", qtbot)
    assert column(dock, "seconds") == [10, 9, 8, 7, 6, 5], "what cost most comes first"


def test_the_dock_stays_narrow(dock):
    assert dock.minimumSizeHint().width() <= 340


def test_names_have_the_room_of_numbers_until_there_are_some(dock, listed):
    def shown():
        listed.renewed.emit()
        return [not dock.table.isColumnHidden(column) for column in (SCORE, TIME)], dock.table.columnWidth(TILE)

    for row in listed.rows:
        row.seconds = 0
    none, wide = shown()
    assert none == [False, False]
    listed.rows[0].score = 0.5
    assert shown()[0] == [True, False]
    listed.rows[1].seconds = 65
    both, narrow = shown()
    assert both == [True, True]
    assert narrow < wide
