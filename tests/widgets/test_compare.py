"""Two models compared on the open tile, with real clicks and a real Tab key."""

import os

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from window_fakes import proposed, say, submitted, tuned

needs_gl = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")
pytestmark = needs_gl


@pytest.fixture
def compare(make_window, sample, qtbot):
    """Open the first target tile, then the page Learn; two proposing models, one fine-tuned one."""

    def make():
        images = sample.images("target")
        runs = [proposed(sample, images, 1, route="adaptation"), proposed(sample, images, 2, route="tutorship")]
        runs.append(tuned(sample, 0.7, 0.8, compared_with=runs[1].id))
        viewer, window = make_window(sample, show=True)
        viewer.window._qt_window.resize(1400, 900)
        window.go("review", domain="target")
        window.go("learn")
        viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(viewer.window._qt_window.isActiveWindow)
        return viewer, window, [run.id for run in runs]

    return make


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def seen(viewer):
    return [layer.name for layer in viewer.layers if layer.visible and layer.name not in ("image", "outline")]


def click(widget):
    assert widget.isVisible()
    assert widget.isEnabled()
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def choose(window, first, second):
    page = window.page("learn")
    for combo, run_id in ((page.first, first), (page.second, second)):
        combo.setCurrentIndex(combo.findData(run_id))
    click(page.compare_button)


def press_tab(widget):
    widget.setFocus()
    QTest.keyClick(widget, Qt.Key.Key_Tab)


def test_tab_flips_between_two_models_from_the_canvas_and_from_a_button_but_moves_on_between_fields(compare):
    viewer, window, (adaptation, tutorship, _) = compare()
    choose(window, tutorship, adaptation)
    assert seen(viewer) == ["model"]
    assert (viewer.layers["model"].data == 2).all()
    assert window.compare_bar.says.text() == "Seen now: tutorship. The other: adaptation."
    press_tab(canvas_of(viewer))
    assert seen(viewer) == ["previous model"]
    assert (viewer.layers["previous model"].data == 1).all()
    assert window.compare_bar.says.text() == "Seen now: adaptation. The other: tutorship."
    click(window.compare_bar.flip_button)
    assert seen(viewer) == ["model"]
    page = window.page("learn")
    press_tab(page.back_button if page.back_button.isEnabled() else page.compare_button)
    assert seen(viewer) == ["previous model"]
    press_tab(page.first)
    assert seen(viewer) == ["previous model"]
    assert not page.first.hasFocus()
    click(window.compare_bar.done_button)
    press_tab(page.compare_button)
    assert seen(viewer) == ["labels"]


def test_the_labels_as_edited_are_compared_with_a_model_and_not_accepted_while_it_is_seen(compare):
    viewer, window, (adaptation, _, _) = compare()
    viewer.layers["labels"].fill((0, 0), 1)
    choose(window, "", adaptation)
    assert seen(viewer) == ["labels"]
    press_tab(canvas_of(viewer))
    assert seen(viewer) == ["previous model"]
    press_tab(canvas_of(viewer))
    assert seen(viewer) == ["labels"]
    assert viewer.layers["labels"].editable
    window.go("review")
    page, canvas = window.page("review"), canvas_of(viewer)
    before = page.desk.place
    press_tab(canvas)
    QTest.keyClick(canvas, Qt.Key.Key_A)
    assert page.desk.place == before
    assert "labels of another model" in page.where.text()
    QTest.keyClick(canvas, Qt.Key.Key_N)
    assert page.desk.place != before
    assert seen(viewer) == ["previous model"], "the comparison follows to the next tile on the same side"
    press_tab(canvas)
    QTest.keyClick(canvas, Qt.Key.Key_B)
    assert page.desk.place == before
    QTest.keyClick(canvas, Qt.Key.Key_A)
    assert page.desk.place != before


def test_an_image_that_a_model_has_not_labelled_is_labelled_by_one_button_for_the_comparison_alone(
    compare, sample, engine
):
    viewer, window, (_, tutorship, fine_tuned) = compare()
    choose(window, fine_tuned, tutorship)
    bar, image = window.compare_bar, sample.images("target")[0]
    assert bar.says.text() == f"{image.id} is not labelled yet by fine-tuned 1."
    click(bar.label_button)
    ((verb, config),) = submitted(window, engine)
    assert (verb, config["route"], config["segmenter"], config["images"]) == (
        "propose",
        "model",
        fine_tuned,
        [image.id],
    )
    assert config["for_comparison"]
    assert not bar.label_button.isEnabled()
    made = proposed(sample, [image], 1, route="model", segmenter=fine_tuned, for_comparison=True)
    say(window.session.newest("propose").run, "cancelled")
    window.session.poll()
    assert (viewer.layers["model"].data == 1).all()
    assert bar.says.text() == "Seen now: fine-tuned 1. The other: tutorship."
    assert window.session.project.active("proposals").id == tutorship != made.id
    assert [verb for verb, _ in submitted(window, engine)] == ["propose"], "it orders no tiles"
    window.go("labels")
    assert window.page("labels").result.text().startswith("Tutorship with Instant, 2 image(s)")


def test_without_a_tile_one_button_opens_one(make_window, sample, qtbot):
    images = sample.images("target")
    first, second = proposed(sample, images, 1, route="adaptation"), proposed(sample, images, 2)
    viewer, window = make_window(sample, show=True)
    window.go("learn")
    qtbot.waitUntil(window.isVisible)
    choose(window, first.id, second.id)
    assert "open a tile" in window.compare_bar.says.text()
    click(window.compare_bar.open_button)
    assert window.step_bar.current == "review"
    assert seen(viewer) == ["model"]


def test_done_and_closing_take_our_layers_away_and_leave_hers_and_damage_is_told(compare, sample):
    viewer, window, (adaptation, tutorship, _) = compare()
    hers = viewer.add_labels(np.ones((8, 8), np.uint8), name="model")
    choose(window, tutorship, adaptation)
    click(window.compare_bar.done_button)
    assert {layer.name for layer in viewer.layers} == {"image", "labels", "outline", "model"}
    assert viewer.layers["labels"].visible
    image = sample.images("target")[0].id
    (sample.run(adaptation).path / "proposals" / image / "classes" / "zarr.json").write_text("{")
    choose(window, tutorship, adaptation)
    assert window.compare_bar.trouble.text()
    assert not window.compare_bar.flip_button.isEnabled()
    window.session.close_project()
    assert list(viewer.layers) == [hers]
    assert hers.visible
    assert window.compare_bar.isHidden()
