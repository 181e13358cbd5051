"""The other six pages: what they show, what they say, what they submit."""

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from window_fakes import say

from histobridge.core.config import (
    ExportConfig,
    FineTuneConfig,
    MatchConfig,
    ProposeConfig,
    TrainSegmenterConfig,
    TrainTranslatorConfig,
)
from histobridge.core.files import write_json

PIXEL_SIZE, SUBJECT = 2, 3


@pytest.fixture
def ended(sample):
    """Write a run that has finished."""

    def make(verb, config, **values):
        run = sample.create_run(verb, config)
        say(run, "finished", **values)
        return run

    return make


@pytest.fixture
def matched(ended):
    """A finished matching, as its file says."""
    ended("train-segmenter", TrainSegmenterConfig())
    run = ended("match", MatchConfig())
    values = {"source_working_um": 0.1, "target_working_um": 0.2, "scale_from": "estimate", "invert": True}
    values |= {"polarity_from": "estimate", "certainty": 0.62, "certain": False}
    write_json(run.path / "matching.json", values)
    return run


def submitted(window, engine):
    return [
        (item.verb, item.run.config) for item in window.session.followed.values() if item.run.id in engine.submitted
    ]


# -- images ------------------------------------------------------------------------------------------------------------


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
    import tifffile

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


# -- match -------------------------------------------------------------------------------------------------------------


def test_match_learns_first_and_matches_when_that_is_done(make_window, sample, engine, qtbot):
    _, window = make_window(sample)
    window.go("match")
    page = window.page("match")
    assert page.start_button.text() == "Learn my labels and match"
    page.start_button.click()
    ((verb, _),) = submitted(window, engine)
    assert verb == "train-segmenter"
    window.go("images")
    say(window.session.newest("train-segmenter").run, "finished")
    window.session.poll()
    assert [verb for verb, _ in submitted(window, engine)] == ["train-segmenter", "match"]


def test_a_failed_learning_is_not_followed_by_a_matching(make_window, sample, engine):
    _, window = make_window(sample)
    window.go("match")
    window.page("match").start_button.click()
    say(window.session.newest("train-segmenter").run, "failed", message="no memory")
    window.session.poll()
    assert [verb for verb, _ in submitted(window, engine)] == ["train-segmenter"]
    assert window.step_bar.buttons["match"].text().startswith("▲")


def test_the_matching_is_told_in_words_and_can_be_overruled(make_window, sample, matched, engine):
    _, window = make_window(sample)
    window.go("match")
    page = window.page("match")
    assert page.scale.text() == "Scale: 0.1 µm in the source is 0.2 µm in the target (factor 2, estimated)."
    assert page.polarity.text() == "Polarity: inverted (62% certain, estimated)."
    assert "not certain" in page.doubt.text()
    page.overrule("keep")
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["polarity"]) == ("match", "keep")


def test_a_line_across_an_object_sets_its_diameter(make_window, sample):
    viewer, window = make_window(sample)
    window.go("match")
    page = window.page("match")
    page.draw_button.click()
    ruler = viewer.layers["typical object"]
    ruler.add_lines(np.array([[1.0, 1.0], [1.0, 2.5]]))
    assert page.form.config().target_diameter_um == pytest.approx(1.5)
    window.go("translate")
    assert "typical object" not in viewer.layers


def test_match_says_what_is_missing(make_window, tmp_path):
    _, window = make_window()
    window.create_project(tmp_path / "empty")
    window.go("match")
    assert "no source images with labels" in window.page("match").missing.text()
    assert not window.page("match").start_button.isEnabled()


# -- translate, labels -------------------------------------------------------------------------------------------------


def test_a_translator_is_trained_with_what_the_form_says(make_window, sample, matched, engine):
    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    assert not page.cards["best"].isEnabled()
    page.form.set(steps=40)
    assert "estimate" in page.cost.text()
    page.start_button.click()
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["steps"]) == ("train-translator", 40)


def test_a_training_translator_shows_its_newest_pictures_and_curves(make_window, sample, matched):
    from PIL import Image

    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    page.start_button.click()
    run = window.session.newest("train-translator").run
    Image.fromarray(np.full((20, 60), 128, np.uint8)).save(run.path / "preview-source_to_target.png")
    run.log("progress", step=5, total=10, message="", metrics={"cycle": 0.4})
    say(run, "running", step=5, total=10)
    window.session.poll()
    assert page.previews["source_to_target"].shows_something
    assert "cycle 0.4" in page.curves.toolTip()


def test_instant_needs_no_training_and_goes_on_to_labels(make_window, sample, matched, ended, engine):
    ended("train-translator", TrainTranslatorConfig())
    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    page.cards["instant"].click()
    page.start_button.click()
    assert window.step_bar.current == "labels"
    window.page("labels").start_button.click()
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["translator"], config["route"]) == ("propose", "instant", "tutorship")


def test_labels_offers_trained_translators_first(make_window, sample, matched, ended):
    run = ended("train-translator", TrainTranslatorConfig())
    _, window = make_window(sample)
    window.go("labels")
    combo = window.page("labels").translator
    assert [combo.itemData(index) for index in range(combo.count())] == [run.id, "instant", "identity"]
    assert combo.currentData() == run.id


def test_the_cost_is_marked_as_an_estimate_and_learns_from_the_last_time(make_window, sample, matched, ended):
    config = ProposeConfig()
    ended("propose", config, started=1000.0, updated=1000.0 + config.training.steps)
    _, window = make_window(sample)
    window.go("labels")
    assert window.page("labels").cost.text() == "≈ 15 min (estimate, from the last time)"


# -- learn, export -----------------------------------------------------------------------------------------------------


def test_models_are_listed_and_promoted_by_hand(make_window, sample, ended):
    first = ended("finetune", FineTuneConfig(), metrics={"loss": 0.31})
    ended("finetune", FineTuneConfig(), metrics={"loss": 0.29})
    _, window = make_window(sample)
    window.go("learn")
    page = window.page("learn")
    assert page.models.rowCount() == 2
    assert not page.promote_button.isEnabled()
    page.models.selectRow(1)
    page.promote_button.click()
    assert window.session.project.manifest.active["target_segmenter"] == first.id
    assert page.models.item(1, 3).text() == "● in use"
    assert page.models.item(0, 3).text() == ""


def test_fine_tuning_is_offered_once_there_is_a_proposal(make_window, sample, ended, engine):
    _, window = make_window(sample)
    window.go("learn")
    page = window.page("learn")
    assert not page.start_button.isEnabled()
    ended("propose", ProposeConfig())
    window.session.poll()
    page.refresh()
    page.start_button.click()
    assert [verb for verb, _ in submitted(window, engine)] == ["finetune"]


def test_export_says_what_was_read_back(make_window, sample, ended, engine):
    written = [{"image": "sem1", "format": "ome-zarr", "identical": True, "reviewed_fraction": 0.25}]
    ended("export", ExportConfig(), result={"written": written, "notes": ["sem2 has no labels"], "out": "/there"})
    _, window = make_window(sample)
    window.go("export")
    page = window.page("export")
    assert "sem1 (ome-zarr): read back and compared, identical; 25% reviewed" in page.result.text()
    assert page.notes.text() == "sem2 has no labels"
    page.form.editors["formats"].boxes["png"].click()
    page.start_button.click()
    ((_, config),) = submitted(window, engine)
    assert config["formats"] == ["ome-zarr", "png"]
    assert config["out"] == str(sample.path / "export")
