"""Config -> form -> config."""

from pathlib import Path

import pytest

from histobridge.core import config as configs
from histobridge.core.jobs import JOBS
from histobridge.widgets.form import ConfigForm, label_of


def visible_texts(form):
    from qtpy.QtWidgets import QLabel

    return " ".join(label.text() for label in form.findChildren(QLabel) if label.isVisibleTo(form))


@pytest.mark.parametrize("kind", [job.config for job in JOBS.values()])
def test_every_job_config_survives_its_form(qtbot, kind):
    form = ConfigForm(kind())
    qtbot.addWidget(form)
    assert form.config() == kind()


def test_small_floats_are_shown_and_kept(qtbot):
    form = ConfigForm(configs.SegmenterTraining(learning_rate=1e-4, weight_decay=3e-9))
    qtbot.addWidget(form)
    assert form.editors["learning_rate"].line.text() == "0.0001"
    assert form.editors["weight_decay"].line.text() == "3e-09"
    config = form.config()
    assert (config.learning_rate, config.weight_decay) == (1e-4, 3e-9)


def test_a_third_keeps_all_its_digits_until_it_is_edited(qtbot):
    form = ConfigForm(configs.FineTuneConfig())
    qtbot.addWidget(form)
    assert form.config().source_replay == 1 / 3


def test_whole_numbers_go_beyond_999(qtbot):
    form = ConfigForm(configs.TrainTranslatorConfig())
    qtbot.addWidget(form)
    qtbot.keyClicks(form.editors["steps"].box, "")
    form.set(steps=123456)
    assert form.config().steps == 123456


def test_wrong_text_says_what_is_expected_and_gives_no_config(qtbot):
    form = ConfigForm(configs.SegmenterTraining())
    qtbot.addWidget(form)
    line = form.editors["learning_rate"].line
    line.clear()
    qtbot.keyClicks(line, "fast\r")
    assert form.config() is None
    assert "expected a number, such as 0.5 or 1e-4; found 'fast'" in visible_texts(form)
    line.clear()
    qtbot.keyClicks(line, "2e-4\r")
    assert form.config().learning_rate == 2e-4
    assert "expected" not in visible_texts(form)


def test_a_mistake_under_more_opens_more(qtbot):
    form = ConfigForm(configs.TrainTranslatorConfig(), main=("steps",))
    qtbot.addWidget(form)
    assert not form.more.toggle.isChecked()
    form.editors["cycle_weight"].line.setText("-1")
    assert form.config() is None
    assert form.more.toggle.isChecked()
    assert "must be at least 0" in visible_texts(form)


def test_nested_configs_are_edited_in_their_own_group(qtbot):
    form = ConfigForm(configs.ProposeConfig(), main=("route",))
    qtbot.addWidget(form)
    form.nested["training"].set(steps=7, preset="tiny")
    form.set(route="adaptation")
    config = form.config()
    assert (config.training.steps, config.training.preset, config.route) == (7, "tiny", "adaptation")


def test_empty_means_automatic_where_the_config_allows_it(qtbot):
    form = ConfigForm(configs.MatchConfig())
    qtbot.addWidget(form)
    form.editors["scale_factor"].line.setText("0,25")
    assert form.config().scale_factor == 0.25
    form.editors["scale_factor"].line.setText("")
    assert form.config().scale_factor is None


def test_lists_pairs_paths_and_check_boxes(qtbot):
    form = ConfigForm(configs.AddImagesConfig())
    qtbot.addWidget(form)
    form.editors["mask_values"].line.setText("127=1, 255=2")
    form.editors["sections"].line.setText("0, 3")
    form.editors["paths"].line.setText("/a b.png; /c.tif")
    form.editors["copy_images"].box.click()
    config = form.config()
    assert config.mask_values == {127: 1, 255: 2}
    assert config.sections == (0, 3)
    assert config.paths == (Path("/a b.png"), Path("/c.tif"))
    assert not config.copy_images
    export = ConfigForm(configs.ExportConfig())
    qtbot.addWidget(export)
    export.editors["formats"].boxes["tiff"].click()
    assert export.config().formats == ("ome-zarr", "tiff")


def test_tooltips_come_from_the_config(qtbot):
    form = ConfigForm(configs.SegmenterTraining())
    qtbot.addWidget(form)
    assert "Optimizer steps" in form.editors["steps"].box.toolTip()


def test_labels_carry_units():
    assert label_of("pixel_size_um") == "Pixel size (µm)"
    assert label_of("crop_px") == "Crop (px)"
