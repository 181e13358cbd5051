"""Config -> form: names, defaults, bounds and tooltips come from the config alone."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QLabel, QToolButton, QVBoxLayout, QWidget

from histobridge.core.base_config import described
from histobridge.core.config import Config
from histobridge.widgets.form_editors import Editor, editor_for, is_config
from histobridge.widgets.page import ERROR_STYLE, Note

C = TypeVar("C", bound=Config)
UNITS = {"_um": " (µm)", "_px": " (px)"}


def label_of(name: str) -> str:
    """Turn ``pixel_size_um`` into ``Pixel size (µm)``."""
    for ending, unit in UNITS.items():
        if name.endswith(ending):
            name = name.removesuffix(ending) + unit
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def sentence_of(problem: Any) -> str:
    """Say what is wrong with one field, in words."""
    context = problem.get("ctx", {})
    given = str(problem["input"]) if isinstance(problem["input"], Path) else problem["input"]
    found = f"; found {given!r}" if not isinstance(given, dict) else ""
    by_kind = {
        "float_parsing": "expected a number, such as 0.5 or 1e-4",
        "float_type": "expected a number, such as 0.5 or 1e-4",
        "int_parsing": "expected a whole number",
        "int_from_float": "expected a whole number",
        "finite_number": "expected a finite number",
        "greater_than": "must be greater than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "multiple_of": "must be a multiple of {multiple_of}",
    }
    kind = problem["type"]
    told = problem["msg"].removeprefix("Value error, ")
    return (by_kind[kind].format(**context) if kind in by_kind else told) + found


class Fold(QWidget):
    """A group that opens and closes with a click on its name."""

    def __init__(self, text: str, inside: QWidget):
        super().__init__()
        self._inside = inside
        self.toggle = QToolButton()
        self.toggle.setText(text)
        self.toggle.setCheckable(True)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle.setStyleSheet("QToolButton { border: none; }")
        self.toggle.toggled.connect(self._fold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.toggle)
        inside.setContentsMargins(10, 0, 0, 0)
        layout.addWidget(inside)
        self._fold(False)

    def _fold(self, opened: bool) -> None:
        self.toggle.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self._inside.setVisible(opened)

    def unfold(self) -> None:
        """Show what is inside."""
        self.toggle.setChecked(True)


class ConfigForm(QWidget):
    """Edit one config.

    Parameters
    ----------
    config : Config
        Where the editors start.
    main : tuple of str
        Fields shown at once, in this order; the others lie under "More". Empty: all are shown at once.
    hidden : tuple of str
        Fields that keep the value of `config`.
    labels : dict of str to str, optional
        What to call fields whose name says too little.
    """

    changed = Signal()

    def __init__(
        self,
        config: Config,
        main: tuple[str, ...] = (),
        hidden: tuple[str, ...] = (),
        labels: dict[str, str] | None = None,
    ):
        super().__init__()
        self._labels = labels or {}
        self._start = config
        self.editors: dict[str, Editor] = {}
        self.nested: dict[str, ConfigForm] = {}
        self._errors: dict[str, Note] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self._general = Note(style=ERROR_STYLE)
        layout.addWidget(self._general)
        fields = {name: field for name, field in type(config).model_fields.items() if name not in hidden}
        first = main or tuple(fields)
        for name in first:
            self._add(layout, name, fields[name])
        rest = {name: field for name, field in fields.items() if name not in first}
        self.more: Fold | None = None
        if rest:
            inside = QWidget()
            below = QVBoxLayout(inside)
            below.setSpacing(3)
            for name, field in rest.items():
                self._add(below, name, field)
            self.more = Fold("More", inside)
            layout.addWidget(self.more)

    def _add(self, layout: QVBoxLayout, name: str, field: FieldInfo) -> None:
        value, meaning = getattr(self._start, name), described(type(self._start)).get(name, "")
        if is_config(field):
            form = ConfigForm(value)
            form.changed.connect(self._check)
            self.nested[name] = form
            fold = Fold(label_of(name), form)
            fold.toggle.setToolTip(meaning)
            layout.addWidget(fold)
            return
        editor = editor_for(field, value)
        editor.changed.connect(self._check)
        called = self._labels.get(name) or label_of(name)
        text = QLabel(called)
        text.setBuddy(editor)
        for widget in (text, editor, *editor.findChildren(QWidget)):
            widget.setToolTip(f"<qt>{meaning}</qt>")
            widget.setAccessibleName(called)
        for widget in editor.findChildren(QWidget):
            widget.installEventFilter(self)
        error = Note(style=ERROR_STYLE)
        if not editor.own_label:
            layout.addWidget(text)
        else:
            editor.set_label(called)
        layout.addWidget(editor)
        layout.addWidget(error)
        self.editors[name], self._errors[name] = editor, error

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the wheel scroll the page, not change a number under the mouse."""
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def _check(self) -> None:
        self.config()
        self.changed.emit()

    def config(self) -> Any:
        """Return the config as edited, or none after showing what is wrong beside each field."""
        for note in (*self._errors.values(), self._general):
            note.say("")
        values = {name: getattr(self._start, name) for name in type(self._start).model_fields}
        values |= {name: editor.value() for name, editor in self.editors.items()}
        inner = {name: form.config() for name, form in self.nested.items()}
        if None in inner.values():
            self._reveal()
            return None
        try:
            return type(self._start).model_validate(values | inner)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else ""
                self._errors.get(name, self._general).say(sentence_of(problem))
            self._reveal()
            return None

    def _reveal(self) -> None:
        """Open "More" if something wrong hides in it."""
        wrong = any(note.text() and not note.isVisibleTo(self) for note in self._errors.values())
        if self.more is not None and (wrong or any(form.config() is None for form in self.nested.values())):
            self.more.unfold()

    def set(self, **values: Any) -> None:
        """Put values into editors."""
        for name, value in values.items():
            self.editors[name].set(value)
