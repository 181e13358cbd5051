"""A translator is trained, stopped, gone on with and judged on its page, by clicks in a real viewer."""

from contextlib import suppress

import numpy as np
import pytest
from qtpy.QtCore import Qt
from window_fakes import FakeEngine

from histobridge.core.config import MatchConfig
from histobridge.core.files import write_json
from histobridge.core.matching import Matching
from histobridge.core.perform import CancelledError, performing
from histobridge.core.runs import RunState

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
def known(sample):
    """A finished matching with the looks of the sample."""
    run = sample.create_run("match", MatchConfig())
    looks = {}
    for domain in ("source", "target"):
        image = sample.images(domain)[0]
        values = np.quantile(sample.pixels(image.id).read((slice(0, 96), slice(0, 96))), np.linspace(0, 1, 257))
        looks[f"{domain}_look"] = tuple(float(value) for value in values / 127.5 - 1)
    um = sample.images("source")[0].pixel_size_um
    values = {"segmenter": "", "source_working_um": um, "target_working_um": um, "object_diameter_px": 20}
    values |= {"scale_from": "number", "polarity_from": "user", "certainty": 1, "certain": True, "invert": True}
    values |= {"polarity_score": {}, "polarity_by_image": {}, "score": "enclosure", "images": ()}
    write_json(run.path / "matching.json", Matching(run=run.id, **values, **looks).model_dump(mode="json"))
    run.write_state(RunState(status="finished"))


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
    assert all(name in shown.losses.toolTip() for name in ("generator", "discriminator", "cycle"))
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
    assert shown.verdict.text() == ""

    press(shown.resume_button)
    engine.work()
    window.session.poll()
    assert [step for step in engine.steps if step][:2] == [13, 14]
    assert engine.steps[-1] == STEPS
    assert shown.progress.text() == f"Trained: step {STEPS} of {STEPS}."
    assert shown.verdict.text().split(".")[0] in ("Good", "Doubtful", "Failed")
    assert shown.tiling.text().startswith("Tiles join: the step across their borders is")
