"""A disk that is full, gone or read-only: edits stay in memory, go elsewhere, and come back."""

import errno
import os
import shutil
import threading

import numpy as np
import pytest

from histobridge.cli.command import main
from histobridge.core import disk
from histobridge.core.config import AddImagesConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.disk import RESERVE, room_for
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.images.stage import image_record, new_id, stage_array
from histobridge.core.labels import LabelStore
from histobridge.core.project import Project
from histobridge.core.tiles import tile_grid
from histobridge.core.unsaved import bring_back, read_unsaved, save_elsewhere

SHAPE = (40, 30)
WHOLE = (slice(0, 40), slice(0, 30))
(TILE,) = tile_grid(SHAPE)


@pytest.fixture
def project(tmp_path):
    """One target image, whose labels have one stroke on disk."""
    made = Project.create(tmp_path / "nerve")
    run = made.create_run("add", AddImagesConfig())
    stage_array(run, image_record("sem", "target", subject="rat", pixel_size_um=0.1), np.zeros(SHAPE, np.uint8))
    with made.editing():
        made.adopt(run)
    store = opened(made)
    paint(store, 2, 1)
    store.close()
    return made


def opened(project):
    return LabelStore(project.path / "labels" / "target" / "sem", SHAPE, writable=True)


def paint(store, row, value):
    edit = TileEdit(store, TILE)
    painted = edit.classes
    painted[row] = value
    edit.commit(painted)
    return edit


@pytest.fixture
def full(monkeypatch):
    """Fill the disk; returns what makes room again."""

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    broken = pytest.MonkeyPatch()
    broken.setattr(os, "pwrite", no_space)
    yield broken.undo
    broken.undo()


def test_room_is_asked_for_before_writing_and_some_is_left_for_the_journal(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=RESERVE + 5 * 2**20)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: free)
    room_for(tmp_path / "not" / "there" / "yet", 5 * 2**20)
    with pytest.raises(ProjectError, match=r"needs 70 MB, the disk has 69 MB free; make room"):
        room_for(tmp_path / "more", 6 * 2**20)


def test_without_room_for_a_snapshot_every_edit_is_still_in_the_journal(project, monkeypatch):
    store = opened(project)
    paint(store, 5, 2)
    before = (store.folder / "snapshot.json").read_bytes()
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(ProjectError, match="make room"):
        store.snapshot()
    store.close()
    with pytest.raises(ProjectError, match="make room"):
        stage_array(project.create_run("add", AddImagesConfig()), project.image("sem"), np.zeros(SHAPE, np.uint8))
    assert (store.folder / "snapshot.json").read_bytes() == before
    assert (LabelStore(store.folder, SHAPE).read(WHOLE)[0][5] == 2).all()


def test_edits_saved_elsewhere_come_back_with_their_steps_and_only_once(project, full, tmp_path, capsys):
    store = opened(project)
    edit = paint(store, 5, 2)
    edit = paint(store, 6, 1)
    edit.undo()
    edit = paint(store, 7, 2)
    wanted = store.read(WHOLE)
    path = save_elsewhere(store, project, tmp_path / "stick")
    assert store.journal.pending == 4, "the project gets them too as soon as it can"
    assert len(read_unsaved(path).deltas) == 4
    killed = shutil.copytree(project.path, tmp_path / "killed")
    full()
    store.close()
    assert bring_back(project, path) == 0, "they had reached the project after all"

    survivor = Project.open(killed)
    assert bring_back(survivor, path) == 4
    assert main(["bring-back", str(survivor.path), str(path)]) == 0
    assert "added 0 of 4 edits" in capsys.readouterr().out
    again = LabelStore(survivor.path / "labels" / "target" / "sem", SHAPE, writable=True)
    assert np.array_equal(again.read(WHOLE), wanted)
    edit = TileEdit(again, TILE)
    edit.undo()
    assert not edit.classes[7].any()
    edit.undo()
    assert not edit.classes[5].any()
    edit.undo()
    assert not edit.can_undo
    again.close()


def test_what_is_no_file_of_this_project_is_refused(project, full, tmp_path):
    store = opened(project)
    paint(store, 5, 2)
    path = save_elsewhere(store, project, tmp_path)
    full()
    store.close()
    with pytest.raises(InputError, match="does not have"):
        bring_back(Project.create(tmp_path / "other"), path)
    data = path.read_bytes()
    for wrong in (b"", b"text", data[:-1], data[:30] + b"x" + data[31:]):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match="not a whole file of saved edits"):
            bring_back(project, path)
    with pytest.raises(InputError, match="cannot be read"):
        read_unsaved(tmp_path / "none.edits")
    assert save_elsewhere(store, project, tmp_path) is None


def test_edits_of_another_image_of_that_name_are_refused(project, full, tmp_path):
    """They were painted onto it, since name and size were the same."""
    store = opened(project)
    paint(store, 5, 2)
    path = save_elsewhere(store, project, tmp_path)
    full()
    store.close()
    other = Project.open(shutil.copytree(project.path, tmp_path / "other"))
    with other.editing():
        other.update_image("sem", sha256="another")
    with pytest.raises(InputError, match="is another image of that name"):
        bring_back(other, path)
    assert bring_back(project, path) == 0


@pytest.mark.parametrize("letter", ["s", "ü"])
def test_edits_of_a_project_and_an_image_of_very_long_names_are_saved(project, full, tmp_path, letter):
    long = "a" * 240
    with project.editing():
        project.add_records([project.image("sem").model_copy(update={"id": long})])
    project = Project.open(project.path.rename(tmp_path / (letter * 120)))
    store = LabelStore(project.path / "labels" / "target" / long, SHAPE, writable=True)
    paint(store, 5, 2)
    path = save_elsewhere(store, project, tmp_path / "stick")
    assert read_unsaved(path).labels.endswith(long)
    full()
    store.close()


def test_an_image_of_a_very_long_name_gets_an_id_that_files_can_be_named_after():
    one, other = (new_id("s" * 250 + end, set()) for end in "ab")
    assert one != other
    assert len(one) <= 120
    assert new_id("s" * 250 + "a", {one}) == f"{one}-2"
    assert new_id("short", set()) == "short"


def test_a_folder_that_vanishes_takes_no_edit_along_and_is_not_made_anew(project, tmp_path):
    store = opened(project)
    edit = paint(store, 5, 2)
    assert edit.flush()
    project.path.rename(tmp_path / "unplugged")
    edit = paint_on(edit, 6, 1)
    assert not edit.flush()
    assert store.journal.trouble == "the folder is gone"
    edit.undo()
    edit = paint_on(edit, 7, 2)
    assert edit.classes[7].all()
    assert store.journal.pending == 3
    assert not project.path.exists()
    (tmp_path / "unplugged").rename(project.path)
    assert store.journal.flush()
    store.close()
    classes, _ = LabelStore(store.folder, SHAPE).read(WHOLE)
    assert [int(classes[row, 0]) for row in (2, 5, 6, 7)] == [1, 2, 0, 2]


def paint_on(edit, row, value):
    painted = edit.classes
    painted[row] = value
    edit.commit(painted)
    return edit


def test_a_new_image_on_a_disk_that_was_taken_away_is_not_written_into_its_mount_point(project, tmp_path):
    folder = project.path / "labels" / "target" / "new"
    store = LabelStore(folder, SHAPE, writable=True)
    edit = TileEdit(store, TILE)
    project.path.rename(tmp_path / "unplugged")
    paint_on(edit, 6, 1)
    assert not edit.flush()
    assert not project.path.exists()
    (tmp_path / "unplugged").rename(project.path)
    store.close()
    assert folder.exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE, 9999])
def test_trouble_is_told_in_words(number):
    told = disk.why(OSError(number, "strange words"))
    assert told == "strange words" if number == 9999 else "disk" in told or "folder" in told


def test_a_flush_tries_again_when_the_attempt_under_way_fails(project, monkeypatch):
    store = opened(project)
    may_fail = threading.Event()
    sync = os.fsync

    def fail_once(descriptor):
        if may_fail.wait(20) and not failures:
            failures.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    failures = []
    store.journal.begin()
    monkeypatch.setattr(os, "fsync", fail_once)
    paint(store, 5, 2)
    threading.Timer(0.1, may_fail.set).start()
    assert store.journal.flush()
    assert failures
    store.close()
