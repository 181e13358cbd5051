"""What can be seen of one run: a line for each event, its state in words, its pictures side by side."""

import time
from datetime import datetime
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from histobridge.core.jobs import JOBS
from histobridge.core.runs import RunState
from histobridge.widgets.job_panel import ENDINGS, time_left
from histobridge.widgets.page import Note
from histobridge.widgets.pictures import Picture
from histobridge.widgets.session import Followed
from histobridge.widgets.translator_verdict import EVIDENCE
from histobridge.widgets.triptych import WAYS

PICTURES = WAYS | EVIDENCE
"""What the previews of jobs show, where their names do not say it."""


def event_words(event: dict[str, Any]) -> str:
    """Write one event of a run as a line for people."""
    at = datetime.fromtimestamp(event.get("time", 0)).strftime("%H:%M:%S")
    kind = str(event.get("kind", ""))
    if kind == "progress":
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in event.get("metrics", {}).items())
        parts = (f"{event.get('step', 0)}/{event.get('total', 0)}", str(event.get("message", "")), numbers)
        return f"{at}  {'  '.join(part for part in parts if part)}"
    shown = {name: value for name, value in event.items() if name not in ("time", "kind", "result")}
    details = {name: value for name, value in shown.items() if value not in ("", None)}
    told = ", ".join(str(value) if name == "message" else f"{name} {value}" for name, value in details.items())
    return f"{at}  {kind}" + (f": {told}" if told else "")


class RunPictures(QWidget):
    """The preview images that a run has stored, the newest of each name, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.shown: dict[str, Picture] = {}
        self.empty = Note("This job has stored no pictures.")
        self._layout.addWidget(self.empty)

    def clear(self) -> None:
        """Take all pictures away."""
        while self._layout.count() > 1:
            gone = self._layout.takeAt(1).widget()
            gone.hide()
            gone.deleteLater()
        self.shown = {}

    def follow(self, item: Followed) -> None:
        """Show the pictures of a run, each read again only when it changed."""
        for file in sorted(item.run.path.glob("preview-*.png")):
            name = file.stem.removeprefix("preview-")
            if name not in self.shown:
                self.shown[name] = self._add(name)
            self.shown[name].show_file(file)
        self.empty.setVisible(not self.shown)

    def _add(self, name: str) -> Picture:
        picture, holder = Picture(120), QWidget()
        picture.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        caption = QLabel(PICTURES.get(name, name.replace("_", " ")))
        caption.setAlignment(Qt.AlignmentFlag.AlignCenter)
        caption.setWordWrap(True)
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(picture, 1)
        inside.addWidget(caption)
        self._layout.addWidget(holder)
        return picture


def title_of(item: Followed) -> str:
    """Name a job, with a sign for where it stands."""
    state, kind = item.state, JOBS.get(item.verb)
    share = f"  {state.step / state.total:.0%}" if state.status == "running" and state.total else ""
    return f"{ENDINGS[state.status]} {kind.title if kind else item.verb}{share}"


def state_words(state: RunState) -> str:
    """Say in one line where a job stands."""
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in state.metrics.items())
    step = f"step {state.step} of {state.total}" if state.total else ""
    parts = (state.status, state.message.splitlines()[0] if state.message else "", step, numbers)
    return " · ".join(part for part in (*parts, time_left(state, time.time())) if part)
