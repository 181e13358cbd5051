"""What became of the newest training of a translator: how far it is, what it makes, whether it is any good."""

import time
from collections.abc import Callable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.core.runs import RunState
from histobridge.widgets.curves import Curves
from histobridge.widgets.job_panel import time_left
from histobridge.widgets.page import Note, button, heading, row
from histobridge.widgets.session import Followed, Session
from histobridge.widgets.translator_verdict import TranslatorVerdict
from histobridge.widgets.triptych import WAYS, Triptych

STOPPED = ("failed", "cancelled", "interrupted")
TRUST = "trust is no loss: how well labels are read in your own images, and so how far they hold translations (1: well)"


class TranslatorResult(QWidget):
    """Pictures, curves and verdict of one training, and buttons to stop it, go on with it and use it.

    Parameters
    ----------
    session : Session
    use : callable
        Called with the id of the run that the user wants to propose labels with.
    """

    def __init__(self, session: Session, use: Callable[[str], object]):
        super().__init__()
        self._session = session
        self._item: Followed | None = None
        self.progress = Note()
        self.stop_button = button("Stop", self._stop, "Stop the training; what it learned so far is kept")
        self.resume_button = button("Resume", self._resume, "Go on from the last checkpoint, on this computer")
        self.verdict = TranslatorVerdict(use)
        self.triptych = Triptych(WAYS)
        self.losses, self.on_tiles = Curves(), Curves(tiles=True)
        self.tiles_heading = heading("On these tiles: grey values back, and texture (smaller is better)")
        self.tiles_heading.setWordWrap(True)
        self.trust = Note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Newest translator"))
        layout.addWidget(self.progress)
        layout.addWidget(row(self.stop_button, self.resume_button))
        layout.addWidget(self.verdict)
        for widget in (self.triptych, self.tiles_heading, self.on_tiles, heading("Losses"), self.losses, self.trust):
            layout.addWidget(widget)

    def follow(self, item: Followed) -> None:
        """Show a run as it is now."""
        self._item = item
        state = item.state
        live = state.status in ("queued", "running")
        stopping = live and item.run.cancel_requested()
        self.progress.say(_progress_words(state, stopping=stopping))
        self.stop_button.setVisible(live)
        self.stop_button.setEnabled(not stopping)
        self.resume_button.setVisible(state.status in STOPPED)
        self.triptych.follow(item.run.path)
        for curves in (self.losses, self.on_tiles):
            curves.follow(item.run)
        for widget in (self.tiles_heading, self.on_tiles):
            widget.setVisible(self.on_tiles.shows_something)
        self.trust.say(TRUST if "trust" in self.losses.names else "")
        self.verdict.follow(item)

    def _stop(self) -> None:
        if self._item is not None:
            self._session.cancel(self._item.run)
            self.follow(self._item)

    def _resume(self) -> None:
        if self._item is not None:
            self.resume_button.hide()
            self._session.resume(self._item.run)


def _progress_words(state: RunState, *, stopping: bool) -> str:
    """Say how far a training is."""
    at = f"step {state.step} of {state.total}" if state.total else "no step yet"
    if stopping:
        return f"Stopping at {at}…"
    if state.status == "queued":
        return "Waiting for its turn."
    if state.status == "running":
        return " · ".join(part for part in (f"Training: {at}", time_left(state, time.time())) if part)
    if state.status in STOPPED:
        how = {"cancelled": "Stopped", "failed": "Failed", "interrupted": "Broken off"}[state.status]
        return f"{how} at {at}. Resume goes on from the last checkpoint."
    return f"Trained: {at}."
