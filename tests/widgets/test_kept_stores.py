"""Labels that are put away: brought up to date in the background, taken back at once, let go in the end."""

import errno
import os
import threading

import numpy as np
import pytest

from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import Manifest
from histobridge.core.project import Project
from histobridge.core.tiles import tile_grid
from histobridge.core.unsaved import read_unsaved, save_elsewhere
from histobridge.widgets.kept_stores import KeptStores, UnsavedEdits

SHAPE = (40, 30)
WHOLE = (slice(0, 40), slice(0, 30))
(TILE,) = tile_grid(SHAPE)


@pytest.fixture
def slow(monkeypatch):
    """Snapshots wait for this."""
    may_go, begun = threading.Event(), threading.Event()
    snapshot = LabelStore.snapshot

    def wait(store):
        begun.set()
        assert may_go.wait(20)
        snapshot(store)

    monkeypatch.setattr(LabelStore, "snapshot", wait)
    return begun, may_go


def opened(folder):
    return LabelStore(folder, SHAPE, writable=True)


def paint(store, row):
    edit = TileEdit(store, TILE)
    classes = edit.classes
    classes[row] = 1
    edit.commit(classes)


def test_nobody_waits_for_a_store_that_is_put_away_and_it_is_let_go_in_the_end(slow, tmp_path):
    begun, may_go = slow
    kept, store = KeptStores(), opened(tmp_path / "sem")
    paint(store, 5)
    kept.put_away(store)
    assert begun.wait(20)
    assert kept.stores == [store]
    may_go.set()
    kept.close()
    assert kept.stores == []
    again = opened(tmp_path / "sem")
    paint(again, 6)
    again.close()
    assert np.flatnonzero(LabelStore(tmp_path / "sem", SHAPE).read(WHOLE)[0].any(axis=1)).tolist() == [5, 6]


def test_a_store_that_is_still_being_put_away_is_taken_back_and_goes_on(slow, tmp_path):
    begun, may_go = slow
    kept, store = KeptStores(), opened(tmp_path / "sem")
    paint(store, 5)
    kept.put_away(store)
    assert begun.wait(20)
    assert kept.newest(opened(tmp_path / "sem")) is store
    assert kept.newest(opened(tmp_path / "other")) is not store
    paint(store, 6)
    kept.put_away(store)
    assert kept.newest(opened(tmp_path / "sem")) is store
    may_go.set()
    paint(store, 7)
    kept.put_away(store)
    kept.close()
    assert kept.stores == []
    again = opened(tmp_path / "sem")
    assert np.flatnonzero(again.read(WHOLE)[0].any(axis=1)).tolist() == [5, 6, 7]
    paint(again, 8)
    again.close()


def test_edits_saved_elsewhere_and_let_go_say_nothing_of_later_ones(tmp_path, monkeypatch):
    """The numbers of edits begin anew where the project ends; later ones were taken for saved, and lost."""
    monkeypatch.setattr("histobridge.widgets.kept_stores.rescue_folder", lambda: tmp_path / "rescued")
    unsaved, stores, project = UnsavedEdits(), [], Project(tmp_path, Manifest(name="nerve"))
    unsaved.watch(lambda: stores[-1] if stores else None)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    for row in (5, 6):
        stores.append(opened(tmp_path / "sem"))
        paint(stores[-1], row)
        assert unsaved.count() == 1
        (file,) = unsaved.save_elsewhere(project, tmp_path / f"stick{row}")
        assert file.exists()
        assert unsaved.count() == 0
        unsaved.rescue(project)


def test_edits_of_one_image_that_cannot_be_rescued_take_no_others_along(tmp_path, monkeypatch):
    rescued = tmp_path / "rescued"
    monkeypatch.setattr("histobridge.widgets.kept_stores.rescue_folder", lambda: rescued)
    write = save_elsewhere

    def refuse_first(store, *given):
        if store.folder.name == "first":
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return write(store, *given)

    monkeypatch.setattr("histobridge.widgets.kept_stores.save_elsewhere", refuse_first)
    unsaved, stores = UnsavedEdits(), [opened(tmp_path / name) for name in ("first", "second")]
    for store in stores:
        unsaved.watch(lambda store=store: store)
    with monkeypatch.context() as broken:

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        broken.setattr(os, "pwrite", full)
        for store in stores:
            paint(store, 5)
            assert not store.journal.flush()
        unsaved.rescue(Project(tmp_path, Manifest(name="nerve")))
    (file,) = rescued.iterdir()
    assert read_unsaved(file).labels == "second"
    assert [store.journal.pending for store in stores] == [1, 0], "the one still waits for its disk"
    stores[0].close()
