"""Checks the rules of myelinated fibres while one works, rings what breaks them and counts it in words."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from histobridge.core.tiles import Window
from histobridge.layers import Canvas
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.page import Note, button, row
from histobridge.widgets.session import Session
from histobridge.widgets.tool_bench import ToolBench

if TYPE_CHECKING:
    from histobridge.core.rules import Violation

SETTLED_MS = 200
"""After the last edit; several strokes in a row are checked once."""

WORDS = {
    "open": ("open sheath", "open sheaths"),
    "bare": ("axon without a sheath", "axons without a sheath"),
    "shared": ("sheath around several axons", "sheaths around several axons"),
    "taken": ("sheath that belongs to another axon", "sheaths that belong to another axon"),
    "empty": ("sheath without an axon", "sheaths without an axon"),
}


class RuleWatch(QWidget):
    """Looks at what has changed, in the background; not there for classes without a class inside another.

    Parameters
    ----------
    session : Session
    canvas : Canvas
    desk : Desk
    bench : ToolBench
        Knows what is seen of the tile.
    """

    def __init__(self, session: Session, canvas: Canvas, desk: Desk, bench: ToolBench):
        super().__init__()
        self._session, self._canvas, self._desk, self._bench = session, canvas, desk, bench
        self._checked: tuple[tuple[Path, Place], NDArray[np.uint8]] | None = None
        self._owners: tuple[object, ...] = ()
        self._turn = 0
        self._asked, self._busy = 0, False
        self.found: tuple[Violation, ...] = ()
        self.on = QCheckBox("Check fibres")
        self.on.setToolTip("Ring what cannot be right: axons without a closed sheath, sheaths without an axon")
        self.on.clicked.connect(self._switch)
        self.go_button = button("Show next", self.go_on, "Bring the next ringed place to the middle")
        for each in (self.on, self.go_button):
            each.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the canvas
        self.says = Note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.on, self.go_button))
        layout.addWidget(self.says)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.check)

    def presses(self) -> dict[str, Callable[[], object]]:
        """What the key does."""
        return {"violation": self.go_on}

    # -- check -----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Something has changed; look soon."""
        project, place = self._session.project, self._desk.place
        nested = project is not None and place is not None and project.manifest.nested_pair() is not None
        self.setVisible(nested)
        if project is not None:
            self.on.setChecked(self._session.remembered.place(project.path).get("check_rules", True))
        if not (nested and self.on.isChecked()):
            self._forget()
            self._canvas.overlays.end_marks()
        else:
            if self._checked is not None and self._checked[0] != (project.path, place):
                self._forget()
                self._canvas.overlays.blank_marks()
            self._soon.start(SETTLED_MS)

    def check(self) -> None:
        """Look at what has changed since the last time."""
        place, edit, project = self._desk.place, self._desk.edit, self._session.project
        if place is None or edit is None or project is None or not self.on.isChecked():
            return
        if self._busy:
            self._soon.start(SETTLED_MS)
            return
        view = self._bench.view()
        near: Window | None = None
        owners = tuple((owner.axon, owner.window, owner.mask.tobytes()) for owner in view.owners)
        if self._checked is not None and self._checked[0] == (project.path, place) and self._owners == owners:
            near = _changed(self._checked[1], view.classes)
            if near is None:
                return
        known = self.found if near is not None else ()
        self._busy, self._owners = True, owners

        def work() -> tuple["Violation", ...]:
            from histobridge.core.rules import check_rules

            return check_rules(view, near, known)

        self._checked = (project.path, place), view.classes
        self._session.later(work, partial(self._arrived, self._asked))

    def _arrived(self, asked: int, found: tuple["Violation", ...]) -> None:
        if asked != self._asked:
            return
        self._busy = False
        before, self.found = self.found, found
        if [(each.kind, each.at) for each in before] != [(each.kind, each.at) for each in found]:
            self._mark()
        self._say()

    def _mark(self) -> None:
        labels = self._canvas.labels
        if labels is not None and self._canvas.has_labels:
            self._canvas.overlays.mark(labels, [each.at for each in self.found], [each.words for each in self.found])

    def _say(self) -> None:
        counts = Counter(each.kind for each in self.found)
        told = [f"{count} {WORDS[kind][count > 1]}" for kind, count in counts.most_common()]
        self.says.say(f"To check: {', '.join(told)}." if told else "No broken rule on this tile.")
        self.go_button.setEnabled(bool(self.found))

    def _forget(self) -> None:
        self._checked, self.found = None, ()
        self._asked, self._busy = self._asked + 1, False
        self._soon.stop()
        self.says.say("")
        self.go_button.setEnabled(False)

    def _switch(self, on: bool) -> None:
        if self._session.project is not None:
            self._session.remembered.stay(self._session.project.path, check_rules=on)
        self.refresh()

    # -- go there --------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Bring the next place to the middle and say what is wrong there."""
        project, edit, place = self._session.project, self._desk.edit, self._desk.place
        if not self.found or project is None or edit is None or place is None:
            return
        there = sorted(self.found, key=lambda each: each.at)[self._turn % len(self.found)]
        self._turn += 1
        rows, columns = edit.tile.window
        origin = (rows.start + there.at[0], columns.start + there.at[1])
        self._canvas.look_at(origin, (1, 1), project.image(place.image).pixel_size_um, zoom=False)
        self._say()
        self.says.say(f"{there.words}. {self.says.text()}")


def _changed(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Window | None:
    """Smallest window around what differs; none if nothing does."""
    if before.shape != now.shape:
        return slice(0, now.shape[0]), slice(0, now.shape[1])
    differ = before != now
    rows, columns = np.flatnonzero(differ.any(axis=1)), np.flatnonzero(differ.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
