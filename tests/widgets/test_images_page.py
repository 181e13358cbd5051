"""The page of images: what it shows, what it says, what it submits."""

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from window_fakes import say, submitted

from histobridge.core.config import AddImagesConfig
from histobridge.core.images.open import open_image
from histobridge.widgets.incoming import save_layers
from histobridge.widgets.open_layers import LayerPixels

PIXEL_SIZE, SUBJECT = 2, 3


def test_images_are_listed_with_thumbnail_size_pixel_size_and_subject(make_window, sample, qtbot):
    _, window = make_window(sample)
    table = window.page("images").lists["source"]
    record = sample.images("source")[0]
    texts = [table.item(0, column).text() for column in range(4)]
    assert texts == [record.id, "96 × 96", f"{record.pixel_size_um:g}", record.subject]
    qtbot.waitUntil(lambda: not table.item(0, 0).icon().isNull())


def test_an_unknown_pixel_size_is_red_and_can_be_typed(make_window, sample):
    image = sample.images("target")[0].id
    with sample.editing():
        sample.update_image(image, pixel_size_um=None)
    _, window = make_window(sample)
    page = window.page("images")
    item = page.lists["target"].item(0, PIXEL_SIZE)
    assert item.text() == "unknown"
    assert item.background().color().red() > 2 * item.background().color().green()
    assert window.step_bar.buttons["images"].text() == "▲ Images"
    item.setText("0,13")
    assert window.session.project.image(image).pixel_size_um == 0.13
    assert window.session.project.image(image).pixel_size_from == "user"
    assert window.step_bar.buttons["images"].text() == "◉ Images"


def test_nonsense_as_pixel_size_is_told_and_taken_back(make_window, sample):
    _, window = make_window(sample)
    item = window.page("images").lists["target"].item(0, PIXEL_SIZE)
    before = item.text()
    item.setText("tiny")
    assert "number" in window.project_bar.trouble.text()
    assert window.page("images").lists["target"].item(0, PIXEL_SIZE).text() == before


def test_the_subject_can_be_changed(make_window, sample):
    _, window = make_window(sample)
    window.page("images").lists["source"].item(0, SUBJECT).setText("rat7")
    assert window.session.project.images("source")[0].subject == "rat7"


def test_dropped_files_are_imported_into_the_list_they_were_dropped_on(make_window, sample, engine, tmp_path):
    _, window = make_window(sample)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a.png"))])
    action, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    event = QDropEvent(QPointF(5, 5), action, data, left, Qt.KeyboardModifier.NoModifier)
    window.page("images").lists["source"].dropEvent(event)
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["domain"], config["paths"]) == ("add", "source", [str(tmp_path / "a.png")])


def test_an_open_layer_is_imported_with_the_labels_of_its_size(make_window, tmp_path, engine, qtbot):
    viewer, window = make_window()
    window.create_project(tmp_path / "fresh")
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    layer = viewer.add_image(pixels, name="my field", scale=(0.2, 0.2), units=("um", "um"))
    viewer.add_labels(np.ones((64, 48), np.uint8), name="mine")
    window.page("images").add_layer("source", layer)
    qtbot.waitUntil(lambda: len(engine.submitted) == 1)
    ((_, config),) = submitted(window, engine)
    assert config["pixel_size_um"] == pytest.approx(0.2)
    np.testing.assert_array_equal(tifffile.imread(config["paths"][0]), pixels)
    assert (tifffile.imread(config["masks"][0]) == 1).all()


def test_layers_of_one_name_keep_their_own_pixels_and_no_labels_of_another(tmp_path):
    """The second took the place of the first before it was read, and got the labels that lay there."""
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    first = LayerPixels(name="field1", image=pixels, labels=np.ones((64, 48), np.uint8), pixel_size_um=0.2, subject="a")
    second = LayerPixels(name="field1", image=pixels[::-1], labels=None, pixel_size_um=0.2, subject="b")
    one, other, again = (save_layers(tmp_path, each, AddImagesConfig())[0] for each in (first, second, first))
    np.testing.assert_array_equal(tifffile.imread(one.paths[0]), pixels)
    np.testing.assert_array_equal(tifffile.imread(other.paths[0]), pixels[::-1])
    assert one.paths == again.paths, "the same layer is the same file, and known as such"
    assert other.masks == ()
    assert not list(other.paths[0].parent.parent.glob("masks"))


@pytest.mark.parametrize("sections", [2, 3, 4])
def test_sections_of_an_open_layer_are_no_colours(tmp_path, sections):
    stack = np.random.default_rng(0).integers(0, 255, (sections, 40, 30)).astype(np.uint8)
    (config,) = save_layers(tmp_path, LayerPixels("stack", stack, stack, None), AddImagesConfig())
    for path in (*config.paths, *config.masks):
        assert len(open_image(path).sections) == sections
    colours = stack[0][..., None].repeat(3, -1)
    (config,) = save_layers(tmp_path, LayerPixels("colour", colours, None, None, rgb=True), AddImagesConfig())
    np.testing.assert_array_equal(open_image(config.paths[0]).checked(0)[:], stack[0])


def test_the_sample_comes_in_as_two_imports(make_window, tmp_path, engine, qtbot):
    _, window = make_window()
    window.create_project(tmp_path / "fresh")
    window.page("images").add_sample()
    qtbot.waitUntil(lambda: len(engine.submitted) == 2, timeout=20000)
    assert [config["domain"] for _, config in submitted(window, engine)] == ["source", "target"]


def test_a_finished_import_is_taken_into_the_project_and_problems_are_told(make_window, tmp_path, qtbot):
    from histobridge.core.config import AddImagesConfig
    from histobridge.core.images.stage import image_record, stage_array

    _, window = make_window()
    window.create_project(tmp_path / "fresh")
    run = window.session.submit("add", AddImagesConfig())
    stage_array(run, image_record("sem1", "target", subject="rat1"), np.ones((40, 40), np.uint8))
    problem = {"file": "/data/b.png", "problem": "it is empty", "remedy": "Save it again."}
    say(run, "finished", result={"added": ["sem1"], "problems": [problem]})
    window.session.poll()
    page = window.page("images")
    assert page.lists["target"].item(0, 0).text() == "sem1"
    assert page.problems.text() == "b.png: it is empty. Save it again."


def test_classes_are_edited_in_the_table(make_window, sample):
    _, window = make_window(sample)
    table = window.page("images").classes
    table.table.item(1, 0).setText("sheath")
    names = [(spec.name, spec.inside) for spec in window.session.project.classes]
    assert names == [("axon", "sheath"), ("sheath", "")]
    table.table.item(1, 1).setText("1")
    assert "class value used twice: 1" in window.project_bar.trouble.text()
    assert [spec.value for spec in window.session.project.classes] == [1, 2]
    table.add.click()
    assert window.session.project.classes[2].value == 3
