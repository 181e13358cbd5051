"""A translator is trained or imported, stopped, gone on with and judged on its page, by clicks."""

from contextlib import suppress

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel
from safetensors.torch import save_file
from window_fakes import FakeEngine

from histobridge.core.config import MatchConfig
from histobridge.core.errors import InputError
from histobridge.core.files import write_json
from histobridge.core.perform import CancelledError, performing
from histobridge.core.runs import RunState
from histobridge.core.translate.resnet import build_resnet
from histobridge.widgets.labels_page import LabelsPage
from histobridge.widgets.session import Session
from histobridge.widgets.translate_page import TranslatePage

STEPS = 24


class SteppedEngine(FakeEngine):
    """Really performs runs, in this process, as many steps at a time as it is told."""

    def __init__(self):
        super().__init__()
        self._job = None
        self.steps = []

    def submit(self, run):
        super().submit(run)
        self._job, self.steps = performing(run), []

    def work(self, until=None):
        """Go on to a step, or to the end; returns whether there is more to do."""
        with suppress(CancelledError):
            for progress in self._job:
                self.steps.append(progress.step)
                if progress.step == until:
                    return True
        return False


@pytest.fixture
def engine():
    return SteppedEngine()


@pytest.fixture
def known(sample, known_matching):
    """A finished matching with the looks of the sample."""
    run = sample.create_run("match", MatchConfig())
    looks = []
    for domain in ("source", "target"):
        image = sample.images(domain)[0]
        values = np.quantile(sample.pixels(image.id).read((slice(0, 96), slice(0, 96))), np.linspace(0, 1, 257))
        looks.append(values / 127.5 - 1)
    um = sample.images("source")[0].pixel_size_um
    matching = known_matching(*looks, run=run.id, source_working_um=um, target_working_um=um)
    write_json(run.path / "matching.json", matching.model_dump(mode="json"))
    run.write_state(RunState(status="finished"))


def every_measure_is_told(verdict, page):
    """Those that decide at once, the others when they are asked for."""
    measured = verdict.measured.text().splitlines()
    assert {line.split(":")[0] for line in measured} >= {"Look, source to target", "Dark and bright, target to source"}
    assert {line.rsplit(": ", 1)[1] for line in measured} <= {"good", "doubtful", "failed"}
    assert not verdict.numbers.isVisibleTo(page)
    verdict.more.unfold()
    assert "There and back, source to target: SSIM" in verdict.numbers.text()
    assert verdict.numbers.isVisibleTo(page)


def test_a_translator_is_watched_stopped_resumed_and_judged_on_its_page(make_window, sample, known, engine, qtbot):
    _, window = make_window(sample, show=True)
    window.go("translate")
    page = window.page("translate")
    shown = page.result
    page.form.set(steps=STEPS, crop_px=32, channels=2, blocks=1, keep_best=False, device="cpu")

    def press(button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        window.session.poll()

    press(page.start_button)
    more = engine.work(until=12)
    window.session.poll()
    assert more
    assert shown.progress.text().startswith("Training: step")
    assert all(picture.shows_something for picture in shown.triptych.pictures.values())
    assert shown.triptych.told.text() == "Tile 1 of 4"
    press(shown.triptych.next_button)
    assert shown.triptych.told.text() == "Tile 2 of 4"
    assert all(name in shown.losses.toolTip() for name in ("generator", "discriminator", "contrast"))
    assert shown.trust.text().startswith("trust is no loss")
    assert all(name in shown.on_tiles.toolTip() for name in ("source back", "target back", "to source", "to target"))

    press(shown.stop_button)
    assert shown.progress.text().startswith("Stopping at")
    assert not engine.work()
    window.session.poll()
    run = window.session.newest("train-translator").run
    assert (run.path / "checkpoint.safetensors").exists()
    assert [event["step"] for event in run.events() if event["kind"] == "checkpoint"] == [12]
    assert shown.progress.text() == f"Stopped at step 12 of {STEPS}. Resume goes on from the last checkpoint."
    assert not shown.stop_button.isVisible()
    assert shown.verdict.words.text() == ""

    press(shown.resume_button)
    engine.work()
    window.session.poll()
    assert [step for step in engine.steps if step][:2] == [13, 14]
    assert engine.steps[-1] == STEPS
    assert shown.progress.text() == f"Trained: step {STEPS} of {STEPS}."
    assert shown.verdict.words.text().split(".")[0] in ("Good", "Doubtful", "Failed")
    every_measure_is_told(shown.verdict, page)
    assert shown.verdict.tiling.text().startswith("Tiles join, source to target: seams ")
    evidence = shown.verdict.evidence
    assert evidence.isVisibleTo(page)
    assert evidence.pictures["tiles"].shows_something
    assert not evidence.captions["structures"].isVisibleTo(page)  # no segmenter has looked at it


@pytest.fixture
def session(sample, known, engine):
    """The project open, without a window."""
    opened = Session(engine)
    opened.open(sample)
    yield opened
    opened.close()


@pytest.fixture
def page(session, qtbot):
    """The page Translate, without a viewer."""
    gone = []
    made = TranslatePage(session, None, lambda name, **values: gone.append((name, values)))
    qtbot.addWidget(made)
    made.gone = gone
    made.show()
    made.refresh()
    return made


def generator(path, channels=2):
    save_file(build_resnet(channels, 1).state_dict(), path)
    return path


def test_generators_are_imported_on_the_page_and_offered_for_labels(page, session, engine, tmp_path, qtbot):
    box = page.elsewhere
    assert not box.form.isVisibleTo(page)
    box.unfold()
    box.form.set(
        source_to_target=generator(tmp_path / "there.safetensors"),
        target_to_source=generator(tmp_path / "back.safetensors"),
        tile_px=64,
        sweeps=1,
        device="cpu",
    )
    box.import_button.click()
    assert not box.import_button.isEnabled()
    engine.work()
    session.poll()
    run = session.newest("import-translator").run
    assert box.told.text().startswith("Imported: source to target and target to source.")
    assert box.verdict.words.text() == run.state().result["verdict"]
    assert box.verdict.tiling.text().startswith("Tiles join")
    assert box.import_button.isEnabled()
    labels = LabelsPage(session, None, lambda name: None)
    qtbot.addWidget(labels)
    labels.refresh()
    assert labels.translator.findData(run.id) >= 0
    assert labels.translator.itemText(labels.translator.findData(run.id)).startswith("Imported")


def test_what_cannot_be_imported_is_told_where_it_was_typed_in(page, session, engine, tmp_path):
    box = page.elsewhere
    box.unfold()
    box.import_button.click()
    assert "Choose the file of one generator" in box.trouble.text()
    for name, told in (("gone.safetensors", "there is no such file"), ("old.pth", "safetensors.torch.save_file")):
        box.form.set(source_to_target=tmp_path / name)
        box.import_button.click()
        assert told in _shown(box.form)
        assert f"found '{tmp_path / name}'" in _shown(box.form)
    assert engine.submitted == []


def test_an_import_that_failed_says_why_and_what_to_do(page, session, engine, tmp_path):
    box = page.elsewhere
    (tmp_path / "text.safetensors").write_text("no weights")
    box.form.set(target_to_source=tmp_path / "text.safetensors")
    box.import_button.click()
    with pytest.raises(InputError):
        engine.work()
    session.poll()
    assert "expected a safetensors file of a residual generator" in box.trouble.text()
    assert not box.verdict.use_button.isVisibleTo(page)
    box.form.set(target_to_source=generator(tmp_path / "good.safetensors"))
    box.import_button.click()
    assert box.trouble.text() == ""
    engine.work()
    session.poll()
    assert "Imported: target to source. It is in the list" in box.told.text()
    assert "It translates images of the target alone" in box.verdict.words.text()
    assert box.verdict.tiling.text().startswith("Tiles join, target to source")
    box.verdict.use_button.click()
    assert page.gone == [("labels", {"translator": session.newest("import-translator").run.id})]


def _shown(form):
    return " ".join(label.text() for label in form.findChildren(QLabel) if label.isVisibleTo(form))
