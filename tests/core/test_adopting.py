"""Staged images come into the project whole and once, whatever happens in between."""

import shutil

import pytest
from staged_records import import_run, record

from histobridge.core.files import write_json
from histobridge.core.project import Project


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project", "cord")


def test_staged_images_are_taken_in_once(project):
    run = import_run(project, record("a"), record("b", domain="target"))
    with project.editing():
        assert [image.id for image in project.adopt(run)] == ["a", "b"]
        assert project.adopt(run) == []
    assert [image.id for image in Project.open(project.path).images("target")] == ["b"]
    assert (project.path / "images" / "source" / "a" / "pixels").read_bytes() == b"pixels"


def test_taking_in_goes_on_after_a_crash_between_move_and_manifest(project):
    run = import_run(project, record("a"))
    (project.path / "images" / "source").mkdir(parents=True)
    (run.path / "staged" / "a" / "image").rename(project.path / "images" / "source" / "a")
    with project.editing():
        assert [image.id for image in project.adopt(run)] == ["a"]
    assert project.image("a").shape == (4, 6)


@pytest.mark.parametrize("change", [{}, {"domain": "target"}, {"sha256": "other"}])
def test_image_whose_id_another_import_took_meanwhile_gets_a_new_one(project, change):
    first, second = import_run(project, record("a")), import_run(project, record("a", **change))
    with project.editing():
        project.adopt(first)
        (adopted,) = project.adopt(second)
        assert project.adopt(second) == []
    assert [image.id for image in Project.open(project.path).images()] == ["a", "a-2"]
    assert (project.path / "images" / adopted.domain / "a-2" / "pixels").exists()


def test_new_id_survives_a_crash_before_the_manifest(project, monkeypatch):
    run = import_run(project, record("a", sha256="other"))
    with project.editing():
        project.adopt(import_run(project, record("a")))
        with monkeypatch.context() as crash:
            crash.setattr(Project, "_write", None)
            with pytest.raises(TypeError):
                project.adopt(run)
        assert [image.id for image in project.adopt(run)] == ["a-2"]
    assert (project.path / "images" / "source" / "a-2" / "pixels").exists()


def test_taking_in_goes_on_after_a_crash_between_manifest_and_clearing_up(project):
    run = import_run(project, record("a"))
    with project.editing():
        project.adopt(run)
        project.update_image("a", pixel_size_um=0.5)
        write_json(run.path / "staged" / "a" / "record.json", record("a").model_dump(mode="json"))
        assert project.adopt(run) == []
    assert [image.pixel_size_um for image in project.images()] == [0.5]


def test_a_file_that_two_imports_brought_is_taken_in_once(project):
    first, second = (import_run(project, record("a", origin="a.tif")) for _ in range(2))
    with project.editing():
        project.adopt(first)
        assert project.adopt(second) == []
        assert [image.id for image in project.adopt(import_run(project, record("a", origin="b.tif")))] == ["a-2"]
    assert not list(second.path.glob("staged/*"))


def test_the_manifest_is_written_once_for_all_images_of_an_import(project, monkeypatch):
    """It is whole each time: one by one, a thousand images froze the window for minutes."""
    written = []
    monkeypatch.setattr("histobridge.core.project.write_json", lambda path, _: written.append(path))
    run = import_run(project, *(record(name) for name in "abcdef"))
    with project.editing():
        project.adopt(run)
    assert written == [project.path / "project.json"]


@pytest.fixture
def killed_before_the_manifest(project, monkeypatch):
    """Return what moves the folders of an import and is killed before the images are listed."""

    def adopt(run):
        with project.editing(), monkeypatch.context() as crash:
            crash.setattr(Project, "_write", None)
            with pytest.raises(TypeError):
                project.adopt(run)

    return adopt


def pixels_of(project, image):
    return (project.path / "images" / image.domain / image.id / "pixels").read_bytes()


def labelled_run(project, pixels):
    """An import of an image `a` with labels, whose files hold `pixels`."""
    run = import_run(project, record("a", origin=pixels.decode(), sha256=pixels.decode(), has_masks=True))
    folder = run.path / "staged" / "a"
    (folder / "labels").mkdir()
    for name in ("image", "labels"):
        (folder / name / "pixels").write_bytes(pixels)
    return run


@pytest.mark.parametrize("deleted", [False, True])
def test_folders_that_a_killed_import_left_never_become_another_image(project, killed_before_the_manifest, deleted):
    """They became its pixels and labels, without a word."""
    first, second = labelled_run(project, b"first"), labelled_run(project, b"second")
    killed_before_the_manifest(first)
    if deleted:
        shutil.rmtree(first.path)
    with project.editing():
        (image,) = project.adopt(second)
        resumed = [] if deleted else project.adopt(first)
    assert (image.id, image.origin, pixels_of(project, image)) == ("a-2", "second", b"second")
    assert (project.path / "labels" / "source" / "a-2" / "pixels").read_bytes() == b"second"
    expected = [] if deleted else [("a", b"first")]
    assert [(image.id, pixels_of(project, image)) for image in resumed] == expected


def test_labels_that_a_killed_import_left_never_become_those_of_an_image_without(project):
    (project.path / "labels" / "source" / "a").mkdir(parents=True)
    with project.editing():
        assert [image.id for image in project.adopt(import_run(project, record("a")))] == ["a-2"]
