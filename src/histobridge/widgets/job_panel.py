"""The Jobs panel: progress, time left, stop, resume and errors of all jobs, once for the whole window."""

import time

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from histobridge.core.jobs import JOBS
from histobridge.core.runs import RunState
from histobridge.widgets.page import ERROR_STYLE, Note, button, heading, row
from histobridge.widgets.session import Followed, Session

SHOWN = 3
DONE = 1
"""Of those shown, jobs that ended well; the Monitor lists them all."""

SHELF_PX = 220
LAID_OUT = (QEvent.Type.LayoutRequest, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Polish)
ENDINGS = {"finished": "✓", "failed": "▲", "cancelled": "■", "interrupted": "▲", "queued": "…", "running": "▶"}


def time_left(state: RunState, now: float) -> str:
    """Estimate what is left of a running job from its steps since its start; empty when there is nothing to go by."""
    done = state.step - state.began_at
    if state.status != "running" or not state.total or done <= 0 or state.started <= 0:
        return ""
    seconds = (now - state.started) * (state.total - state.step) / done
    return f"≈ {seconds // 60:.0f}:{seconds % 60:02.0f} left"


class JobRow(QWidget):
    """One run: what it is, how far, and what can be done about it; a click asks to see more."""

    opened = Signal(str)
    """Id of the run that was clicked."""

    def __init__(self, session: Session, item: Followed):
        super().__init__()
        self._session, self._item = session, item
        self.title = QLabel()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.bar.setMaximumHeight(16)
        self.left = QLabel()
        self.stop = button("Stop", self._stop, "Stop this job; what it learned so far is kept")
        self.message = Note()
        self.error = Note(style=ERROR_STYLE)
        self.details = button("Details", self._details, "Show the full report, to copy")
        self.resume = button("Resume", self._resume)
        self.dismiss = QToolButton()
        self.dismiss.setText("✕")
        self.dismiss.setToolTip("Take this job off the list; nothing is deleted")
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        for widget in (self.left, self.stop, self.dismiss):
            top.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)
        layout.addLayout(top)
        for widget in (self.bar, self.message, self.error):
            layout.addWidget(widget)
        self._actions = row(self.resume, self.details)
        layout.addWidget(self._actions)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Click to see curves, pictures and log")
        self.show_state()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Ask to see more of the run."""
        if event is not None and self.rect().contains(event.position().toPoint()):
            self.opened.emit(self._item.run.id)

    def show_state(self) -> None:
        """Show the state of the run as last read."""
        state = self._item.state
        kind = JOBS.get(self._item.verb)
        self.title.setText(f"{ENDINGS[state.status]} {kind.title if kind else self._item.verb}")
        self.title.setToolTip(f"{self._item.verb}: {self._item.run.id}")
        live = state.status in ("queued", "running")
        self.bar.setVisible(state.status == "running")
        self.bar.setRange(0, state.total)
        self.bar.setValue(min(state.step, state.total))
        self.left.setText(time_left(state, time.time()))
        self.stop.setVisible(live)
        self.dismiss.setVisible(not live)
        wrong = state.status == "failed"
        told = {"queued": "waiting for its turn", "failed": "", "finished": ""}  # the sign says so, in one line
        self.message.say(told.get(state.status, state.message))
        self.message.setToolTip(", ".join(f"{name} {value:.3g}" for name, value in state.metrics.items()))
        self.error.say(state.message if wrong else "")
        self.details.setVisible(bool(state.error))
        self.resume.setVisible(state.status in ("failed", "cancelled", "interrupted"))
        self.resume.setText("Resume" if state.step else "Try again")
        again = "Go on from the last checkpoint" if state.step else "The same once more"
        self.resume.setToolTip(f"{again}, on this computer")
        self._actions.setVisible(not live and state.status != "finished")

    def _stop(self) -> None:
        self.stop.setEnabled(False)
        self.stop.setText("Stopping…")
        self._session.cancel(self._item.run)

    def _resume(self) -> None:
        self._session.resume(self._item.run)

    def _details(self) -> None:
        DetailsDialog(self, self.title.text(), self._item.state.error).show()


class DetailsDialog(QDialog):
    """A traceback to read and copy; does not block the window."""

    def __init__(self, parent: QWidget, title: str, text: str):
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(720, 420)
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        copy = button("Copy", lambda: QApplication.clipboard().setText(text))
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(row(copy, button("Close", self.close)))


class Shelf(QScrollArea):
    """As high as the panel in it, up to a limit, so that many jobs leave room for the page."""

    def __init__(self, panel: QWidget):
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(panel)
        panel.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the height that the panel wants."""
        panel = self.widget()
        if watched is panel and event is not None and event.type() in LAID_OUT:
            wanted = max(panel.layout().totalHeightForWidth(self.width()), panel.minimumSizeHint().height())
            frame = self.height() - self.viewport().height()  # the theme's padding counts too
            fits = wanted + frame <= SHELF_PX
            bar = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAsNeeded
            self.setVerticalScrollBarPolicy(bar)  # or it would show for an instant each time a job comes
            self.setFixedHeight(wanted + frame if fits else SHELF_PX)
        return super().eventFilter(watched, event)


class JobsPanel(QWidget):
    """Jobs under way, and those that ended since the project was opened."""

    opened = Signal(str)
    """Id of the run of which the user wants to see more; empty: whichever."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self._rows: dict[str, JobRow] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 2, 8, 4)
        self._layout.setSpacing(2)
        self._empty = Note("No job is running.")
        monitor = button("Monitor", lambda: self.opened.emit(""), "Curves, pictures, log, device and memory")
        top = QHBoxLayout()
        top.addWidget(heading("Jobs"), 1)
        top.addWidget(monitor)
        self._layout.addLayout(top)
        self._layout.addWidget(self._empty)
        self._layout.addStretch(1)
        session.project_changed.connect(self.reload)
        session.run_changed.connect(self._follow)

    def rows(self) -> list[JobRow]:
        """Return the rows shown, newest first."""
        return list(self._rows.values())[::-1]

    def reload(self) -> None:
        """Start over with the open project: what runs, what stopped short, and what failed and was not done since."""
        for run_id in list(self._rows):
            self._drop(run_id)
        newest = {item.verb: item.run.id for item in self._session.followed.values()}
        for item in self._session.followed.values():
            failed = item.state.status == "failed" and newest[item.verb] == item.run.id
            if failed or item.state.status in ("queued", "running", "interrupted"):
                self._follow(item)

    def _follow(self, item: Followed) -> None:
        shown = self._rows.get(item.run.id)
        if shown is not None:
            shown.show_state()
            if item.state.status in ("queued", "running"):
                shown.stop.setEnabled(not item.run.cancel_requested())
                shown.stop.setText("Stopping…" if item.run.cancel_requested() else "Stop")
            self._trim()
            return
        made = JobRow(self._session, item)
        made.opened.connect(self.opened)
        made.dismiss.clicked.connect(lambda *_: self._drop(item.run.id))
        self._rows[item.run.id] = made
        self._layout.insertWidget(1, made)
        self._empty.hide()
        self._trim()

    def _trim(self) -> None:
        """Leave room for the page: of what ended keep the newest, and of what ended well only one."""
        states = {run_id: self._session.followed[run_id].state for run_id in self._rows}
        done = [run_id for run_id, state in states.items() if state.status == "finished"]
        ended = [run_id for run_id, state in states.items() if state.ended and run_id not in done[:-DONE]]
        for run_id in done[:-DONE] + ended[: max(0, len(states) - len(done[:-DONE]) - SHOWN)]:
            self._drop(run_id)

    def _drop(self, run_id: str) -> None:
        gone = self._rows.pop(run_id)
        self._layout.removeWidget(gone)
        gone.hide()
        gone.deleteLater()
        self._empty.setVisible(not self._rows)
