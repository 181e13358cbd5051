"""The pages that start the long jobs, and export: what they show, what they say, what they submit."""

from datetime import UTC, datetime

import numpy as np
from window_fakes import say, submitted

from histobridge.core.config import (
    ExportConfig,
    FineTuneConfig,
    ProposeConfig,
    TrainTranslatorConfig,
)
from histobridge.core.translate.quality.report import Quality, write_quality

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
    page.form.set(steps=40)
    assert "estimate" in page.cost.text()
    page.start_button.click()
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["steps"]) == ("train-translator", 40)


def test_a_method_is_chosen_with_its_preset_and_its_cost_told_before(make_window, sample, matched, engine):
    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    page.cards["best"].click()
    page.methods.method.setCurrentIndex(page.methods.method.findData("cut"))
    page.methods.preset.setCurrentIndex(page.methods.preset.findData("faithful"))
    assert "GB of memory (estimates)" in page.cost.text()
    page.start_button.click()
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["method"], config["published"], config["crop_px"]) == ("train-translator", "cut", True, 256)


def test_sizes_that_are_offered_are_those_of_the_method(make_window, sample, matched, engine):
    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    page.cards["best"].click()
    methods = page.methods
    assert methods.preset.currentData() == "cpu", "what the command line starts with too"
    sizes = lambda: [methods.preset.itemData(place) for place in range(methods.preset.count())]  # noqa: E731
    methods.method.setCurrentIndex(methods.method.findData("syndiff"))
    assert "faithful-256" in sizes()
    methods.preset.setCurrentIndex(methods.preset.findData("faithful-256"))
    assert methods.config().syndiff.attention_levels == (4,)
    methods.preset.setCurrentIndex(methods.preset.findData("cpu"))
    methods.method.setCurrentIndex(methods.method.findData("cut"))
    assert "faithful-256" not in sizes()
    assert methods.preset.currentData() == "cpu"


def test_what_a_translator_costs_follows_all_settings_and_the_last_training(make_window, sample, matched, ended):
    _, window = make_window(sample)
    window.go("translate")
    page = window.page("translate")
    page.form.set(parts=1, batch_size=4)
    at_once = page.cost.text()
    page.form.set(parts=4)
    assert "on two CPU cores" in at_once
    assert page.cost.text() != at_once
    ended("train-translator", TrainTranslatorConfig(steps=100, batch_size=2), started=1000.0, updated=1300.0)
    # Resumed near its end: what is known is how long the rest took.
    ended("train-translator", TrainTranslatorConfig(steps=100, batch_size=2), started=1000.0, updated=1010.0, attempt=2)
    page.form.set(parts=1, steps=200)
    window.session.poll()
    assert page.cost.text().startswith("≈ 20 min, ")
    assert page.cost.text().endswith("(estimates, from the last time)")


def test_a_trained_translator_tells_its_verdict_and_is_not_offered_if_it_failed(make_window, sample, matched, ended):
    run = ended("train-translator", TrainTranslatorConfig())
    write_quality(run.path, Quality(ways={}, verdict="failed", reasons=("Borders lie 3.0 px off.",)))
    _, window = make_window(sample)
    window.go("translate")
    shown = window.page("translate").result
    assert shown.verdict.words.text() == "Failed. Borders lie 3.0 px off."
    assert shown.verdict.use_button.isHidden()


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
    assert page.result.triptych.pictures["source_to_target"].shows_something
    assert "cycle 0.4" in page.result.losses.toolTip()


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
    assert (verb, config["translator"], config["route"]) == ("propose", "instant", "auto")


def test_labels_offers_trained_translators_but_starts_with_one_only_if_asked_to(make_window, sample, matched, ended):
    run = ended("train-translator", TrainTranslatorConfig(method="cut"))
    _, window = make_window(sample)
    window.go("labels")
    combo = window.page("labels").translator
    assert [combo.itemData(index) for index in range(combo.count())] == [run.id, "instant", "identity"]
    made = datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert combo.itemText(0) == f"CUT 1: {made.astimezone():%m-%d %H:%M}"
    assert combo.currentData() == "instant"
    labels = window.page("labels")
    assert "takes longer" not in labels.cost.text()
    combo.setCurrentIndex(0)
    assert labels.cost.text().endswith("; a trained translator takes longer than Instant")
    combo.setCurrentIndex(1)
    window.go("translate")
    window.page("translate").result.verdict.use_button.click()
    assert window.step_bar.current == "labels"
    assert combo.currentData() == run.id


def test_insisting_holds_for_one_start_and_one_translator(make_window, sample, matched, ended, engine):
    """The next translator that failed its checks would be used without a word."""
    ended("train-translator", TrainTranslatorConfig(method="cut"))
    _, window = make_window(sample)
    window.go("labels")
    page = window.page("labels")
    insist = page.form.editors["insist"]
    insist.set(True)
    page.translator.setCurrentIndex(0)
    assert not insist.value()
    insist.set(True)
    page.start_button.click()
    ((_, config),) = submitted(window, engine)
    assert config["insist"]
    assert not insist.value()


def test_the_cost_is_marked_as_an_estimate_and_learns_from_the_last_time(make_window, sample, matched, ended):
    config = ProposeConfig()
    ended("propose", config, started=1000.0, updated=1000.0 + config.training.steps)
    ended("propose", ProposeConfig(route="adaptation"), started=1000.0, updated=1001.0)
    _, window = make_window(sample)
    window.go("labels")
    window.page("labels").routes.choose("tutorship")
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
    assert [verb for verb, _ in submitted(window, engine)] == ["rank", "finetune"]


def test_export_says_what_was_read_back(make_window, sample, ended, engine):
    written = [{"image": "sem1", "format": "ome-zarr", "identical": True, "reviewed_fraction": 0.25}]
    ended("export", ExportConfig(), result={"written": written, "notes": ["sem2 has no labels"], "out": "/there"})
    _, window = make_window(sample)
    window.go("export")
    page = window.page("export")
    assert "sem1 (ome-zarr): read back and compared, identical; 25% reviewed" in page.result.text()
    assert page.notes.text() == "sem2 has no labels"
    boxes = page.form.editors["formats"].boxes
    assert all(box.text() != name and name.split("-")[0] in box.text().casefold() for name, box in boxes.items())
    boxes["png"].click()
    page.start_button.click()
    ((_, config),) = submitted(window, engine)
    assert config["formats"] == ["ome-zarr", "png"]
    assert config["out"] == str(sample.path / "export")
