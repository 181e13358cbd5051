"""The verb `score`: folders of label maps and proposals of a project against the truth."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from histobridge.cli import main
from histobridge.core.config import ProposeConfig
from histobridge.core.files import write_json
from histobridge.core.metrics import dice
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.sample import make_sample_project, read_truth
from histobridge.core.synthetic import two_modalities

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def truths():
    """Three label maps (96, 96)."""
    return dict(zip(NAMES, (field.classes for field in two_modalities(2, 96, 0)), strict=False))


@pytest.fixture
def folders(tmp_path, truths):
    """A folder of truths, and one of the same moved by a pixel."""
    for folder, moved in (("truth", 0), ("predicted", 1)):
        (tmp_path / folder).mkdir()
        for name, classes in truths.items():
            Image.fromarray(np.roll(classes, moved, axis=1)).save(tmp_path / folder / f"{name}.png")
    return tmp_path / "predicted", tmp_path / "truth"


@pytest.fixture
def call(capsys):
    """Run `score --json` and return exit code and object."""

    def call(*words):
        code = main(["score", *(str(word) for word in words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def test_every_image_and_the_mean_are_scored(folders, truths, call):
    code, told = call(*folders, "--pixel-size-um", "0.1")
    assert code == 0
    assert [row["image"] for row in told["images"]] == sorted(NAMES)
    scores = {row["image"]: row["scores"] for row in told["images"]}
    for name, classes in truths.items():
        assert scores[name]["dice/axon"] == pytest.approx(dice(np.roll(classes, 1, axis=1), classes, 1))
        assert 0 < scores[name]["hd95_um/axon"] < 1
    assert told["mean"]["dice/axon"] == pytest.approx(np.mean([row["dice/axon"] for row in scores.values()]))
    assert told["subjects"] == {}
    assert told["problems"] == []


def test_the_table_names_scores_in_words(folders, capsys):
    assert main(["score", *map(str, folders), "--pixel-size-um", "0.1"]) == 0
    text = capsys.readouterr().out
    assert "Dice axon" in text
    assert "HD95 (µm) myelin" in text
    assert "mean over images:" in text


def test_subjects_are_averaged_first(folders, call, tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text("file,subject,pixel_size_um\none.png,rat1,0.1\ntwo.png,rat1,0.1\nthree.png,rat2,0.2\n")
    code, told = call(*folders, "--subjects", table)
    assert code == 0
    scores = {row["image"]: row["scores"]["dice"] for row in told["images"]}
    assert told["subjects"]["rat1"]["dice"] == pytest.approx((scores["one"] + scores["two"]) / 2)
    assert told["mean"]["dice"] == pytest.approx((told["subjects"]["rat1"]["dice"] + scores["three"]) / 2)
    assert {row["image"]: row["pixel_size_um"] for row in told["images"]} == {"one": 0.1, "two": 0.1, "three": 0.2}


def test_without_a_pixel_size_the_images_are_named_and_nothing_is_in_micrometres(folders, capsys):
    assert main(["score", *map(str, folders)]) == 0
    text = capsys.readouterr().out
    assert "no pixel size, so no µm: one, three, two" in text
    assert "HD95" not in text


def test_the_pixel_size_of_a_truth_that_states_one_is_used(folders, truths, call):
    (folders[1] / "one.png").unlink()
    tifffile.imwrite(folders[1] / "one.ome.tif", truths["one"], metadata={"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25})
    _, told = call(*folders)
    assert {row["image"]: row["pixel_size_um"] for row in told["images"]}["one"] == 0.25
    assert told["missing"]["hd95_um/axon"] == 2


def test_files_without_counterpart_and_of_another_size_are_named_and_the_rest_is_scored(folders, truths, call):
    predicted, truth = folders
    (predicted / "one.png").rename(predicted / "zero.png")
    Image.fromarray(truths["two"][:50]).save(predicted / "two.png")
    code, told = call(predicted, truth)
    assert code == 3
    assert [row["image"] for row in told["images"]] == ["three"]
    problems = {problem["file"]: problem["problem"] for problem in told["problems"]}
    assert problems == {
        str(truth / "one.png"): "has no prediction called one",
        str(truth / "two.png"): "is 96 x 96 pixels, the prediction of two is 96 x 50 pixels",
    }
    assert told["without_truth"] == ["zero"]


def test_exported_label_maps_are_found_by_the_name_of_their_image(folders, call):
    for path in folders[0].iterdir():
        path.rename(path.with_name(f"{path.stem}_classes.png"))
    assert call(*folders)[0] == 0


def test_unlabelled_pixels_of_the_truth_do_not_count(folders, truths, call):
    known = truths["one"].copy()
    known[:, 48:] = 255
    Image.fromarray(known).save(folders[1] / "one.png")
    _, told = call(*folders)
    moved = np.roll(truths["one"], 1, axis=1)[:, :48]
    found = next(row["scores"] for row in told["images"] if row["image"] == "one")
    assert found["dice/axon"] == pytest.approx(dice(moved, truths["one"][:, :48], 1))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--run", "r1"], "--run r1 needs a project"),
        (["--pixel-size-um", "0"], "must be a number above 0"),
        (["--subjects", "none.csv"], "No such file"),
        (["--classes", "none.json"], "No such file"),
    ],
)
def test_wrong_options_are_named(folders, call, words, told):
    code, values = call(*folders, *words)
    assert code == 2
    assert told in values["error"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,animal\none,a\n", "has the columns animal, image; expected image"),
        ("image,subject\none,rat1\n", "does not name three, two"),
        ("image,subject\none,\n", "line 2: image or subject is empty"),
        ("image,subject,pixel_size_um\none,a,small\n", "line 2: pixel_size_um must be a number above 0; got 'small'"),
    ],
)
def test_a_wrong_table_of_subjects_is_refused(folders, call, tmp_path, text, told):
    (tmp_path / "subjects.csv").write_text(text)
    code, values = call(*folders, "--subjects", tmp_path / "subjects.csv")
    assert code == 2
    assert told in values["error"]


def test_nothing_to_compare_is_wrong_input_that_says_why(folders, call, tmp_path):
    predicted, truth = folders
    assert "is not a folder" in call(predicted, tmp_path / "nowhere")[1]["error"]
    (tmp_path / "empty").mkdir()
    assert "holds no label maps" in call(tmp_path / "empty", truth)[1]["error"]
    for path in predicted.iterdir():
        path.rename(path.with_name(f"other-{path.name}"))
    code, told = call(predicted, truth)
    assert code == 2
    assert "nothing could be scored" in told["error"]
    assert "has no prediction called one" in told["error"]


def test_a_name_that_occurs_twice_is_refused(folders, call):
    (folders[0] / "one_classes.png").write_bytes((folders[0] / "one.png").read_bytes())
    code, told = call(*folders)
    assert code == 2
    assert "both called one" in told["error"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The sample with proposals that are the truth moved by a pixel, and with a confidence of 204 / 255."""
    project = make_sample_project(tmp_path_factory.mktemp("score") / "project", fields=2, size=96)
    run = project.create_run("propose", ProposeConfig())
    for record in project.images("target"):
        folder = run.path / "proposals" / record.id
        classes = np.roll(read_truth(project, record.id), 1, axis=1)
        for name, data in (("classes", classes), ("confidence", np.full_like(classes, 204))):
            zarr.create_array(folder / name, data=data)
        write_json(folder / "proposal.json", {})
    run.write_state(RunState(status="finished"))
    return project


def test_proposals_of_a_project_are_scored_with_its_subjects_pixel_sizes_and_confidence(project, call):
    code, told = call(project.path, project.path / "truth")
    assert code == 0
    records = project.images("target")
    assert told["run"] == project.runs("propose")[0].id
    assert [row["image"] for row in told["images"]] == sorted(record.id for record in records)
    assert set(told["subjects"]) == {record.subject for record in records}
    assert {row["pixel_size_um"] for row in told["images"]} == {record.pixel_size_um for record in records}
    assert told["images"][0]["scores"]["hd95_um/axon"] > 0
    assert 0 <= told["mean"]["calibration_error"] < 0.5


def test_a_run_without_proposals_is_named(project, call):
    other = project.runs("add")[0].id
    code, told = call(project.path, project.path / "truth", "--run", other)
    assert code == 2
    assert f"run {other} is one of `add`, expected one of `propose`" in told["error"]
