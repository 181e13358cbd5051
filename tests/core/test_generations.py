"""Whatever file of a snapshot is damaged, the labels are the same."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histobridge.core.corrections import TileEdit
from histobridge.core.errors import ProjectError
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (540, 60)
WHOLE = (slice(0, 540), slice(0, 60))
(TILE,) = tile_grid(SHAPE)
ROUNDS = 7


def paint(store, area, value):
    edit = TileEdit(store, TILE)
    painted = edit.classes
    painted[area] = value
    edit.commit(painted)


def masks():
    """Imported masks in both chunks."""
    values = np.zeros(SHAPE, np.uint8)
    values[400:, 40:] = 2
    values[100:200, 10:30] = 1
    return values


def many_snapshots(folder, classes=None):
    """Labels with a snapshot after each of several strokes; those strokes touch every chunk."""
    if classes is not None:
        LabelStore.create(folder, SHAPE, classes).close()
    for number in range(ROUNDS):
        store = LabelStore(folder, SHAPE, writable=True)
        paint(store, (slice(20 * number, 20 * number + 30), slice(0, 20)), 1 + number % 3)
        paint(store, (slice(500, 520), slice(50 - 3 * number, 55)), 1 + number % 2)
        store.close()
    return LabelStore(folder, SHAPE).read(WHOLE)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Labels without masks at the beginning, so that all of them lie in the journal too."""
    folder = tmp_path_factory.mktemp("labels") / "sem"
    return folder, many_snapshots(folder)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def spoil(path, how, place):
    """Damage one file as disks and people do."""
    data = bytearray(path.read_bytes())
    if how == "lost":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: place % max(len(data), 1)])
    elif how == "zeros":
        path.write_bytes(bytes(len(data)))
    elif how == "foreign":
        path.write_bytes(b"\x89PNG not ours")
    else:
        data[place % len(data)] ^= 1 << place % 8
        path.write_bytes(data)


HOWS = ("lost", "cut", "zeros", "foreign", "bit")
EASY = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=8, derandomize=True, **EASY)
@given(data=st.data())
def test_damage_of_any_one_file_changes_no_label_and_goes_with_the_next_snapshot(written, tmp_path, data):
    damaged_anywhere(*written, tmp_path, data)


@pytest.mark.slow
@settings(max_examples=300, **EASY)
@given(data=st.data())
def test_damage_of_any_one_file_again_and_again(written, tmp_path, data):
    damaged_anywhere(*written, tmp_path, data)


def damaged_anywhere(folder, wanted, tmp_path, data):
    """Damage one file of a copy; the labels are as before, for readers, and after the next edit for all."""
    hurt = tmp_path / "hurt"
    shutil.rmtree(hurt, ignore_errors=True)
    shutil.copytree(folder, hurt)
    files = sorted(path.relative_to(hurt) for path in hurt.rglob("*") if path.is_file())
    file = data.draw(st.sampled_from(files))
    spoil(hurt / file, data.draw(st.sampled_from(HOWS)), data.draw(st.integers(0, 10**6)))
    store = LabelStore(hurt, SHAPE, writable=True)
    assert same(store.read(WHOLE), wanted)
    paint(store, (slice(0, 540), slice(0, 3)), 3)
    after = store.read(WHOLE)
    store.close()
    mended = LabelStore(hurt, SHAPE)
    assert same(mended.read(WHOLE), after)
    assert not [told for told in mended.problems() if "journal" not in told]


@pytest.mark.parametrize("how", HOWS)
def test_all_arrays_damaged_at_once_are_rebuilt_from_the_journal(written, tmp_path, how):
    folder, wanted = written
    shutil.copytree(folder, tmp_path / "hurt")
    for path in (tmp_path / "hurt").rglob("*"):
        if path.is_file() and path.name != "journal.log" and "0000000000" not in path.parts:
            spoil(path, how, 5)
    store = LabelStore(tmp_path / "hurt", SHAPE)
    assert same(store.read(WHOLE), wanted)
    assert any("in its place" in told for told in store.problems())


def test_an_earlier_generation_survives_damage_of_the_newest_and_is_named(written, tmp_path):
    folder, wanted = written
    shutil.copytree(folder, tmp_path / "hurt")
    spoil(tmp_path / "hurt" / "classes" / "c" / "0" / "0", "bit", 30)
    store = LabelStore(tmp_path / "hurt", SHAPE)
    assert same(store.read(WHOLE), wanted)
    (told,) = store.problems()
    assert "chunk 0/0" in told
    assert "rebuilt from edit 12 and the journal" in told, "the snapshot before that of edit 14"


def test_only_the_newest_few_generations_and_the_first_are_kept(written):
    folder, _ = written
    kept = sorted(int(path.name) for path in (folder / "generations").iterdir())
    assert kept == [0, 8, 10, 12, 14]


def test_imported_masks_stay_reachable_under_edits(tmp_path):
    wanted = many_snapshots(tmp_path / "tem", masks())
    for name in ("classes", "state"):
        for path in (tmp_path / "tem" / name / "c").rglob("*"):
            if path.is_file():
                spoil(path, "bit", 40)
    assert same(LabelStore(tmp_path / "tem", SHAPE).read(WHOLE), wanted)


def test_damage_of_masks_that_nobody_edited_is_an_error_with_a_remedy_and_spoils_nothing_else(tmp_path):
    LabelStore.create(tmp_path, SHAPE, masks()).close()
    spoil(tmp_path / "classes" / "c" / "1" / "0", "bit", 9)
    store = LabelStore(tmp_path, SHAPE)
    with pytest.raises(ProjectError, match=r"chunk 1/0 .* backup"):
        store.read(WHOLE)
    assert (store.read((slice(100, 200), slice(10, 30)))[0] == 1).all()


def test_a_reader_sees_the_labels_while_another_takes_snapshots(tmp_path):
    many_snapshots(tmp_path)
    reader = LabelStore(tmp_path, SHAPE)
    before = reader.read(WHOLE)
    for value in (5, 6, 7, 8):
        store = LabelStore(tmp_path, SHAPE, writable=True)
        paint(store, WHOLE, value)
        store.close()
        now = reader.read(WHOLE)
        assert same(now, before) or (now[0] == value).all()
    assert reader.problems() == []


def test_labels_of_a_version_without_digests_are_read_and_get_them(tmp_path):
    wanted = many_snapshots(tmp_path)
    shutil.rmtree(tmp_path / "generations")
    (tmp_path / "snapshot.json").write_text('{"format": 1, "sequence": 14, "reviewed": []}')
    store = LabelStore(tmp_path, SHAPE, writable=True)
    assert same(store.read(WHOLE), wanted)
    for row in (300, 310):
        paint(store, (slice(row, row + 5), slice(0, 5)), 3)
        store.snapshot()
    wanted = store.read(WHOLE)
    store.close()
    spoil(tmp_path / "state" / "c" / "0" / "0", "cut", 20)
    store = LabelStore(tmp_path, SHAPE)
    assert same(store.read(WHOLE), wanted)
    assert "rebuilt from edit 15" in store.problems()[0]
