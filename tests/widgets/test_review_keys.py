"""The table of keys: each works on the canvas and from the dock, can be changed, and leaves other layers alone."""

import os

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLineEdit

from histobridge.core.manifest import MYELINATED_FIBRE
from histobridge.layers import Canvas
from histobridge.widgets.class_buttons import ClassButtons
from histobridge.widgets.flip_key import FlipKey
from histobridge.widgets.key_table import CLASS_KEYS, KEYS, KeyTable
from histobridge.widgets.remembered import Remembered
from histobridge.widgets.review_keys import ReviewKeys

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NAMES = {"[": "BracketLeft", "]": "BracketRight", "?": "Question", ".": "Period", ",": "Comma", "/": "Slash"}
NAMES |= {";": "Semicolon", "'": "Apostrophe", "=": "Equal"}
OF_LAYER = [key for key in KEYS if key.kind != "window"]


def qt_key(key):
    """Key and modifiers as QTest takes them."""
    *held, last = key.split("-")
    modifiers = Qt.KeyboardModifier.NoModifier
    for name in held:
        modifiers |= {"Control": CONTROL, "Shift": SHIFT}[name]
    return getattr(Qt.Key, f"Key_{NAMES.get(last, last)}"), modifiers


@pytest.fixture
def table(tmp_path):
    return KeyTable(Remembered(tmp_path / "window.json"))


@pytest.fixture
def open_keys(make_napari_viewer, table, qtbot):
    """A tile on the canvas, a dock of buttons, and a note of every action that a key asked for."""

    def make():
        viewer = make_napari_viewer(show=True)
        canvas = Canvas(viewer)
        canvas.show_labels(np.zeros((32, 32), np.uint8), (0, 0), None, editable=True)
        page = ClassButtons(lambda value: done.append(f"clicked {value}"))
        page.refresh(MYELINATED_FIBRE)
        page.line, page.choice = QLineEdit(page), QComboBox(page)
        page.choice.addItems(["axon", "banana"])
        for widget in (page.line, page.choice):
            page.layout().addWidget(widget)
        viewer.window.add_dock_widget(page, area="right")
        done = []
        presses = {key.action: lambda action=key.action: done.append(action) for key in KEYS if key.kind == "press"}
        presses["leave"] = lambda: done.append("leave")
        holds = {
            key.action: lambda on, action=key.action: done.append((action, on)) for key in KEYS if key.kind == "hold"
        }
        keys = ReviewKeys(page, canvas, table, presses, holds, lambda number: done.append(number))
        page.flip_key = FlipKey(page, canvas, table)
        keys.bind()
        window = viewer.window._qt_window
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        return viewer, canvas, page, keys, done

    return make


def native(viewer):
    return viewer.window._qt_viewer.canvas.native


def expected(key):
    return [(key.action, True), (key.action, False)] if key.kind == "hold" else [key.action]


pytestmark = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="offscreen Qt has no OpenGL")


def test_every_key_works_on_the_canvas_and_from_a_button_and_nowhere_else(open_keys):
    viewer, canvas, page, keys, done = open_keys()
    button = page.buttons[1]
    for focused in (native(viewer), button, page.choice):
        focused.setFocus()
        for key in OF_LAYER:
            QTest.keyClick(focused, *qt_key(key.key))
            assert done == expected(key), (key, focused)
            done.clear()
        for number in CLASS_KEYS:
            QTest.keyClick(focused, *qt_key(number))
        QTest.keyClick(focused, Qt.Key.Key_Escape)
        assert done == [*map(int, CLASS_KEYS), "leave"]
        done.clear()
    assert page.choice.currentText() == "axon"

    canvas.labels.mode = "erase"
    canvas.labels.mode = "paint"
    assert "<A> accept" in viewer.help, "the status bar names our keys, also after a change of the mode"
    assert "eraser" not in viewer.help
    button.setFocus()
    QTest.keyClick(button, Qt.Key.Key_Return)
    assert done == ["clicked 1"]
    done.clear()
    QTest.keyPress(button, Qt.Key.Key_H)
    page.line.setFocus()  # what is held ends when the focus goes elsewhere
    assert done == [("hide", True), ("hide", False)]
    done.clear()
    QTest.keyClicks(page.line, "banana fr[?")
    assert page.line.text() == "banana fr[?"
    assert not done
    assert keys.sheet is None or not keys.sheet.isVisible()

    hers = viewer.add_labels(np.zeros((8, 8), np.uint8), name="hers")
    native(viewer).setFocus()
    hers.mode = "paint"
    for key in OF_LAYER:
        if key.key != "Space":  # napari's own, held while the mode changes back
            QTest.keyClick(native(viewer), *qt_key(key.key))
    assert not done
    assert hers.mode != "paint"  # napari's own keys of the layer
    canvas.clear()


def test_typing_in_an_open_list_chooses_there_and_does_nothing_to_the_tile(open_keys, qtbot):
    _, canvas, page, _, done = open_keys()
    page.choice.showPopup()
    entries = page.choice.view()
    qtbot.waitUntil(entries.isVisible)
    entries.setFocus()
    qtbot.waitUntil(entries.hasFocus)
    QTest.keyClick(entries, Qt.Key.Key_A)
    assert not done
    page.choice.hidePopup()
    canvas.clear()


def test_the_sheet_shows_all_keys_changes_them_and_closes(open_keys, table):
    viewer, canvas, page, keys, done = open_keys()
    page.buttons[1].setFocus()
    QTest.keyClick(page.buttons[1], Qt.Key.Key_Question, SHIFT)
    sheet = keys.sheet
    assert sheet.isVisible()
    assert not sheet.isModal()
    assert sheet.width() <= 1366
    assert sheet.height() <= 768 - 60
    assert {action: made.text() for action, made in sheet.buttons.items()}.keys() == {key.action for key in KEYS}

    QTest.mouseClick(sheet.buttons["accept"], Qt.MouseButton.LeftButton)
    QTest.keyClick(sheet.buttons["accept"], Qt.Key.Key_N)
    assert "N is taken: next tile" in sheet.trouble.text()
    QTest.keyClick(sheet.buttons["accept"], Qt.Key.Key_Z)
    assert sheet.trouble.isHidden()
    assert sheet.buttons["accept"].text() == "Z"
    QTest.keyClick(native(viewer), Qt.Key.Key_Z)
    QTest.keyClick(native(viewer), Qt.Key.Key_A)
    assert done == ["accept"]
    QTest.mouseClick(sheet.reset_button, Qt.MouseButton.LeftButton)
    assert table.key("accept") == "A"
    QTest.keyClick(sheet, Qt.Key.Key_Question, SHIFT)
    assert not sheet.isVisible()
    keys.toggle_sheet()
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    assert not sheet.isVisible()

    assert table.change("flip", "F2") == ""
    keys.bind()
    canvas.flip.show(canvas.labels, [np.ones((32, 32), np.uint8)])
    native(viewer).setFocus()
    QTest.keyClick(native(viewer), Qt.Key.Key_F2)
    assert canvas.flip.second
    canvas.clear()


@pytest.mark.parametrize(
    ("action", "key", "why_not"),
    [
        ("accept", "N", "N is taken: next tile"),
        ("accept", "3", "3 stays as it is: a class"),
        ("accept", "Escape", "leave the tool"),
        ("accept", "ö", "cannot be used here"),
        ("fill", "F", ""),
        ("fill", "Control-F", ""),
    ],
)
def test_a_key_is_changed_or_refused_with_words(table, action, key, why_not):
    assert why_not in (said := table.change(action, key))
    assert bool(said) == bool(why_not)
    assert table.key(action) == (key if not why_not else "A")


def test_changed_keys_are_remembered_and_can_be_taken_back(table, tmp_path):
    assert table.change("accept", "Z") == ""
    assert table.change("skip", "A") == ""
    again = KeyTable(Remembered(tmp_path / "window.json"))
    assert (again.key("accept"), again.key("skip"), again.changed) == ("Z", "A", True)
    again.reset()
    assert (again.key("accept"), again.key("skip"), again.changed) == ("A", "X", False)


def test_no_two_actions_share_a_key():
    taken = [key.key for key in KEYS] + [*CLASS_KEYS, "Escape"]
    assert len(set(taken)) == len(taken)
