"""Closing after many edits: the window lives and shows it, and a kill in the middle loses nothing; without a viewer."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid
from histobridge.widgets.kept_stores import KeptStores, UnsavedEdits
from histobridge.widgets.saving_box import SavingBox, show_saving

SHAPE = (1200, 1100)
WHOLE = (slice(0, 1200), slice(0, 1100))


def painted(folder, rows=(5, 700)):
    """Labels with a stroke in each of some rows, not yet in the arrays."""
    store = LabelStore(folder, SHAPE, writable=True)
    tiles = tile_grid(SHAPE)
    for row in rows:
        tile = next(tile for tile in tiles if tile.window[0].start <= row < tile.window[0].stop)
        edit = TileEdit(store, tile)
        classes = edit.classes
        classes[row - tile.window[0].start] = 1
        edit.commit(classes)
    return store


def rows_of(folder):
    return np.flatnonzero(LabelStore(folder, SHAPE).read(WHOLE)[0].any(axis=1)).tolist()


@pytest.fixture
def held(monkeypatch):
    """Snapshots wait for this."""
    may_go = threading.Event()
    snapshot = LabelStore.snapshot

    def wait(store):
        assert may_go.wait(20)
        snapshot(store)

    monkeypatch.setattr(LabelStore, "snapshot", wait)
    return may_go


def test_the_window_lives_while_labels_are_saved_says_so_and_escape_does_not_end_it(held, tmp_path, qtbot):
    parent, kept, seen = QWidget(), KeptStores(), []
    qtbot.addWidget(parent)
    parent.show()
    kept.put_away(painted(tmp_path / "sem"))

    def look():
        box = QApplication.activeModalWidget()
        assert isinstance(box, SavingBox)
        qtbot.keyClick(box, Qt.Key.Key_Escape)
        box.close()
        seen.append(box.isVisible())
        held.set()

    QTimer.singleShot(500, look)
    show_saving(parent, kept)
    assert seen == [True]
    assert kept.progress() is None
    kept.close()
    assert kept.stores == []
    assert rows_of(tmp_path / "sem") == [5, 700]


def test_what_is_saved_at_once_is_not_shown(tmp_path, qtbot):
    parent, kept = QWidget(), KeptStores()
    qtbot.addWidget(parent)
    show_saving(parent, kept)
    assert not parent.findChildren(SavingBox)


def test_labels_that_stay_open_are_brought_up_to_date_too_and_can_be_edited_on(held, tmp_path):
    unsaved, store = UnsavedEdits(), painted(tmp_path / "sem")
    unsaved.watch(lambda: store)
    unsaved.bring_up_to_date()
    unsaved.bring_up_to_date()
    assert not unsaved.kept.wait(0.01)
    held.set()
    assert unsaved.kept.wait(20)
    assert store.written[1] > 1
    edit = TileEdit(store, tile_grid(SHAPE)[0])
    classes = edit.classes
    classes[9] = 2
    edit.commit(classes)
    store.close()
    assert rows_of(tmp_path / "sem") == [5, 9, 700]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from histobridge.core.label_arrays import LabelArrays
from histobridge.widgets.kept_stores import KeptStores
from test_saving import painted
write, count = LabelArrays.write, []
def die(arrays, window, labels):
    count.append(window)
    if len(count) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(arrays, window, labels)
LabelArrays.write = die
kept = KeptStores()
kept.put_away(painted(Path({folder!r})))
kept.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_while_labels_are_saved_loses_nothing(tmp_path, request):
    code = KILLED.format(tests=str(request.path.parent), folder=str(tmp_path / "sem"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert rows_of(tmp_path / "sem") == [5, 700]
    again = painted(tmp_path / "sem", rows=(800,))
    again.close()
    assert rows_of(tmp_path / "sem") == [5, 700, 800]
