import errno
import json
import os
import shutil
import stat

import numpy as np
import pytest
from staged_records import import_run, record

from histobridge.core.config import ProposeConfig, SelfTestConfig, TrainSegmenterConfig
from histobridge.core.errors import InputError, LockedError, ProjectError
from histobridge.core.lock import EditLock
from histobridge.core.manifest import SCHEMA_VERSION, ClassSpec
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.runs import RunState


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project", "cord")


def finished(project, verb):
    run = project.create_run(verb, SelfTestConfig())
    run.write_state(run.state().model_copy(update={"status": "finished"}))
    return run


def test_project_is_opened_as_created(project):
    again = Project.open(project.path)
    assert again.name == "cord"
    assert [spec.name for spec in again.classes] == ["axon", "myelin"]
    assert again.images() == []


def test_project_is_named_after_its_folder_unless_told(tmp_path):
    assert Project.create(tmp_path / "cord").name == "cord"


def test_folder_with_something_in_it_is_not_made_a_project(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not an empty folder"):
        Project.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_folder_without_project_is_told(tmp_path):
    with pytest.raises(ProjectError, match=r"no project\.json"):
        Project.open(tmp_path)


def test_newer_schema_says_to_upgrade(project):
    file = project.path / "project.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": SCHEMA_VERSION + 1, "new_field": 1}))
    with pytest.raises(ProjectError, match=rf"version {SCHEMA_VERSION + 1}.*pip install -U"):
        Project.open(project.path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "damaged"),
        ('{"name": "a", "images": [{"id": "../up"}]}', r"damaged at images\.0\.id"),
        ('{"name": "a", "extra": 1}', "damaged at extra"),
        ('{"name": "a", "tile_px": 64, "tile_overlap_px": 64}', "tiles of 64 px cannot overlap by 64 px"),
    ],
)
def test_damaged_project_file_is_told_with_the_place(project, content, told):
    (project.path / "project.json").write_text(content)
    with pytest.raises(ProjectError, match=told):
        Project.open(project.path)


def test_nothing_is_changed_without_the_edit_lock(project):
    with pytest.raises(LockedError, match="read-only"):
        project.set_classes([])


def test_changes_are_on_disk_at_once_and_the_lock_is_given_back(project):
    axon = ClassSpec(name="axon", value=1, color="#ffffff")
    with project.editing():
        project.set_classes([axon])
        assert Project.open(project.path).classes == (axon,)
    assert project.lock.holder() is None


def test_editing_inside_of_editing_keeps_the_lock(project):
    with project.editing():
        with project.editing():
            pass
        assert project.lock.held


def test_project_somebody_edits_can_be_read_but_not_edited(project):
    other = EditLock(project.path / "edit.lock", "the other window")
    other.acquire()
    reader = Project.open(project.path)
    assert reader.name == "cord"
    with pytest.raises(LockedError, match="the other window"), reader.editing():
        pass


def test_who_was_taken_over_writes_nothing_more(project):
    """It overwrote what the other had done, also after that one had closed."""
    other = Project.open(project.path)
    project.lock.acquire()
    other.lock.acquire(take_over=True)
    for _ in range(2):
        with pytest.raises(LockedError, match="was taken over"):
            project.set_classes([])
        with pytest.raises(LockedError, match="was taken over"), project.editing():
            pass
        other.lock.release()


def test_editing_starts_from_what_is_on_disk(project):
    late = Project.open(project.path)
    with project.editing():
        project.set_classes([ClassSpec(name="nerve", value=7, color="#000000")])
    with late.editing():
        assert [spec.name for spec in late.classes] == ["nerve"]


def test_class_may_occur_in_one_domain_only(project):
    both = ClassSpec(name="axon", value=1, color="#ffffff")
    target = ClassSpec(name="vessel", value=2, color="#000000", domains=("target",))
    with project.editing():
        project.set_classes([both, target])
    assert project.classes_of("source") == (both,)
    assert project.classes_of("target") == (both, target)


def test_image_that_is_not_there_is_told(project):
    with pytest.raises(ProjectError, match="no image 'x'"):
        project.image("x")


def test_field_of_an_image_can_be_changed(project):
    with project.editing():
        project.adopt(import_run(project, record("a"), record("b")))
        assert project.update_image("a", pixel_size_um=0.25).pixel_size_um == 0.25
    again = Project.open(project.path)
    assert [image.pixel_size_um for image in again.images()] == [0.25, None]


def test_wrong_field_is_named_with_what_was_expected_and_found(project):
    axon = ClassSpec(name="axon", value=1, color="#ffffff")
    with project.editing():
        project.adopt(import_run(project, record("a")))
        with pytest.raises(InputError, match=r"image a stays.*pixel_size_um: .*greater than 0 \(got -1\)"):
            project.update_image("a", pixel_size_um=-1)
        with pytest.raises(InputError, match="stays as it was: class name used twice: axon"):
            project.set_classes([axon, axon.model_copy(update={"value": 2})])
        with pytest.raises(InputError, match=r"pixel_size: .*\(got 1\)"):
            project.update_image("a", pixel_size=1)
    assert Project.open(project.path).image("a").pixel_size_um is None


def test_tiles_are_of_the_size_the_project_says(project):
    image = record(shape=(2000, 1000))
    assert [tile.window[0] for tile in project.tiles(image)] == [slice(0, 1024), slice(896, 1920), slice(976, 2000)]
    file = project.path / "project.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tile_px": 1000, "tile_overlap_px": 0}))
    assert [tile.id for tile in Project.open(project.path).tiles(image)] == ["r000c000", "r001c000"]


def test_project_can_be_moved(project, tmp_path):
    with project.editing():
        project.adopt(import_run(project, record("a")))
    run = project.create_run("selftest", SelfTestConfig(steps=1))
    moved = Project.open(shutil.move(project.path, tmp_path / "elsewhere"))
    assert moved.image("a").id == "a"
    perform(moved.run(run.id))
    assert moved.run(run.id).state().status == "finished"
    assert str(tmp_path / "project") not in (moved.path / "project.json").read_text()


def test_relative_reference_is_resolved_from_the_project_and_a_url_is_left_alone(project):
    assert project.resolve("../data/a.zarr") == project.path.parent / "data" / "a.zarr"
    assert project.resolve("https://host/a.zarr") == "https://host/a.zarr"


def test_active_run_is_the_latest_finished_one_or_the_pinned_one(project):
    assert project.active("segmenter") is None
    with pytest.raises(ProjectError, match="train one first"):
        project.need("segmenter", "", "train one first")
    first, second = finished(project, "train-segmenter"), finished(project, "train-segmenter")
    project.create_run("train-segmenter", SelfTestConfig())
    assert project.active("segmenter").id == second.id
    with project.editing():
        project.pin("segmenter", first.id)
        assert project.active("segmenter").id == first.id
        project.pin("segmenter", "")
    assert project.need("segmenter", "", "").id == second.id
    assert project.need("segmenter", first.id, "").id == first.id


def test_a_segmenter_of_the_target_is_never_the_active_one_and_refused_by_name(project):
    source = finished(project, "train-segmenter")
    target = project.create_run("train-segmenter", TrainSegmenterConfig(domain="target"))
    target.write_state(RunState(status="finished"))
    assert project.active("segmenter").id == source.id
    with pytest.raises(InputError, match="labels of the target, not those of the source; learn the source"):
        project.need("segmenter", target.id, "learn the source labels first")


@pytest.mark.parametrize("last", ["train-translator", "import-translator"])
def test_of_two_ways_to_a_translator_the_later_run_is_active(project, last):
    for verb in ("import-translator", "train-translator", last):
        newest = finished(project, verb)
    assert project.active("translator").id == newest.id


def test_proposals_made_to_compare_never_become_the_active_ones(project):
    proposed, compared = (project.create_run("propose", ProposeConfig(for_comparison=only)) for only in (False, True))
    for run in (proposed, compared):
        run.write_state(RunState(status="finished"))
    assert project.active("proposals").id == proposed.id


def test_run_that_is_not_there_is_told(project):
    for name in ("nothing", ""):
        with pytest.raises(ProjectError, match="histobridge status"):
            project.run(name)


def test_runs_are_listed_in_order_and_by_job(project):
    runs = [project.create_run(verb, SelfTestConfig()) for verb in ("match", "selftest", "match")]
    assert [run.id for run in project.runs()] == [run.id for run in runs]
    assert [run.id for run in project.runs("match")] == [runs[0].id, runs[2].id]


def test_labels_can_be_written_only_while_editing(project):
    with project.editing():
        project.adopt(import_run(project, record("a")))
    classes, state = project.labels("a").read((slice(0, 4), slice(0, 6)))
    assert classes.shape == state.shape == (4, 6)
    assert not np.any(classes)


def test_a_chosen_run_whose_folder_was_removed_is_as_if_none_were_chosen(project):
    runs = [project.create_run("match", SelfTestConfig()) for _ in range(2)]
    for run in runs:
        run.write_state(RunState(status="finished"))
    with project.editing():
        project.pin("matching", runs[0].id)
    shutil.rmtree(runs[0].path)
    assert project.active("matching").id == runs[1].id


def test_a_disk_that_cannot_sync_folders_has_projects_too(tmp_path, monkeypatch):
    sync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    assert Project.create(tmp_path / "share").name == "share"
