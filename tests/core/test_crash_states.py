"""A power cut at any moment: every state the disk may be left in holds all that was said to be safe."""

import os
import shutil

import numpy as np
import pytest
from crash_disk import Recorder, crashes, lay

from histobridge.core.corrections import TileEdit
from histobridge.core.export_publish import published, recover
from histobridge.core.files import read_json, write_json
from histobridge.core.labels import LabelStore
from histobridge.core.tiles import tile_grid

SHAPE = (20, 16)
WHOLE = (slice(0, 20), slice(0, 16))
(TILE,) = tile_grid(SHAPE)
DEAD = 4_194_303
"""A process number that no process has."""


def recorded(folder, rounds, strokes):
    """Edit and take snapshots on a recording disk; returns the steps and what the labels were after each edit."""
    folder.mkdir()
    recorder = Recorder(folder)
    looks = [np.zeros((2, *SHAPE), np.uint8)]
    with recorder.recording():
        for round_number in range(rounds):
            store = LabelStore(folder / "sem", SHAPE, writable=True)
            edit = TileEdit(store, TILE)
            for stroke in range(strokes):
                painted = edit.classes
                painted[2 * round_number + stroke : 14, stroke:] = 1 + len(looks) % 5
                assert edit.commit(painted)
                looks.append(np.stack(store.read(WHOLE)))
                assert edit.flush()
                recorder.mark(len(looks) - 1)
            edit.undo()
            looks.append(np.stack(store.read(WHOLE)))
            assert edit.flush()
            recorder.mark(len(looks) - 1)
            store.close()
    return recorder.steps, looks


def check_labels(state, safe, looks, folder):
    """Open what the crash has left, look, paint on, and look again."""
    shutil.rmtree(folder, ignore_errors=True)
    lay(state, folder)
    store = LabelStore(folder / "sem", SHAPE, writable=True)
    held = store.journal.last
    assert (safe or 0) <= held < len(looks)
    assert np.array_equal(store.read(WHOLE), looks[held])
    assert not [problem for problem in store.problems() if "unfinished edit" not in problem]
    return store


def replay(tmp_path, *, rounds, strokes, thorough, paint_every):
    steps, looks = recorded(tmp_path / "disk", rounds, strokes)
    count = 0
    for state, safe in crashes(steps, thorough=thorough):
        store = check_labels(state, safe, looks, tmp_path / "crashed")
        count += 1
        if count % paint_every == 0:
            edit = TileEdit(store, TILE)
            painted = edit.classes
            painted[0] = 7
            edit.commit(painted)
            wanted = store.read(WHOLE)
            store.close()
            assert np.array_equal(LabelStore(tmp_path / "crashed" / "sem", SHAPE).read(WHOLE), wanted)
    return count


def test_after_a_crash_at_any_write_sync_or_rename_every_safe_edit_is_there_and_none_is_half(tmp_path):
    assert replay(tmp_path, rounds=2, strokes=1, thorough=False, paint_every=25) > 60


@pytest.mark.slow
def test_after_a_crash_with_names_in_any_order_every_safe_edit_is_there(tmp_path):
    assert replay(tmp_path, rounds=6, strokes=2, thorough=True, paint_every=7) > 500


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("folder", [False, True])
def test_an_export_is_whole_or_not_there_after_a_crash_at_any_moment(tmp_path, monkeypatch, folder, there):
    final = tmp_path / "disk" / "sem.ome.zarr"

    def write(path, text):
        if folder:
            (path / "c").mkdir(parents=True)
            (path / "c" / "0").write_bytes(text * 20)
        (path / "zarr.json" if folder else path).write_bytes(text)

    def found(path):
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}

    final.parent.mkdir()
    if there:
        with published(final, replace=False) as path:
            write(path, b"old")
    recorder = Recorder(tmp_path / "disk")
    recorder.mark("old" if there else "none")
    with recorder.recording(), monkeypatch.context() as dying:
        dying.setattr(os, "getpid", lambda: DEAD)
        with published(final, replace=True) as path:
            write(path, b"new")
        recorder.mark("new")
    wholes = {}
    for text in (b"old", b"new"):
        write(tmp_path / text.decode(), text)
        wholes[text.decode()] = found(tmp_path / text.decode()) or text
    seen = set()
    for state, mark in crashes(recorder.steps, thorough=True):
        if mark is None:
            continue
        crashed = tmp_path / "crashed"
        shutil.rmtree(crashed, ignore_errors=True)
        lay(state, crashed)
        recover(crashed)
        here = crashed / "sem.ome.zarr"
        left = (
            "none"
            if not here.exists()
            else next(
                (name for name, whole in wholes.items() if whole == (found(here) if folder else here.read_bytes())),
                "half",
            )
        )
        allowed = {"none": {"none", "new"}, "old": {"old", "new"}, "new": {"new"}}[mark]
        assert left in allowed, state.keys()
        assert [path.name for path in crashed.iterdir()] == ([] if left == "none" else ["sem.ome.zarr"])
        seen.add(left)
    assert seen == {"old" if there else "none", "new"}


def test_a_json_file_is_the_old_or_the_new_one_after_a_crash_at_any_moment(tmp_path):
    (tmp_path / "disk").mkdir()
    recorder = Recorder(tmp_path / "disk")
    with recorder.recording():
        for number in range(3):
            write_json(tmp_path / "disk" / "project.json", {"number": number, "text": "x" * 100})
            recorder.mark(number)
    for state, mark in crashes(recorder.steps, thorough=True):
        shutil.rmtree(tmp_path / "crashed", ignore_errors=True)
        lay(state, tmp_path / "crashed")
        path = tmp_path / "crashed" / "project.json"
        number = read_json(path)["number"] if path.exists() else None
        assert number in ({None, 0} if mark is None else {mark, mark + 1})
