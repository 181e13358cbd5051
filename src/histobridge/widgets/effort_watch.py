"""Watches how long and how hard the user works on the open tile, and logs it."""

import time
from collections.abc import Callable
from contextlib import suppress

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QWidget

from histobridge.core.effort import Effort, Meter, append_effort, edits_of
from histobridge.core.journal import Journal
from histobridge.core.project import Project
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.session import Session

LOG_MS = 60_000
MOVES = (QEvent.Type.MouseMove, QEvent.Type.Wheel, QEvent.Type.TabletMove, QEvent.Type.TouchUpdate)
CLICKS = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.TabletPress,
    QEvent.Type.TouchBegin,
)


class EffortWatch(QObject):
    """Counts acts in the whole window while a tile is under review; one line a tile and a minute goes to the log.

    Parameters
    ----------
    session : Session
    desk : Desk
        Where tiles are opened.
    clock : callable
        Seconds from any start.
    """

    logged = Signal(object)
    """An `Effort` that was written."""

    def __init__(self, session: Session, desk: Desk, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._session, self._desk = session, desk
        self._meter = Meter(clock)
        self._place: Place | None = None
        self._project: Project | None = None
        self._journal: Journal | None = None
        self._seen = 0
        self._reviewing = True
        self._unwritten: list[Effort] = []
        self._watched: QObject | None = None
        session.tile_opened.connect(self._opened)
        session.closers.append(self.close)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.log)
        self._timer.start(LOG_MS)

    def watch(self, widget: QWidget) -> None:
        """Look at everything the user does in the window of a widget; does nothing before that is shown."""
        # The window handle gets real events first, a dozen kinds of them; a filter on the application would see all.
        handle = widget.window().windowHandle()
        if handle is not None and handle is not self._watched:
            handle.installEventFilter(self)
            self._watched = handle

    def reviewing(self, on: bool) -> None:
        """Count only while the Review page is open."""
        if on != self._reviewing:
            self.log()
            self._reviewing = on
            self._meter.pause()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note an act and let it pass."""
        if event is None or self._place is None or not self._reviewing:
            return False
        kind = event.type()
        if kind in MOVES:
            self._meter.act()
        elif kind in CLICKS:
            self._meter.act(clicks=1)
        elif kind == QEvent.Type.KeyPress and not (isinstance(event, QKeyEvent) and event.isAutoRepeat()):
            self._meter.act(keys=1)
        return False

    def _opened(self, place: Place | None) -> None:
        """Close the account of the tile before and open one for this."""
        if self._place is not None and self._reviewing:
            self._meter.act()
        self.log()
        edit = self._desk.edit
        self._place, self._project = place, self._session.project
        self._journal = edit.store.journal if edit is not None and place is not None else None
        self._seen = self._journal.last if self._journal is not None else 0

    def log(self) -> None:
        """Write what was done since the last time and tell it; kept for the next time if that fails."""
        spell = self._account()
        self._write()
        if spell is not None:
            self.logged.emit(spell)

    def close(self) -> None:
        """Write the rest; the window may be gone by now, so nothing is told."""
        self._account()
        self._write(durable=True)
        self._place = self._journal = self._project = None
        self._unwritten = []

    def _account(self) -> Effort | None:
        """Sum up the open tile since the last time; none if nothing was done."""
        spell = self._meter.take()
        if self._place is None or self._journal is None:
            return None
        edits = edits_of(self._journal.since(self._seen), self._place.tile.id)
        self._seen = max(self._seen, self._journal.last)
        if not (spell.seconds or spell.clicks or spell.keys or any(edits.values())):
            return None
        made = Effort(
            image=self._place.image,
            tile=self._place.tile.id,
            check=self._place.check,
            time=round(time.time(), 1),
            seconds=round(spell.seconds, 2),
            clicks=spell.clicks,
            keys=spell.keys,
            **edits,
        )
        if self._project is not None and self._project.lock.held:
            self._unwritten.append(made)
        return made

    def _write(self, *, durable: bool = False) -> None:
        if self._project is None or not self._project.lock.held or not self._unwritten:
            return
        # A full disk is told by the journal; numbers of less value wait for it in memory.
        with suppress(OSError):
            append_effort(self._project, self._unwritten, durable=durable)
            self._unwritten = []
