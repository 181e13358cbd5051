import errno
import shutil
import threading

import numpy as np
import pytest

from histobridge.core import durable_store, snapshot
from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (700, 600)
WHOLE = (slice(0, 700), slice(0, 600))
(TILE,) = tile_grid(SHAPE)


def paint(store, area, value):
    """One stroke in the only tile of the image."""
    edit = TileEdit(store, TILE)
    painted = edit.classes
    painted[area] = value
    edit.commit(painted)


def strokes(store):
    paint(store, (slice(10, 40), slice(500, 560)), 1)
    paint(store, (slice(500, 530), slice(500, 520)), 2)
    paint(store, (slice(20, 30), slice(505, 515)), 0)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.read(WHOLE), other.read(WHOLE), strict=True))


def reopened(folder):
    return LabelStore(folder, SHAPE, writable=True)


def test_a_crash_at_any_write_of_a_snapshot_is_harmless(tmp_path, monkeypatch):
    store = reopened(tmp_path / "labels")
    paint(store, (slice(0, 700), slice(0, 600)), 3)
    store.snapshot()
    strokes(store)
    copies = []
    write_bytes, write_json = durable_store.write_bytes, snapshot.write_json

    def copying(write):
        def copy_and_write(path, data, **options):
            copies.append(tmp_path / f"copy-{len(copies)}")
            shutil.copytree(tmp_path / "labels", copies[-1])
            write(path, data, **options)

        return copy_and_write

    monkeypatch.setattr(durable_store, "write_bytes", copying(write_bytes))
    monkeypatch.setattr(snapshot, "write_json", copying(write_json))
    store.snapshot()
    monkeypatch.undo()
    assert len(copies) == 10, "two arrays of four chunks, then the snapshot file and its copy"
    for folder in copies:
        crashed = reopened(folder)
        assert same(crashed, store)
        assert crashed.reviewed_fraction() == store.reviewed_fraction()
        TileEdit(crashed, TILE).undo()
        crashed.snapshot()
        assert same(LabelStore(folder, SHAPE), crashed)
        crashed.close()
    store.close()


@pytest.mark.parametrize("failing", range(6))
def test_a_snapshot_that_fails_half_way_can_be_done_again(tmp_path, monkeypatch, failing):
    store = reopened(tmp_path)
    strokes(store)
    store.snapshot()
    paint(store, (slice(400, 600), slice(400, 600)), 3)
    wanted = store.read(WHOLE)
    write_bytes, left = durable_store.write_bytes, [failing]

    def full(path, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        write_bytes(path, data)

    with monkeypatch.context() as broken:
        broken.setattr(durable_store, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            store.snapshot()
        assert np.array_equal(store.read(WHOLE), wanted)
        assert np.array_equal(LabelStore(tmp_path, SHAPE).read(WHOLE), wanted)
        store.close()
    assert np.array_equal(LabelStore(tmp_path, SHAPE).read(WHOLE), wanted)
    again = reopened(tmp_path)
    again.snapshot()
    assert np.array_equal(again.read(WHOLE), wanted)
    again.close()


@pytest.mark.parametrize("damage", [None, b"", b"{}", b'{"format": 1, "sequence": "x", "reviewed": [[1]]}'])
def test_a_lost_or_damaged_snapshot_file_costs_nothing(tmp_path, damage):
    store = reopened(tmp_path)
    strokes(store)
    wanted, fraction = store.read(WHOLE), store.reviewed_fraction()
    store.close()
    (tmp_path / "snapshot.json").unlink()
    if damage is not None:
        (tmp_path / "snapshot.json").write_bytes(damage)
    store = LabelStore(tmp_path, SHAPE)
    assert np.array_equal(store.read(WHOLE), wanted)
    assert store.reviewed_fraction() == fraction


def test_a_lost_journal_leaves_the_snapshot_and_later_edits_are_seen(tmp_path):
    store = reopened(tmp_path)
    strokes(store)
    wanted = store.read(WHOLE)
    store.close()
    (tmp_path / "journal.log").unlink()
    store = reopened(tmp_path)
    assert np.array_equal(store.read(WHOLE), wanted)
    paint(store, (slice(0, 5), slice(0, 5)), 7)
    store.journal.flush()
    assert (LabelStore(tmp_path, SHAPE).read(WHOLE)[0][:5, :5] == 7).all()
    store.close()


def test_reading_while_a_snapshot_is_taken_always_shows_the_newest(tmp_path):
    store = reopened(tmp_path)
    done, wrong = threading.Event(), []

    def snapshots():
        while not done.is_set():
            store.snapshot()

    thread = threading.Thread(target=snapshots)
    thread.start()
    try:
        for value in range(1, 25):
            paint(store, (slice(0, 700), slice(0, 600)), value)
            if not all((array == wanted).all() for array, wanted in zip(store.read(WHOLE), (value, 2), strict=True)):
                wrong.append(value)
    finally:
        done.set()
        thread.join()
    store.close()
    assert not wrong
    assert (LabelStore(tmp_path, SHAPE).read(WHOLE)[0] == 24).all()
