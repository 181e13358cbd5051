"""The open project and its runs, as Qt signals: the one thing that all pages share."""

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal, Slot

from histobridge.core.config import Config
from histobridge.core.errors import HistoBridgeError, LockedError, ProjectError
from histobridge.core.project import Project
from histobridge.core.runs import Run, RunState
from histobridge.widgets.followed import AGAIN, new_runs, stamp_of
from histobridge.widgets.followed import NEVER as NEVER
from histobridge.widgets.followed import Followed as Followed
from histobridge.widgets.followed import words as words
from histobridge.widgets.kept_stores import UnsavedEdits
from histobridge.widgets.remembered import Remembered
from histobridge.widgets.taking_in import take_in

if TYPE_CHECKING:
    from histobridge.engine.client import Engine


class Session(QObject):
    """Open and close projects, submit jobs, follow runs from their files.

    Parameters
    ----------
    engine : Engine, optional
        Runs the jobs; made on first use if not given.
    """

    project_changed = Signal()
    """Another project is open, or none, or its lock was taken."""
    manifest_changed = Signal()
    """Images, classes or chosen runs changed."""
    run_changed = Signal(object)
    """A `Followed` is new or moved on."""
    run_ended = Signal(object)
    """A `Followed` finished, failed or was stopped while we watched."""
    status_changed = Signal(object)
    """A `Followed` ended, was interrupted or runs again."""
    tile_opened = Signal(object)
    """A `Place` lies on the canvas now, or none."""
    compare_asked = Signal(str, str)
    """Runs whose models shall be compared on the open tile; an empty first one: the labels as edited."""
    labels_awaited = Signal()
    """Labels are being written, and all waits for that; a listener may keep the window alive until they are."""
    trouble = Signal(str)
    """Something the user should read; empty when it is over."""
    _arrived = Signal(int)

    def __init__(self, engine: "Engine | None" = None):
        super().__init__()
        self.project: Project | None = None
        self.read_only, self.unreachable, self.locked_out = "", "", False
        self.unsaved = UnsavedEdits()
        self.remembered = Remembered()
        self.followed: dict[str, Followed] = {}
        self.damaged: dict[str, str] = {}
        self.closers: list[Callable[[], object]] = []
        self.flushers: list[Callable[[], object]] = []
        self._engine, self._closed = engine, False
        self._manifest_stamp = NEVER
        self._numbers = itertools.count()
        self._awaited: dict[int, tuple[Project | None, Callable[[Any], object]]] = {}
        self._results: dict[int, Future[Any]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="histobridge-window")
        self._arrived.connect(self._deliver)

    # -- project ---------------------------------------------------------------------------------------------------

    def open(self, project: Project) -> None:
        """Make `project` the open one and take its edit lock, or go read-only if somebody else has it."""
        self.close_project()
        if self.project is not None:  # its edits can be written nowhere now
            return
        self.project = project
        self.remembered.opened(project.path)
        self.take_lock()

    def take_lock(self, *, take_over: bool = False) -> None:
        """Try to become the editor of the open project, with `take_over` even if somebody may still be it."""
        if (project := self.project) is None:
            return
        (lock := project.lock).program = "napari window"
        try:
            self.put_labels_away()  # as they are opened again, they can be edited or not
            if lock.taken_over:
                lock.release()
            lock.acquire(take_over=take_over)
            self.read_only, self.locked_out = "", False
        except LockedError as error:
            holder, self.locked_out = lock.holder(), True
            self.read_only = f"this project is open elsewhere, by {holder}" if holder else str(error)
        except (OSError, ProjectError) as error:
            self.read_only, self.locked_out = f"{self.project.path} cannot be written: {words(error)}", False
        self._manifest_stamp = stamp_of(self.project.path / "project.json")
        self.project.refresh()
        self.followed, self.damaged = {}, {}
        self.poll(first=True)
        if self.running():
            self._tried("found again", lambda: self.engine.reattach(project))
        self.project_changed.emit()
        self.trouble.emit(self.unreachable)  # what was told before is taken back with the project

    def close_project(self) -> None:
        """Write what is pending and give the lock back; jobs go on."""
        if self._put_away():
            self.project_changed.emit()

    def close(self) -> None:
        """End the session with its window; jobs go on in their processes. Touches nothing of Qt: it may be gone."""
        self._closed = True
        self._put_away()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._awaited.clear()
        self._results.clear()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _put_away(self) -> bool:
        """Write, unlock and forget the open project; returns whether there was one."""
        if self.project is None:
            return False
        try:
            self.put_labels_away()
        except (HistoBridgeError, OSError) as error:
            if not self._closed and self.unsaved.count():  # they live on in memory as long as the project stays open
                self.trouble.emit(words(error))
                self.manifest_changed.emit()  # The page Review opens its tile again.
                return False
            self.unsaved.rescue(self.project)
            with suppress(HistoBridgeError, OSError):
                self.put_labels_away()
        self.project.lock.release()
        self.project, self.read_only, self.followed = None, "", {}
        return True

    def put_labels_away(self) -> None:
        """Close all labels that pages have open; raises `ProjectError` if their edits cannot be written."""
        for close in self.closers:
            close()
        if not self._closed:
            self.labels_awaited.emit()
        self.unsaved.kept.close()

    @property
    def editable(self) -> bool:
        """Whether the open project can be changed from here."""
        return self.project is not None and self.project.lock.held

    def edit(self, change: Callable[[Project], object]) -> bool:
        """Change the manifest; tells the user and returns false if that failed."""
        if self.project is None:
            return False
        try:
            with self.project.editing("napari window"):
                change(self.project)
        except (HistoBridgeError, OSError, ValueError) as error:
            self.trouble.emit(words(error))
            return False
        self._manifest_stamp = stamp_of(self.project.path / "project.json")
        self.trouble.emit("")
        self.manifest_changed.emit()
        return True

    # -- jobs ------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> "Engine":
        """What runs the jobs."""
        if self._engine is None:
            from histobridge.engine.client import Engine

            self._engine = Engine()
        return self._engine

    def submit(self, verb: str, config: Config) -> Run | None:
        """Start a job of the open project."""
        if self.project is None:
            return None
        project = self.project
        run: Run | None = self._tried("started", lambda: project.create_run(verb, config))
        if run is not None:
            self.poll()
            self.resume(run)
        return run

    def resume(self, run: Run) -> None:
        """Hand a new or stopped run to the engine."""
        self._tried("started", lambda: self.engine.submit(run))

    def cancel(self, run: Run) -> None:
        """Ask a job to stop."""
        self._tried("stopped", lambda: self.engine.cancel(run))

    def _tried(self, what: str, act: Callable[[], Any]) -> Any:
        """Return what an act on a job returns; none if it fails, which is told."""
        try:
            return act()
        except (HistoBridgeError, OSError) as error:
            self.trouble.emit(f"The job could not be {what}: {words(error)}")
            return None

    def running(self) -> list[Followed]:
        """Runs that are queued or running."""
        return [item for item in self.followed.values() if item.state.status in ("queued", "running")]

    def newest(self, *verbs: str, status: str = "") -> Followed | None:
        """Return the newest run of some jobs, perhaps only of one status."""
        for item in reversed(self.followed.values()):
            if item.verb in verbs and status in ("", item.state.status):
                return item
        return None

    def poll(self, *, first: bool = False) -> None:
        """Read what changed on disk since the last look; the window does this four times a second."""
        try:
            self._read_changes(first)
            told = " ".join(self.damaged.values())
        except (OSError, ProjectError) as error:  # the disk may come back
            lost = isinstance(error, OSError) or self.project is None or not self.project.path.exists()
            told = "The folder of this project cannot be read now; HistoBridge keeps looking." if lost else words(error)
        if told != self.unreachable:
            self.unreachable = told
            self.trouble.emit(told)

    def _read_changes(self, first: bool) -> None:
        if self.project is None:
            return
        manifest = stamp_of(self.project.path / "project.json")
        if manifest != self._manifest_stamp:
            self._manifest_stamp = manifest
            self.project.refresh()
            self.manifest_changed.emit()
        for run in new_runs(self.project.path / "runs", self.followed.keys() | self.damaged.keys()):
            if problem := run.problem():
                self.damaged[run.id] = problem
                continue
            request = run.request()
            self.followed[run.id] = Followed(run, request["verb"], RunState(), NEVER, request["config"])
        for item in list(self.followed.values()):
            self._look(item, first)

    def _look(self, item: Followed, first: bool) -> None:
        """Read the state of a run if its file changed, or if its process may have died."""
        stamp = stamp_of(item.run.path / "state.json")
        if stamp == item.stamp and item.state.status != "running":
            return
        before, fresh = item.state, item.stamp == NEVER
        item.state, item.stamp = item.run.state(), stamp
        if item.verb == "add" and item.state.status == "finished" and not take_in(self, item.run):
            item.stamp = AGAIN
        if first or (item.state == before and not fresh):
            return
        item.watched = True
        self.run_changed.emit(item)
        if before.status != item.state.status:
            self.status_changed.emit(item)
            if item.state.ended:
                self.run_ended.emit(item)

    # -- in the background -----------------------------------------------------------------------------------------

    def later(self, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Do `work` in the window's one background thread, then call `then` with its result in this one.

        `then` is not called when another project was opened or the window closed meanwhile.
        """
        if self._closed:
            return
        number = next(self._numbers)
        # Only the number travels through Qt's queue: an event left there would keep the page of `then` alive.
        self._awaited[number] = (self.project, then)

        def arrived(future: Future[Any]) -> None:
            if not (future.cancelled() or self._closed):
                self._results[number] = future
                self._arrived.emit(number)

        self._thread.submit(work).add_done_callback(arrived)

    @Slot(int)
    def _deliver(self, number: int) -> None:
        if self._closed:
            return
        project, then = self._awaited.pop(number)
        future = self._results.pop(number)
        if project is not self.project:
            return
        error = future.exception()
        if error is None:
            then(future.result())
        else:
            self.trouble.emit(words(error))
