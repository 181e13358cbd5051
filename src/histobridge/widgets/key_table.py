"""The one table of keys of the Review page: what each does, which the user has changed, which cannot be taken."""

from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent, QKeySequence

from histobridge.widgets.remembered import Remembered

Kind = Literal["press", "hold", "window"]
"""Pressed, held, or heard by the whole window (what Qt would take before any layer hears of it)."""

CLASS_KEYS = "123456789"
FIXED = {**dict.fromkeys(CLASS_KEYS, "a class"), "Escape": "leave the tool"}
SYMBOLS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0[];',./=\\`")
NAMED = {"Space", "Tab", "Enter", "Delete", "Backspace", "Insert", "Home", "End", "PageUp", "PageDown"}
NAMED |= {f"F{number}" for number in range(1, 13)}
QT_NAMES = {
    "Esc": "Escape",
    "Return": "Enter",
    "Del": "Delete",
    "Ins": "Insert",
    "PgUp": "PageUp",
    "PgDown": "PageDown",
}
MODIFIERS = (
    (Qt.KeyboardModifier.ControlModifier, "Control"),
    (Qt.KeyboardModifier.AltModifier, "Alt"),
    (Qt.KeyboardModifier.ShiftModifier, "Shift"),
)
ALONE = {Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr, Qt.Key.Key_CapsLock}


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the table; `key` is the one before the user changes it."""

    action: str
    key: str
    words: str
    group: str
    kind: Kind = "press"


KEYS = (
    Key("accept", "A", "accept the tile and go on", "Tile"),
    Key("skip", "X", "skip the tile", "Tile"),
    Key("next", "N", "next tile", "Tile"),
    Key("back", "B", "back", "Tile"),
    Key("centre", "J", "whole fibre: move the window to the mouse, and back", "Tile"),
    Key("undo", "Control-Z", "undo", "Tile"),
    Key("redo", "Control-Shift-Z", "redo", "Tile"),
    Key("sheet", "?", "show or close these keys", "Tile", "window"),
    Key("ignore", "I", "ignore: paint what shall not be learned", "Paint"),
    Key("smaller", "[", "smaller brush", "Paint"),
    Key("larger", "]", "larger brush", "Paint"),
    Key("erase", "E", "hold: eraser", "Paint", "hold"),
    Key("pan", "Space", "hold: move the picture", "Paint", "hold"),
    Key("fill", "F", "fill the axon under the mouse", "Tools"),
    Key("ring", "R", "close the ring under the mouse", "Tools"),
    Key("sheath", "S", "grow a sheath around the axon", "Tools"),
    Key("cut", "C", "cut touching fibres: draw a line", "Tools"),
    Key("merge", "M", "merge: click two parts of one fibre", "Tools"),
    Key("delete", "D", "delete the fibre under the mouse", "Tools"),
    Key("own", "O", "give a sheath to an axon: click both", "Tools"),
    Key("smooth", "K", "smooth the object under the mouse", "Tools"),
    Key("yes", "Y", "accept the object under the mouse", "Tools"),
    Key("snap", "W", "draw along an edge, the line snaps to it", "Tools"),
    Key("axon_thin", ",", "axon one pixel thinner", "Outlines"),
    Key("axon_thick", "/", "axon one pixel thicker", "Outlines"),
    Key("sheath_thin", ";", "sheath one pixel thinner", "Outlines"),
    Key("sheath_thick", "'", "sheath one pixel thicker", "Outlines"),
    Key("edges", "=", "snap the outlines to the edges", "Outlines"),
    Key("hide", "H", "hold: hide the labels", "Look", "hold"),
    Key("flip", "Tab", "flip between the image and what lies over it", "Look", "window"),
    Key("plain", "G", "the image alone, nothing over it", "Look"),
    Key("translated", "T", "the translated image", "Look"),
    Key("confidence", "Q", "where the model is unsure", "Look"),
    Key("disagreement", "V", "where two models disagree", "Look"),
    Key("previous", "L", "labels of the model before", "Look"),
    Key("violation", ".", "next place that breaks a rule", "Look"),
    Key("outline", "U", "dark outline, outline only, none", "Look"),
)
BY_ACTION = {key.action: key for key in KEYS}


class KeyTable:
    """The keys as they are now.

    Parameters
    ----------
    remembered : Remembered
        Holds what the user has changed.
    """

    def __init__(self, remembered: Remembered):
        self._remembered = remembered

    def key(self, action: str) -> str:
        """Which key does it, such as ``Control-Z``."""
        return self._remembered.keys.get(action, BY_ACTION[action].key)

    def change(self, action: str, key: str) -> str:
        """Take another key; returns why not, or nothing."""
        if key in FIXED:
            return f"{shown(key)} stays as it is: {FIXED[key]}."
        last = key.rsplit("-", 1)[-1]
        if last not in SYMBOLS | NAMED and BY_ACTION[action].kind != "window":
            return f"{shown(key)} cannot be used here. Take a letter, a function key or one of [ ] ; , . / ="
        taken = next((other for other in KEYS if other.action != action and self.key(other.action) == key), None)
        if taken is not None:
            return f"{shown(key)} is taken: {taken.words}. Give that another key first."
        changed = {**self._remembered.keys, action: key}
        self._remembered.keep_keys({name: each for name, each in changed.items() if each != BY_ACTION[name].key})
        return ""

    def reset(self) -> None:
        """Take all keys back to what they were at first."""
        self._remembered.keep_keys({})

    @property
    def changed(self) -> bool:
        """Whether any key is not what it was at first."""
        return bool(self._remembered.keys)


def shown(key: str) -> str:
    """Write a key as it stands on keyboards and in menus."""
    return key.replace("Control-", "Ctrl+").replace("Alt-", "Alt+").replace("Shift-", "Shift+")


def sequences(key: str) -> list[QKeySequence]:
    """Return the key as Qt knows it; a character that takes Shift to type comes with and without."""
    names = {name: qt for qt, name in QT_NAMES.items()}
    *modifiers, last = key.split("-")
    text = "+".join([*(shown(f"{each}-").rstrip("+") for each in modifiers), names.get(last, last)])
    typed = len(last) == 1 and not last.isalnum() and "Shift" not in modifiers
    return [QKeySequence(each) for each in ((text, f"Shift+{text}") if typed else (text,))]


def pressed_key(event: QKeyEvent) -> str:
    """Name the key of an event as the table does; empty for a modifier alone."""
    if event.key() in ALONE:
        return ""
    name = QKeySequence(event.key()).toString(QKeySequence.SequenceFormat.PortableText)
    name = QT_NAMES.get(name, name)
    held = [text for modifier, text in MODIFIERS if event.modifiers() & modifier]
    if len(name) == 1 and not name.isalpha() and "Control" not in held and "Shift" in held:
        held.remove("Shift")  # it was needed to type the character
    return "-".join([*held, name])
