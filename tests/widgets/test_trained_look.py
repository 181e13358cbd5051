"""The overlay of the translated image: the instant look first, the trained one as soon as a job has made it."""

import numpy as np
import pytest
from window_fakes import say, submitted

from histobridge.core.config import TrainTranslatorConfig, TranslateImageConfig
from histobridge.core.files import write_json
from histobridge.core.matching import load_matching
from histobridge.core.tile_views import Translated, translated_tile
from histobridge.core.translations import begin_translation, card_of
from histobridge.widgets.session import Session
from histobridge.widgets.trained_look import TrainedLook

INSTANT_LOOK = "Seen now: the instant look; the trained one"


@pytest.fixture
def trained(sample, matched, ended):
    """The run of a translator between matched domains."""
    values = {
        **{"run": matched.id, "segmenter": "s", "object_diameter_px": 20.0, "polarity_score": {}, "images": []},
        **{"source_working_um": 0.1, "target_working_um": 2 * sample.images("target")[0].pixel_size_um},
        **{"scale_from": "estimate", "invert": True, "polarity_from": "estimate", "score": "entropy"},
        **{"polarity_by_image": {}, "certainty": 0.9, "certain": True},
        **{f"{side}_look": np.linspace(-1, 1, 257).tolist() for side in ("source", "target")},
    }
    write_json(matched.path / "matching.json", values)
    return ended("train-translator", TrainTranslatorConfig(method="cut"))


def make(project, run, value=255):
    """Do what the job of a run would do: one grey value all over."""
    config = run.config
    card = card_of(project, config["image"], config["translator"], load_matching(project, config["matching"]))
    begin_translation(run.path, card)[:] = np.full(card.shape, value, np.uint8)


def test_the_trained_look_takes_the_place_of_the_instant_one(make_window, sample, trained, engine, qtbot):
    viewer, window = make_window(sample)
    window.go("review", domain="target")
    page = window.page("review")
    bar, place = page.overlays, page.desk.place
    bar.press("translated")
    qtbot.waitUntil(lambda: bar.says.text() == f"{INSTANT_LOOK} is being made.")
    instant = viewer.layers["translated"].data
    assert instant.shape == (48, 48)
    assert [verb for verb, _ in submitted(window, engine)] == ["translate-image"]
    run = window.session.newest("translate-image").run
    assert (run.config["image"], run.config["translator"]) == (place.image, trained.id)
    for _ in range(2):
        bar.press("translated")
    qtbot.waitUntil(lambda: INSTANT_LOOK in bar.says.text())
    say(run, "running", step=0, total=1)
    window.session.poll()
    assert len(engine.submitted) == 1
    make(sample, run)
    say(run, "finished")
    window.session.poll()
    qtbot.waitUntil(lambda: bar.says.text() == "Seen now: the translated image (CUT, trained).")
    assert (viewer.layers["translated"].data == 1).all()
    assert viewer.layers["translated"].data.shape == instant.shape
    page.step(1)
    qtbot.waitUntil(lambda: bar.says.text() == f"{INSTANT_LOOK} is being made.")
    assert len(engine.submitted) == 2
    say(window.session.newest("translate-image").run, "failed", message="the translator fits another matching.")
    window.session.poll()
    qtbot.waitUntil(lambda: "could not be made: the translator fits another matching." in bar.says.text())
    assert not (viewer.layers["translated"].data == 1).all()


@pytest.fixture
def session(sample, engine, qapp):
    session = Session(engine)
    session.open(sample)
    yield session
    session.close()


@pytest.fixture
def tile(sample, trained, session):
    """Look at the tile of one of the two target images."""

    def read(number) -> Translated:
        record = sample.images("target")[number]
        return translated_tile(sample, record.id, tuple(slice(0, size) for size in record.shape), trained.id)

    session.poll()
    return read


def test_one_job_is_asked_for_at_a_time(tile, session, engine):
    look, moves = TrainedLook(session), []
    look.moved.connect(lambda: moves.append(1))
    assert look.words(tile(0)) == f"{INSTANT_LOOK} is being made."
    assert look.words(tile(1)) == f"{INSTANT_LOOK} is made next."
    first = session.newest("translate-image").run
    say(first, "cancelled")
    moves.clear()
    session.poll()
    assert moves
    assert look.words(tile(1)) == f"{INSTANT_LOOK} is being made."
    assert "was stopped; Resume" in look.words(tile(0))
    say(session.newest("translate-image").run, "failed", message="memory is short.")
    session.poll()
    assert look.words(tile(1)) == f"{INSTANT_LOOK} could not be made: memory is short."
    assert len(engine.submitted) == 2


def test_a_job_that_runs_already_is_not_asked_for_again(tile, session, sample, engine):
    asked = tile(0).missing
    run = sample.create_run("translate-image", TranslateImageConfig(**asked.model_dump() | {"window": (4, 4, 8, 8)}))
    say(run, "running")
    session.poll()
    assert TrainedLook(session).words(tile(0)) == f"{INSTANT_LOOK} is being made."
    assert not engine.submitted


def test_why_a_trained_translator_is_not_in_use_is_said(tile, session, trained):
    write_json(trained.path / "quality.json", {"ways": {}, "verdict": "failed", "reasons": ["It invents fibres."]})
    assert (
        TrainedLook(session).words(tile(0)) == "Seen now: the instant look. The trained translator failed its checks."
    )


def test_the_translator_chosen_by_hand_is_in_use_else_the_newest(tile, session, trained, ended):
    look = TrainedLook(session)
    newest = ended("train-translator", TrainTranslatorConfig())
    session.poll()
    assert look.in_use() == newest.id
    session.edit(lambda project: project.pin("translator", trained.id))
    assert look.in_use() == trained.id


def test_where_no_job_can_be_made_the_reason_is_said(tile, session, sample, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(sample, "create_run", full)
    said = []
    session.trouble.connect(said.append)
    assert TrainedLook(session).words(tile(0)) == "Seen now: the instant look; the trained one cannot be made now."
    assert said == ["The job could not be started: OSError: No space left on device"]
