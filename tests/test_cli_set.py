"""The verb `set`, and what `status` says of images that need it."""

import json

import pytest

from histobridge.cli import main
from histobridge.core.config import SelfTestConfig
from histobridge.core.files import write_json
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project


@pytest.fixture
def project(tmp_path):
    """Two images without a pixel size."""
    project = Project.create(tmp_path / "nerve")
    run = project.create_run("add", SelfTestConfig())
    for name in "ab":
        (run.path / "staged" / name).mkdir(parents=True)
        record = ImageRecord(id=name, domain="target", subject=name, shape=(4, 4), dtype="uint8")
        write_json(run.path / "staged" / name / "record.json", record.model_dump(mode="json"))
    with project.editing():
        project.adopt(run)
    return project


def test_status_names_images_without_pixel_size_and_set_gives_them_one(project, capsys):
    assert main(["status", str(project.path)]) == 0
    told = capsys.readouterr().out
    assert "no pixel size: a, b" in told
    assert "histobridge set" in told
    assert main(["set", str(project.path), "a", "b", "--pixel-size-um", "0.1"]) == 0
    project.refresh()
    assert [(image.pixel_size_um, image.pixel_size_from) for image in project.images()] == [(0.1, "user")] * 2
    assert main(["status", str(project.path)]) == 0
    assert "histobridge set" not in capsys.readouterr().out


def test_a_zoom_is_set_and_taken_back(project, capsys):
    assert main(["set", str(project.path), "a", "--zoom", "0.5"]) == 0
    project.refresh()
    assert [image.zoom_override for image in project.images()] == [0.5, None]
    assert main(["set", str(project.path), "a", "--zoom", "auto"]) == 0
    project.refresh()
    assert [image.zoom_override for image in project.images()] == [None, None]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a", "--zoom", "0"], "zoom_override: Input should be greater than 0"),
        (["a", "--pixel-size-um", "-1"], "pixel_size_um: Input should be greater than 0"),
        (["a", "c", "--subject", "rat1"], "no image 'c'; choose among a, b"),
        (["a"], "needs a field to change"),
    ],
)
def test_wrong_set_changes_nothing_and_says_why(project, capsys, words, told):
    assert main(["set", str(project.path), *words, "--json"]) == 2
    assert told in json.loads(capsys.readouterr().out)["error"]
    assert Project.open(project.path).images() == project.images()


def test_a_place_where_no_folder_can_be_made_is_told_in_words(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["new", str(tmp_path / "file" / "project")]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / "file") in told
    assert "Traceback" not in told


def test_the_lock_of_a_machine_that_is_gone_is_taken_on_the_users_word(project, capsys):
    """A project copied from a laptop that had it open could not be changed without a window."""
    project.lock.acquire()
    path = project.path / "edit.lock"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "old-laptop"}))
    words = ["set", str(project.path), "a", "--subject", "rat"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "old-laptop" in said
    assert "--take-over" in said
    assert main([*words, "--take-over"]) == 0
    assert Project.open(project.path).image("a").subject == "rat"
    assert not path.exists()
