import errno
import subprocess
import sys

import numpy as np
import pytest
import zarr

from histobridge.core.corrections import TileEdit
from histobridge.core.errors import LockedError, ProjectError
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


def test_nothing_stored_reads_as_zeros_and_makes_no_file(tmp_path):
    store = LabelStore(tmp_path / "labels", SHAPE)
    assert not store.exists
    assert not any(array.any() for array in store.read(WHOLE))
    assert store.reviewed_fraction() == 0
    assert not list(store.corrections())
    store.close()
    assert not list(tmp_path.iterdir())


def test_masks_that_come_with_an_image_are_accepted_and_unlabelled_pixels_ignored(tmp_path):
    masks = np.zeros(SHAPE, np.uint8)
    masks[:300], masks[600:] = 2, 255
    LabelStore.create(tmp_path, SHAPE, classes=masks)
    store = LabelStore(tmp_path, SHAPE)
    classes, state = store.read(WHOLE)
    np.testing.assert_array_equal(classes, np.where(masks == 255, 0, masks))
    np.testing.assert_array_equal(state, np.where(masks == 255, 3, 1))
    assert store.exists
    assert store.reviewed_fraction() == 1


def test_a_given_state_is_kept(tmp_path):
    state = np.zeros(SHAPE, np.uint8)
    state[600:, 550:] = 2
    store = LabelStore.create(tmp_path, SHAPE, np.ones(SHAPE, np.uint8), state)
    np.testing.assert_array_equal(store.read(WHOLE)[1], state)
    assert list(store.corrections()) == [(slice(512, 700), slice(512, 600))]
    assert store.reviewed_fraction() == pytest.approx(100 * 50 / (700 * 600))


def test_arrays_are_plain_zarr_with_chunks_of_512(tmp_path):
    LabelStore.create(tmp_path, SHAPE, np.ones(SHAPE, np.uint8))
    for name in ("classes", "state"):
        array = zarr.open_array(tmp_path / name, mode="r")
        assert (array.shape, array.dtype, array.chunks, array.shards) == (SHAPE, np.uint8, (512, 512), None)
        assert array.metadata.zarr_format == 3


def test_create_refuses_other_shapes_and_edited_labels(tmp_path):
    with pytest.raises(ValueError, match="the image"):
        LabelStore.create(tmp_path, SHAPE, np.zeros((3, 3), np.uint8))
    assert not list(tmp_path.iterdir())
    store = LabelStore.create(tmp_path, SHAPE)
    strokes(store)
    store.close()
    with pytest.raises(ProjectError, match="already holds edited labels"):
        LabelStore.create(tmp_path, SHAPE)


def test_create_replaces_what_an_interrupted_import_left(tmp_path):
    LabelStore.create(tmp_path, SHAPE, np.ones(SHAPE, np.uint8))
    store = LabelStore.create(tmp_path, SHAPE)
    assert not any(array.any() for array in store.read(WHOLE))
    assert store.reviewed_fraction() == 0


def test_arrays_of_another_shape_are_refused(tmp_path):
    LabelStore.create(tmp_path, SHAPE)
    with pytest.raises(ProjectError, match="the image needs"):
        LabelStore(tmp_path, (64, 64)).read((slice(0, 64), slice(0, 64)))


def test_a_window_outside_the_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not inside"):
        LabelStore(tmp_path, SHAPE).read((slice(0, 701), slice(0, 10)))


def test_a_read_only_store_refuses_every_change(tmp_path):
    LabelStore.create(tmp_path, SHAPE, np.ones(SHAPE, np.uint8)).close()
    before = sorted(tmp_path.rglob("*"))
    store = LabelStore(tmp_path, SHAPE)
    edit = TileEdit(store, TILE)
    changes = (
        lambda: edit.commit(np.zeros(SHAPE, np.uint8)),
        lambda: edit.ignore(np.ones(SHAPE, bool)),
        edit.accept,
        edit.skip,
        store.begin,
        store.snapshot,
    )
    for change in changes:
        with pytest.raises(LockedError):
            change()
    store.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_any_window_shows_the_edits_before_and_after_a_snapshot(tmp_path):
    store = reopened(tmp_path)
    strokes(store)
    whole = store.read(WHOLE)
    assert [int((whole[0] == value).sum()) for value in (1, 2)] == [30 * 60 - 100, 600]
    assert int((whole[1] == 2).sum()) == 30 * 60 + 600
    fraction = store.reviewed_fraction()
    chunks = list(store.corrections())
    for _ in range(2):
        for window in ((slice(20, 510), slice(510, 555)), (slice(600, 700), slice(0, 9)), (slice(5, 5), slice(0, 9))):
            for part, array in zip(store.read(window), whole, strict=True):
                np.testing.assert_array_equal(part, array[window])
        assert store.reviewed_fraction() == fraction == (30 * 60 + 600) / (700 * 600)
        assert list(store.corrections()) == chunks
        store.snapshot()
    assert len(chunks) == 4
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "classes", mode="r")[:], whole[0])
    store.close()


def test_labels_of_a_newer_version_are_refused(tmp_path):
    LabelStore.create(tmp_path, SHAPE)
    (tmp_path / "snapshot.json").write_text('{"format": 2, "sequence": 0, "reviewed": []}')
    with pytest.raises(ProjectError, match="newer"):
        LabelStore(tmp_path, SHAPE)


def test_closing_keeps_edits_that_cannot_be_written(tmp_path, monkeypatch):
    store = reopened(tmp_path)
    strokes(store)
    store.journal.flush()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        paint(store, (slice(0, 5), slice(0, 5)), 3)
        for attempt in (store.snapshot, store.close):
            with pytest.raises(ProjectError, match="disk is full"):
                attempt()
        assert store.journal.pending == 1
    store.close()
    assert (LabelStore(tmp_path, SHAPE).read(WHOLE)[0][:5, :5] == 3).all()


def test_damage_is_told_in_words(tmp_path):
    store = reopened(tmp_path)
    strokes(store)
    store.close()
    assert store.problems() == []
    path = tmp_path / "journal.log"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data + b"torn")
    store = reopened(tmp_path)
    told = store.problems()
    assert "cannot be read" in told[0]
    assert "last 4 bytes" in told[1]
    store.begin()
    assert "journal.torn-1" in store.problems()[1]
    store.close()


def test_a_second_store_of_the_same_labels_reads_but_does_not_edit(tmp_path):
    first, second = reopened(tmp_path), reopened(tmp_path)
    strokes(first)
    assert second.reviewed_fraction() == 0, "it shows what was there when it was opened"
    with pytest.raises(LockedError, match="edited elsewhere"):
        TileEdit(second, TILE)
    first.close()
    assert TileEdit(second, TILE).can_undo
    assert same(second, first)
    second.close()


LARGE = """
import sys
from pathlib import Path

import numpy as np
import psutil
import zarr

from histobridge.core.corrections import TileEdit
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

small = LabelStore.create(Path(sys.argv[1]) / "small", (64, 64))
TileEdit(small, tile_grid((64, 64))[0]).accept()
small.close()
shape = (32_768, 32_768)
before = psutil.Process().memory_info().rss
store = LabelStore.create(Path(sys.argv[1]) / "large", shape)
edit = TileEdit(store, tile_grid(shape)[777], np.ones((1024, 1024), np.uint8), "run")
painted = edit.classes
painted[200:300, 200:300] = 2
assert edit.commit(painted) == 10_000
assert edit.accept() == 1024**2 - 10_000
assert store.reviewed_fraction() == 1024**2 / 32_768**2
store.close()
sys.stdout.write(str((psutil.Process().memory_info().rss - before) / 2**20))
"""


def test_a_huge_image_is_edited_in_little_memory(tmp_path):
    command = [sys.executable, "-c", LARGE, str(tmp_path)]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(grown) < 100
