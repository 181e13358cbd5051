"""The Monitor dock: all jobs, and of one its curves, pictures, log, device and memory."""

from typing import Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QSizePolicy,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from histobridge.core.machine import Gpu, gpus, job_memory_gb, memory_words
from histobridge.widgets.curves import Curves
from histobridge.widgets.event_tail import EventTail
from histobridge.widgets.page import Note, button, row
from histobridge.widgets.run_views import RunPictures, event_words, state_words, title_of
from histobridge.widgets.seldom import Seldom
from histobridge.widgets.session import Followed, Session

DRAW_S = 0.5
"""Seconds between two drawings, at least."""

LOOK_MS = 2000
"""How often device and memory are asked for while the dock is shown."""

MOST_LINES, MOST_JOBS = 500, 100


class MonitorDock(QWidget):
    """What the jobs do; drawn at most twice a second, and not at all while hidden.

    Parameters
    ----------
    session : Session
    seldom : callable, optional
        Makes the `Seldom` that draws; for tests.
    """

    def __init__(self, session: Session, seldom: Any = Seldom):
        super().__init__()
        self._session = session
        self._chosen = ""
        self._tail = EventTail()
        self._gpus: list[Gpu] = []
        self._asking = False
        self.drawings = 0
        self._build()
        self._draw_soon = seldom(self.draw, DRAW_S)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        session.project_changed.connect(self._renew)
        session.run_changed.connect(self._ask)

    def _build(self) -> None:
        self.jobs = QListWidget()
        self.jobs.setAccessibleName("Jobs")
        self.jobs.setMinimumSize(150, 40)
        self.jobs.currentItemChanged.connect(lambda now, _: self._choose(now))
        self.stop = button("Stop", self._stop, "Stop this job; what it learned so far is kept")
        self.resume = button("Resume", self._resume, "Go on from the last checkpoint, on this computer")
        self.state, self.machine = Note(), Note()
        self.curves, self.on_tiles = Curves(), Curves(tiles=True)
        for curves in (self.curves, self.on_tiles):
            curves.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.pictures = RunPictures()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(MOST_LINES)
        self.log.setMinimumHeight(40)
        self.log.setAccessibleName("Log of the job")
        left, right = QWidget(), QWidget()
        beside = QVBoxLayout(left)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(self.jobs, 1)
        beside.addWidget(row(self.stop, self.resume))
        self.tabs = QTabWidget()
        plots = row(self.curves, self.on_tiles, stretch=False)
        for name, widget in (("Curves", plots), ("Pictures", self.pictures), ("Log", self.log)):
            self.tabs.addTab(widget, name)
        self.tabs.currentChanged.connect(self._ask)
        within = QVBoxLayout(right)
        within.setContentsMargins(0, 0, 0, 0)
        told = QHBoxLayout()
        told.addWidget(self.state, 1)
        told.addWidget(self.machine, 1)
        within.addLayout(told)
        within.addWidget(self.tabs, 1)
        splitter = QSplitter()
        splitter.addWidget(left)
        splitter.addWidget(right)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([180, 420])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(splitter)

    def sizeHint(self) -> QSize:
        """Wide and flat."""
        return QSize(600, 230)

    # -- which job -------------------------------------------------------------------------------------------------

    def follow(self, run_id: str) -> None:
        """Show one job."""
        self._chosen = run_id
        self._draw_soon.now()

    def _item(self) -> Followed | None:
        """Return the chosen job, else the newest."""
        followed = self._session.followed
        return followed.get(self._chosen) or next(reversed(followed.values()), None)

    def _choose(self, listed: QListWidgetItem | None) -> None:
        if listed is not None:
            self._chosen = listed.data(Qt.ItemDataRole.UserRole)
            self._ask()

    def _renew(self) -> None:
        self._chosen, self._asking = "", False
        self._ask()

    def _stop(self) -> None:
        item = self._item()
        if item is not None:
            self.stop.setEnabled(False)
            self._session.cancel(item.run)

    def _resume(self) -> None:
        item = self._item()
        if item is not None:
            self._session.resume(item.run)

    # -- drawing ---------------------------------------------------------------------------------------------------

    def _ask(self, _: object = None) -> None:
        if self.isVisible():
            self._draw_soon.ask()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Catch up with what happened while hidden."""
        super().showEvent(event)
        self._timer.start(LOOK_MS)
        self._look()
        self._ask()

    def draw(self) -> None:
        """Show everything as it is now."""
        self.drawings += 1
        self._list()
        item = self._item()
        live = item is not None and item.state.status in ("queued", "running")
        self.stop.setEnabled(live and item is not None and not item.run.cancel_requested())
        self.resume.setVisible(item is not None and item.state.status in ("failed", "cancelled", "interrupted"))
        self.tabs.setVisible(item is not None)
        if item is None:
            self.state.say("No job has run yet. Jobs that you start on the pages show here.")
            return
        self.state.say(state_words(item.state))
        if self._tail.follow(item.run):
            self.log.clear()
            self.pictures.clear()
        added = self._tail.added()[-MOST_LINES:]
        if added:
            self.log.appendPlainText("\n".join(map(event_words, added)))
        for curves in (self.curves, self.on_tiles):
            curves.follow(item.run)
        self.on_tiles.setVisible(self.on_tiles.shows_something)
        self.pictures.follow(item)

    def _list(self) -> None:
        """Bring the list up to date, the newest first; rows that are there already are only retitled."""
        items = list(self._session.followed.values())[::-1][:MOST_JOBS]
        chosen = self._item()
        known = [self.jobs.item(place).data(Qt.ItemDataRole.UserRole) for place in range(self.jobs.count())]
        self.jobs.blockSignals(True)
        if known != [item.run.id for item in items]:
            self.jobs.clear()
            for item in items:
                made = QListWidgetItem()
                made.setData(Qt.ItemDataRole.UserRole, item.run.id)
                self.jobs.addItem(made)
        for place, item in enumerate(items):
            listed = self.jobs.item(place)
            if listed.text() != (title := title_of(item)):
                listed.setText(title)
            if item is chosen and self.jobs.currentRow() != place:
                self.jobs.setCurrentRow(place)
        self.jobs.blockSignals(False)

    # -- device and memory -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask for GPUs in the background, for the rest here."""
        if not self.isVisible():
            self._timer.stop()
            return
        if not self._asking:
            self._asking = True
            self._session.later(gpus, self._take_gpus)
        self._tell_machine()

    def _take_gpus(self, found: list[Gpu]) -> None:
        # Where none is found the first time none will come: the driver is not asked again.
        self._gpus, self._asking = found, not found
        self._tell_machine()

    def _tell_machine(self) -> None:
        lines = [memory_words()]
        lines += [f"{g.name}: {g.busy:.0%} busy, {g.used_gb:.1f} of {g.total_gb:.1f} GB used" for g in self._gpus]
        item = self._item()
        if item is not None and item.state.status == "running":
            used = job_memory_gb(item.state.pid, item.state.pid_started, item.state.pid_birth)
            lines.append(f"this job: {used:.1f} GB" if used is not None else f"this job runs on {item.state.host}")
        self.machine.say("\n".join(lines))
