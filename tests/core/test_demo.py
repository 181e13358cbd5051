import numpy as np
import pytest
from PIL import Image

from histobridge.core import demo
from histobridge.core.contact_sheet import contact_sheet, painted
from histobridge.core.errors import InputError
from histobridge.core.job import finish
from histobridge.core.manifest import MYELINATED_FIBRE
from histobridge.core.project import Project


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demo at a hundredth of its work: what it told, and its progress."""
    import torch

    torch.set_num_threads(1)
    out, seen = tmp_path_factory.mktemp("demo"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SEGMENTER", demo.SEGMENTER.model_copy(update={"steps": 4, "batch_size": 2, "crop_px": 32}))
        patch.setattr(demo, "TRANSLATOR_STEPS", 2)
        patch.setattr(demo, "TRANSLATOR_CROP", 32)
        patch.setattr(demo, "FIELDS", 1)
        patch.setattr(demo, "SIDE", 96)
        return finish(demo.run_demo(out), seen.append), seen, out


def test_the_table_has_a_row_of_every_route(shown):
    rows = shown[0]["table"]
    assert [(row["route"], row["translator"]) for row in rows] == [
        ("adaptation", "identity"),
        ("adaptation", "instant"),
        ("adaptation", "cyclegan"),
        ("tutorship", "instant"),
        ("tutorship", "cyclegan"),
    ]
    for row in rows:
        assert 0 <= row["axon"] <= 1
        assert 0 <= row["myelin"] <= 1
        assert row["seconds"] >= 0


def test_files_are_where_it_says(shown):
    result, _, out = shown
    with Image.open(result["files"]["contact sheet"]) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > sheet.height > 100
    assert result["written"]
    assert (out / "export").is_dir()


def test_the_project_is_left_ready_to_correct(shown):
    project = Project.open(shown[2] / "project")
    assert project.lock.holder() is None
    config = project.run(project.manifest.active["proposals"]).config
    assert config["route"] == "tutorship"
    assert {run.state().status for run in project.runs()} == {"finished"}


def test_progress_never_goes_back_and_ends_at_its_total(shown):
    seen = [progress.step / progress.total for progress in shown[1]]
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert all(progress.message for progress in shown[1])


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match=r"not an empty folder; choose another with --out"):
        finish(demo.run_demo(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_stopping_the_demo_stops_the_run_it_is_in(tmp_path):
    job = demo.run_demo(tmp_path / "out")
    for progress in job:
        if "earning" in progress.message:
            break
    job.close()
    (run,) = Project.open(tmp_path / "out" / "project").runs("train-segmenter")
    assert run.state().status == "cancelled"


def test_classes_are_laid_over_the_image_in_their_colours():
    grey = np.full((4, 4), 100, np.uint8)
    classes = np.zeros((4, 4), np.uint8)
    classes[:2], classes[2, :2] = 1, 2
    picture = painted(grey, classes, MYELINATED_FIBRE)
    assert picture.shape == (4, 4, 3)
    assert (picture[3] == 100).all()
    axon = np.array([0x56, 0xB4, 0xE9])
    assert np.abs(picture[0, 0] - (0.55 * 100 + 0.45 * axon)).max() <= 1
    assert picture[2, 0, 2] < 100 < picture[2, 0, 0]


def test_the_contact_sheet_has_a_row_of_every_pair(sample_loop, tmp_path):
    file = contact_sheet(sample_loop.project, "instant", sample_loop.tutored, tmp_path / "sheet.png")
    with Image.open(file) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert pixels.shape[0] > 3 * 200
    columns = np.array_split(pixels[100:200], 5, axis=1)
    # Grey panels first, coloured ones after.
    colourful = [float(np.ptp(column, axis=2).mean()) for column in columns]
    assert max(colourful[:3]) < 3 < 10 < min(colourful[3:])
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
