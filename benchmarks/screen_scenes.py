"""What `screenshots.py` plays in the window, scene by scene; each ends with a picture and a sentence."""

import errno
import os
import time
from pathlib import Path
from unittest.mock import patch

from hands import FREE, click, mouse, point, press, stroke
from qtpy.QtCore import QEvent, Qt
from window_fakes import say

import sample_states as states
from histobridge.core.config import ExportConfig, FineTuneConfig
from histobridge.core.effort import Effort, append_effort
from histobridge.core.lock import LockHolder
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.sample import read_truth
from histobridge.widgets.steps import STEPS

EMPTY = {
    "images": "Images, before the first image: what to do is said in the empty lists.",
    "match": "Match, before there are images: what is missing is said, and where to get it.",
    "translate": "Translate, before the domains are matched.",
    "labels": "Labels, before the domains are matched.",
    "review": "Review, before there are images.",
    "learn": "Learn, before there is a proposal.",
    "export": "Export, before there are images.",
}


def play(stage, folder: Path) -> None:
    """Play all scenes, in the order of a user's way."""
    folder.mkdir()
    first_run(stage, folder)
    project = states.make(folder)
    prepare(stage, project, folder)
    review(stage, project)
    tools(stage, project)
    look(stage, project)
    jobs(stage, project)
    learn_and_export(stage, project)
    trouble(stage, project)


def first_run(stage, folder: Path) -> None:
    """Nothing there yet."""
    stage.shot("welcome", "The first start: a new project, an existing one, or the sample.")
    stage.window.create_project(folder / "my-fibres")
    for step in STEPS:
        click(stage.window.step_bar.buttons[step.key])
        stage.shot(f"{step.key}-empty", EMPTY[step.key])


# -- before the review -------------------------------------------------------------------------------------------------


def prepare(stage, project: Project, folder: Path) -> None:
    """Images, Match, Translate, Labels."""
    window = stage.window
    window.open_project(project.path)
    click(window.step_bar.buttons["images"])
    stage.shot("images", "Images: labelled source and unlabelled target, with sizes, subjects and pixel sizes.")
    run = states.bring_problems(project, folder / "incoming")
    window.session.poll()
    stage.wait()
    stage.scroll(0.8)
    stage.shot("images-problems", "Images: a file that could not be read says why; an unknown pixel size is red.")
    unknown = next(record.id for record in window.session.project.images() if record.pixel_size_um is None)
    window.session.edit(lambda opened: opened.update_image(unknown, pixel_size_um=0.1, pixel_size_from="user"))
    say(run, "finished", result={"problems": []})
    stage.wait()
    stage.scroll(1)
    stage.shot("images-classes", "Images: the classes, their colours and their values in files.")
    segmenter = states.learn(project)
    states.match(project, segmenter, 0.62)
    window.session.poll()
    click(window.step_bar.buttons["match"])
    stage.shot(
        "match-uncertain",
        "Match: the polarity is not certain, so one tile is shown under both, to click the right one.",
    )
    states.match(project, segmenter, 0.94)
    window.session.poll()
    stage.shot("match", "Match: scale and polarity found, side by side at the working scale.")
    click(window.step_bar.buttons["translate"])
    stage.shot("translate", "Translate: from seconds to hours, with the cost told before.")
    translators(stage, project)
    click(window.step_bar.buttons["labels"])
    stage.shot("labels", "Labels: choose a route, or let HistoBridge choose.")
    states.propose(project, "adaptation", by_itself=False)
    proposals = states.propose(project, "tutorship", by_itself=True)
    states.rank(project, proposals)
    window.session.poll()
    stage.wait()
    stage.scroll(1)
    stage.shot("labels-chosen", "Labels: the route that was chosen, why, and what spoke for each (estimates).")


def translators(stage, project: Project) -> None:
    """A training under way, stopped, and judged."""
    shown, bar = stage.window.page("translate").result, stage.window.scroll.verticalScrollBar()
    for name, says in (
        ("training", "Translate, while it trains: the same tiles there and back, in both directions."),
        ("curves", "Translate, while it trains: what is measured on these tiles, and the losses."),
        ("stopped", "Translate, stopped: what was learned is kept, and Resume goes on from there."),
        ("verdict", "Translate: the verdict, and every measure with one of its own; pictures follow below."),
    ):
        if name in ("training", "verdict"):
            run = states.translate(project, running=name == "training")
        elif name == "stopped":
            say(run, "cancelled", step=197, total=600)
        stage.window.session.poll()
        stage.wait()
        bar.setValue(shown.y() if name != "curves" else bar.maximum())
        stage.shot(f"translate-{name}", says)
    page = stage.window.page("translate")
    click(page.cards["best"])
    stage.wait()
    bar.setValue(page.cards["best"].y())
    stage.shot("translate-method", "Translate: a method, its size, and what it costs before it starts.")
    click(page.cards["quick"])
    imports = page.elsewhere
    click(imports.toggle)
    stage.wait()
    bar.setValue(imports.y())
    stage.shot("translate-import", "Translate: generators that were trained elsewhere.")


# -- review ------------------------------------------------------------------------------------------------------------


def review(stage, project: Project) -> None:
    """The page, a stroke, the list of tiles, the map of a large image."""
    window = stage.window
    images = [record.id for record in project.images("target")][:3]
    spent = [Effort(image=image, tile="r000c000", seconds=48, strokes=9) for image in images]
    append_effort(window.session.project, spent)
    click(window.step_bar.buttons["review"])
    page = window.page("review")
    stage.wait()
    stage.shot("review", "Review: the proposal on the tile, why this tile, and the list of tiles on the left.")
    for _ in range(2):
        press(stage.viewer, Qt.Key.Key_A)
        stage.wait(200)
    press(stage.viewer, Qt.Key.Key_X)
    stage.wait(200)
    press(stage.viewer, Qt.Key.Key_2)
    stroke(stage.viewer, stage.viewer.layers["labels"], 40, (50, 110))
    stage.shot("review-painted", "Review: two tiles accepted, one skipped, a stroke painted on the next; it is saved.")
    window.docks.tiles.text.setText("g-ratio")
    stage.shot("tiles-filtered", "The Tiles dock: sorted and filtered, here by a word of the reason.")
    window.docks.tiles.text.setText("")
    page.open_domain("target", states.MOSAIC, "r001c001")
    stage.wait()
    stage.viewer.scene.camera.zoom *= 0.6
    stage.shot("review-mosaic", "Review of a large image: the place of the tile on the map, and its neighbours.")
    page.open_domain("target", images[2])


def hover(stage, row: int, column: int) -> None:
    """Bring the mouse over a pixel of the tile."""
    mouse(stage.viewer, QEvent.Type.MouseMove, point(stage.viewer, stage.viewer.layers["labels"], row, column), FREE)
    stage.viewer.mouse_over_canvas = True  # what the pointer of the desktop would tell; there is none on this screen


def fault(project: Project, image: str, kind: str) -> tuple[int, int]:
    """Row and column of the first fibre of an image with a fault of that kind."""
    return next((row, column) for each, row, column in states.faults(read_truth(project, image)) if each == kind)


def tools(stage, project: Project) -> None:
    """Tools by key and by click, what they say, and what the rules find."""
    page = stage.window.page("review")
    stage.wait()
    stage.scroll(0.5)
    image = page.desk.place.image
    hover(stage, *fault(project, image, "leaking"))
    press(stage.viewer, Qt.Key.Key_F)
    stage.shot("tool-leak", "Fill on a ring with a gap: nothing is changed, and the leak is shown.")
    hover(stage, *fault(project, image, "closed"))
    press(stage.viewer, Qt.Key.Key_F)
    stage.shot("tool-fill", "Fill on a closed ring: one key, one step of undo.")
    stage.viewer.mouse_over_canvas = False
    click(page.tools.buttons["cut"])
    stage.shot("tool-armed", "A tool chosen by its button waits for the mouse and says what to do.")
    press(stage.viewer, Qt.Key.Key_Escape)
    press(stage.viewer, Qt.Key.Key_Period)
    stage.scroll(1)
    stage.shot("rules", "The fibre rules: places that cannot be right are ringed and counted; a key goes to the next.")
    stage.viewer.fit_to_view()


def look(stage, project: Project) -> None:
    """Overlays, the sheet of keys."""
    page = stage.window.page("review")
    for key, name, says in (
        (Qt.Key.Key_T, "overlay-translated", "T: the tile in the look of the source."),
        (Qt.Key.Key_Q, "overlay-unsure", "Q: where the model is unsure."),
        (Qt.Key.Key_V, "overlay-disagree", "V: where two models disagree."),
        (Qt.Key.Key_L, "overlay-before", "L: the labels of the model before; Tab flips."),
    ):
        press(stage.viewer, key)
        stage.wait()
        states.end_translations(project)
        stage.scroll(1)
        stage.shot(name, says)
    press(stage.viewer, Qt.Key.Key_G)
    stage.scroll(0)
    click(page.keys_button)
    stage.shot("keys", "? shows all keys; a click on one changes it.")
    page.keys.toggle_sheet()


# -- jobs, models, export ----------------------------------------------------------------------------------------------


def jobs(stage, project: Project) -> None:
    """A job that runs and one that failed, in the panel and in the Monitor."""
    window = stage.window
    failed = project.create_run("finetune", FineTuneConfig())
    why = "The memory was not enough: choose a smaller crop, batch or network, or free memory, and start it again"
    say(failed, "failed", message=why, error="Traceback …", started=time.time() - 30)
    run = states.translate(project, running=True)
    window.session.poll()
    click(window.step_bar.buttons["translate"])
    stage.wait()
    stage.scroll(1)
    stage.shot("jobs", "A job that runs and one that failed, below every page.")
    window.jobs.opened.emit(run.id)
    stage.wait(1500)
    stage.shot("monitor-curves", "The Monitor: curves, device and memory of a running job.")
    for number, name, says in (
        (1, "monitor-pictures", "The Monitor: what the translator makes by now."),
        (2, "monitor-log", "The Monitor: the log."),
    ):
        window.docks.monitor.tabs.setCurrentIndex(number)
        stage.shot(name, says)
    stage.viewer.window.remove_dock_widget(window.docks.monitor)
    say(run, "finished", message="done", step=600, total=600)
    window.session.poll()
    click(next(row for row in window.jobs.rows() if row.resume.isVisible()).dismiss)


def learn_and_export(stage, project: Project) -> None:
    """Models, their scores, a comparison; the result of an export."""
    window = stage.window
    base = next(run for run in reversed(project.runs("propose")))
    first = states.fine_tune(project, 0.79, 0.86, compared_with=base.id)
    window.session.poll()
    states.fine_tune(project, 0.86, 0.89, compared_with=first.id, in_use=first.id)
    window.session.poll()
    worse = {"verdict": "keep-aside", "reason": "0.84 after, 0.89 before, on 4 tiles held out: it is worse."}
    states.fine_tune(project, 0.89, 0.84, compared_with=first.id, **worse)
    window.session.poll()
    click(window.step_bar.buttons["learn"])
    stage.wait()
    stage.scroll(0.8)
    stage.shot("learn", "Learn: the score of every model on tiles it has not seen; a worse one is kept aside.")
    page = window.page("learn")
    page.second.setCurrentIndex(page.second.count() - 1)
    page.first.setCurrentIndex(page.first.findData(base.id))
    stage.scroll(1)
    click(page.compare_button)
    stage.shot("learn-compare", "Learn: two models on the open tile; Tab flips between them.")
    click(window.compare_bar.done_button)
    for item in window.session.running():
        states.rank(project, base, item.run)
    perform(project.create_run("export", ExportConfig(out=project.path / "export", formats=("ome-zarr", "png"))))
    window.session.poll()
    click(window.step_bar.buttons["export"])
    stage.shot("export", "Export: read back and compared, and how much of each image was reviewed.")


# -- trouble -----------------------------------------------------------------------------------------------------------


def trouble(stage, project: Project) -> None:
    """A full disk, and a second window."""
    window = stage.window
    click(window.step_bar.buttons["review"])
    stage.wait()
    with patch("os.pwrite", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
        press(stage.viewer, Qt.Key.Key_2)
        stroke(stage.viewer, stage.viewer.layers["labels"], 60, (50, 110))
        stage.wait(4000)
        stage.shot("disk-full", "The disk is full: painting goes on, and nothing is lost.")
    click(window.disk_banner.retry_button)
    stage.wait(1000)
    window.session.close_project()
    since = time.time() - 600
    holder = LockHolder(user="ada", host="lab-2", pid=4711, pid_started=0, since=since, program="napari window")
    (project.path / "edit.lock").write_text(holder.model_dump_json())
    window.open_project(project.path)
    stage.wait(2000)
    stage.shot("read-only", "The project is open in another window: this one only reads, and says who holds it.")
