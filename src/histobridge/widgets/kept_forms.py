"""Forms come back as they were left: what differs from the defaults is remembered for each project."""

from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from histobridge.core.config import Config
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.method_box import MethodBox
from histobridge.widgets.session import Session

NOT_KEPT = {"replace", "insist"}
"""Choices that are to be made each time, since they overwrite files or use what has failed its checks."""


class KeptForms(QObject):
    """Keeps the forms of the pages, but those of a `MethodBox`, which start from their preset.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self._forms: list[tuple[ConfigForm, Config]] = []
        self._restoring = False
        session.project_changed.connect(self._restore_all)

    def keep(self, page: QWidget) -> None:
        """Bring the forms of a new page to where they were, and keep them from now on."""
        for form in page.findChildren(ConfigForm):
            start = form.config()
            if start is None or any(form in other.nested.values() for other in page.findChildren(ConfigForm)):
                continue
            if any(form in box.findChildren(ConfigForm) for box in page.findChildren(MethodBox)):
                continue  # It is replaced by another one, and is no second form of the quick training.
            self._forms.append((form, start))
            self._restore(form, start)
            form.changed.connect(self._save)

    def _save(self) -> None:
        """Remember every form that is filled in rightly."""
        project = self._session.project
        if project is None or self._restoring:
            return
        kept = dict(self._session.remembered.place(project.path).get("forms", {}))
        for form, start in self._forms:
            config = form.config()
            if config is not None:
                kept[type(start).__name__] = _differing(config, start)
        self._session.remembered.stay(project.path, forms=kept)

    def _restore_all(self) -> None:
        for form, start in self._forms:
            self._restore(form, start)

    def _restore(self, form: ConfigForm, start: Config) -> None:
        project = self._session.project
        if project is None:
            return
        kept = self._session.remembered.place(project.path).get("forms", {}).get(type(start).__name__, {})
        self._restoring = True
        try:
            _fill(form, _revived(start, kept))
        finally:
            self._restoring = False


def _differing(config: Config, start: Config) -> dict[str, Any]:
    """Values that are not those a form starts with, as JSON."""
    before = start.model_dump(mode="json")
    after = config.model_dump(mode="json")
    return {name: value for name, value in after.items() if value != before[name] and name not in NOT_KEPT}


def _revived(start: Config, kept: dict[str, Any]) -> Config:
    """Make a config of remembered values; those that are no longer valid are left out."""
    config = start
    for name, value in kept.items():
        if name in NOT_KEPT:
            continue
        try:
            config = type(start).model_validate(config.model_dump() | {name: value})
        except ValidationError:
            continue
    return config


def _fill(form: ConfigForm, config: Config) -> None:
    """Put a config into a form and the forms within."""
    form.set(**{name: getattr(config, name) for name in form.editors})
    for name, inner in form.nested.items():
        _fill(inner, getattr(config, name))
