"""One editor a kind of field; `value` gives what pydantic shall validate."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from histobridge.core.config import Config

LARGEST = 2**31 - 1
RADIOS = 3


class Editor(QWidget):
    """Base of the editors."""

    changed = Signal()
    own_label = False

    def value(self) -> Any:
        """Return what stands in the editor, for pydantic to judge."""
        raise NotImplementedError

    def set(self, value: Any) -> None:
        """Show `value`."""
        raise NotImplementedError

    def set_label(self, text: str) -> None:
        """Show the field's name, for editors that hold their own label."""


class CheckEditor(Editor):
    """Yes or no."""

    own_label = True

    def __init__(self, value: bool):
        super().__init__()
        self.box = QCheckBox()
        _fill(self, self.box)
        self.set(value)
        self.box.toggled.connect(self.changed)

    def value(self) -> bool:
        return self.box.isChecked()

    def set(self, value: bool) -> None:
        self.box.setChecked(value)

    def set_label(self, text: str) -> None:
        self.box.setText(text)


class ChoiceEditor(Editor):
    """One of a few: radio buttons up to three, a list beyond."""

    def __init__(self, choices: Sequence[str], value: str):
        super().__init__()
        self.radios: dict[str, QRadioButton] = {}
        self.combo: QComboBox | None = None
        if len(choices) <= RADIOS:
            group = QButtonGroup(self)
            self.radios = {choice: QRadioButton(choice) for choice in choices}
            for radio in self.radios.values():
                group.addButton(radio)
                radio.toggled.connect(lambda on: on and self.changed.emit())
            _fill(self, *self.radios.values(), stretch=True)
        else:
            self.combo = QComboBox()
            self.combo.addItems(list(choices))
            self.combo.currentTextChanged.connect(self.changed)
            _fill(self, self.combo)
        self.set(value)

    def value(self) -> str:
        if self.combo is not None:
            return self.combo.currentText()
        return next(choice for choice, radio in self.radios.items() if radio.isChecked())

    def set(self, value: str) -> None:
        if self.combo is not None:
            self.combo.setCurrentText(value)
        else:
            self.radios[value].setChecked(True)


class SeveralEditor(Editor):
    """Any of a few: check boxes."""

    def __init__(self, choices: Sequence[str], value: Sequence[str]):
        super().__init__()
        self.boxes = {choice: QCheckBox(choice) for choice in choices}
        for box in self.boxes.values():
            box.toggled.connect(self.changed)
        _fill(self, *self.boxes.values(), vertical=True)
        self.set(value)

    def describe(self, words: Mapping[str, str]) -> None:
        """Say in a few words what choices are."""
        for choice, text in words.items():
            self.boxes[choice].setText(text)
            self.boxes[choice].setAccessibleName(text)

    def value(self) -> tuple[str, ...]:
        return tuple(choice for choice, box in self.boxes.items() if box.isChecked())

    def set(self, value: Sequence[str]) -> None:
        for choice, box in self.boxes.items():
            box.setChecked(choice in value)


class CountEditor(Editor):
    """A whole number; its bounds are the config's, never Qt's 0 to 99."""

    def __init__(self, field: FieldInfo, value: int):
        super().__init__()
        bounds = {
            name: getattr(item, name)
            for item in field.metadata
            for name in ("gt", "ge", "lt", "le", "multiple_of")
            if getattr(item, name, None) is not None
        }
        self.box = QSpinBox()
        low = bounds.get("ge", bounds.get("gt", -LARGEST - 1) + 1)
        high = bounds.get("le", bounds.get("lt", LARGEST + 1) - 1)
        self.box.setRange(max(low, -LARGEST - 1), min(high, LARGEST))
        self.box.setSingleStep(bounds.get("multiple_of", 1))
        self.box.setKeyboardTracking(False)
        _fill(self, self.box)
        self.set(value)
        self.box.valueChanged.connect(self.changed)

    def value(self) -> int:
        return self.box.value()

    def set(self, value: int) -> None:
        self.box.setValue(value)


class TextEditor(Editor):
    """A line of text; numbers keep the digits they came with until they are edited."""

    def __init__(self, value: Any, placeholder: str = ""):
        super().__init__()
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self._fill()
        self.set(value)
        self.line.editingFinished.connect(self.changed)

    def _fill(self) -> None:
        _fill(self, self.line)

    def value(self) -> Any:
        text = self.line.text().strip()
        return self._value if text == self._shown else self.parse(text)

    def set(self, value: Any) -> None:
        self._value, self._shown = value, self.show_value(value)
        self.line.setText(self._shown)
        self.line.setCursorPosition(0)

    def parse(self, text: str) -> Any:
        """Turn text into what pydantic reads."""
        return text

    def show_value(self, value: Any) -> str:
        """Turn a value into text."""
        return str(value)


class FloatEditor(TextEditor):
    """A number as text, so that 1e-4 stays 1e-4; empty where the config has its own idea."""

    def __init__(self, value: float | None, *, optional: bool):
        self._optional = optional
        super().__init__(value, "automatic" if optional else "")

    def parse(self, text: str) -> Any:
        return None if not text and self._optional else text.replace(",", ".")

    def show_value(self, value: float | None) -> str:
        return "" if value is None or not math.isfinite(value) else f"{value:g}"


class ListEditor(TextEditor):
    """Several texts, numbers or files, parted by a sign."""

    def __init__(self, value: Sequence[Any], sign: str = ","):
        self._sign = sign
        super().__init__(value, f"several are parted by {sign}")

    def parse(self, text: str) -> list[str]:
        return [part.strip() for part in text.split(self._sign) if part.strip()]

    def show_value(self, value: Sequence[Any]) -> str:
        return f"{self._sign} ".join(map(str, value))


class PairsEditor(TextEditor):
    """Numbers assigned to numbers, such as ``127=1, 255=2``."""

    def __init__(self, value: dict[int, int]):
        super().__init__(value, "such as 127=1, 255=2")

    def parse(self, text: str) -> Any:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {pair[0].strip(): pair[-1].strip() if len(pair) == 2 else "" for pair in pairs}

    def show_value(self, value: dict[int, int]) -> str:
        return ", ".join(f"{key}={item}" for key, item in value.items())


class PathEditor(TextEditor):
    """A folder, typed or chosen; a file where the kinds of file are given, in Qt's words."""

    def __init__(self, value: Path, files: str = ""):
        self._files = files
        super().__init__(value, "no file yet" if files else "")

    def _fill(self) -> None:
        self.browse = QPushButton("Browse…")
        self.browse.clicked.connect(self._ask)
        _fill(self, self.line, self.browse)

    def _ask(self) -> None:
        if self._files:
            name, _ = QFileDialog.getOpenFileName(self, "Choose a file", self.line.text(), self._files)
        else:
            name = QFileDialog.getExistingDirectory(self, "Choose a folder", self.line.text())
        if name:
            self.line.setText(name)
            self.changed.emit()

    def show_value(self, value: Path) -> str:
        return "" if value == Path() else str(value)


def is_config(field: FieldInfo) -> bool:
    """Whether a field holds a config of its own."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, Config)


def editor_for(field: FieldInfo, value: Any) -> Editor:
    """Make the editor that fits a field's type."""
    kind: Any = field.annotation
    optional = get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)
    if optional:
        kind = next(part for part in get_args(kind) if part is not type(None))
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ChoiceEditor(inside, value)
    if origin is tuple:
        if get_origin(inside[0]) is Literal:
            return SeveralEditor(get_args(inside[0]), value)
        return ListEditor(value, ";" if inside[0] is Path else ",")
    if origin is dict:
        return PairsEditor(value)
    if kind is bool:
        return CheckEditor(value)
    if kind is int and not optional:
        return CountEditor(field, value)
    if kind in (float, int):
        return FloatEditor(value, optional=optional)
    if kind is Path:
        extra = field.json_schema_extra
        return PathEditor(value, str(extra["files"]) if isinstance(extra, dict) and "files" in extra else "")
    return TextEditor(value)


def _fill(editor: Editor, *widgets: QWidget, vertical: bool = False, stretch: bool = False) -> None:
    layout = QVBoxLayout(editor) if vertical else QHBoxLayout(editor)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    if stretch:
        layout.addStretch(1)
