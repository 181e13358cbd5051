"""Forms come back as they were left, for each project."""

import pytest
from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.core.config import ExportConfig, ProposeConfig, TrainSegmenterConfig, TrainTranslatorConfig
from histobridge.core.project import Project
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.kept_forms import KeptForms
from histobridge.widgets.method_box import MethodBox
from histobridge.widgets.session import Session


@pytest.fixture
def projects(tmp_path):
    return [Project.create(tmp_path / name) for name in ("one", "two")]


@pytest.fixture
def open_page(projects, engine, qtbot):
    """A session with one project open, and the form of a page in it."""
    sessions, alive = [], []

    def make(config):
        session = Session(engine)
        sessions.append(session)
        session.open(projects[0])
        page, form = QWidget(), ConfigForm(config)
        QVBoxLayout(page).addWidget(form)
        qtbot.addWidget(page)
        kept = KeptForms(session)
        kept.keep(page)
        alive.append((page, kept))
        return session, form

    yield make
    for session in sessions:
        session.close()


def test_each_project_has_its_own_values_and_both_survive_the_window(open_page, projects):
    session, form = open_page(ExportConfig())
    form.editors["out"].set("masks")
    form.changed.emit()
    session.open(projects[1])
    assert form.config().out == ExportConfig().out
    session.open(projects[0])
    assert str(form.config().out) == "masks"
    session.close_project()
    _, again = open_page(ExportConfig())
    assert str(again.config().out) == "masks"


def test_the_form_of_a_method_is_no_second_form_of_the_quick_training(open_page, projects, qtbot):
    """Both are of one config: the second overwrote what was remembered of the first, and died with every change."""
    session, form = open_page(TrainTranslatorConfig())
    page, box = form.parentWidget(), MethodBox()
    page.layout().addWidget(box)
    kept = KeptForms(session)
    kept.keep(page)
    form.editors["steps"].set(1234)
    form.changed.emit()
    box.method.setCurrentIndex(1)
    qtbot.wait(1)
    form.editors["steps"].set(1235)
    form.changed.emit()
    remembered = session.remembered.place(projects[0].path)["forms"]
    assert remembered["TrainTranslatorConfig"] == {"steps": 1235}
    session.open(projects[1])
    assert form.config().steps == TrainTranslatorConfig().steps


def test_insisting_is_not_remembered(open_page, projects):
    session, form = open_page(ProposeConfig())
    form.editors["insist"].set(True)
    form.changed.emit()
    assert session.remembered.place(projects[0].path)["forms"]["ProposeConfig"] == {}


def test_overwriting_is_asked_for_each_time_and_what_is_no_longer_valid_left_out(open_page, projects):
    session, form = open_page(ExportConfig())
    form.editors["replace"].set(True)
    form.changed.emit()
    session.close_project()
    session.remembered.stay(projects[0].path, forms={"ExportConfig": {"formats": ["papyrus"], "out": "masks"}})
    session.open(projects[0])
    assert form.config() == ExportConfig(out="masks")


def test_forms_within_forms_are_kept_too(open_page):
    session, form = open_page(TrainSegmenterConfig())
    inner = form.nested["training"]
    inner.editors["steps"].set(77)
    inner.changed.emit()
    session.close_project()
    _, again = open_page(TrainSegmenterConfig())
    assert again.config().training.steps == 77
