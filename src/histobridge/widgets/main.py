"""The dock: project and step bars, one page at a time, the Jobs panel. It assembles and connects, nothing more."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QFrame, QMessageBox, QVBoxLayout, QWidget

from histobridge.core.errors import HistoBridgeError
from histobridge.core.project import Project
from histobridge.layers import Canvas
from histobridge.standpoint import Standpoint
from histobridge.widgets.compare_bar import CompareBar
from histobridge.widgets.disk_banner import DiskBanner
from histobridge.widgets.flip_key import FlipKey
from histobridge.widgets.followups import FollowUps
from histobridge.widgets.job_panel import JobsPanel, Shelf
from histobridge.widgets.kept_forms import KeptForms
from histobridge.widgets.key_table import KeyTable
from histobridge.widgets.last_view import LastView
from histobridge.widgets.page import Page, line
from histobridge.widgets.page_scroll import PageScroll
from histobridge.widgets.project_bar import ProjectBar, StepBar
from histobridge.widgets.saving_box import show_saving
from histobridge.widgets.session import Session, words
from histobridge.widgets.side_docks import SideDocks
from histobridge.widgets.steps import STEPS
from histobridge.widgets.warm_up import WarmUp
from histobridge.widgets.welcome import Welcome

if TYPE_CHECKING:
    import napari.viewer

    from histobridge.engine.client import Engine

POLL_MS = 250


class HistoBridge(QWidget):
    """Carry labels from one modality to another, step by step.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Given by napari.
    engine : Engine, optional
        Runs the jobs; made on first use if not given.
    """

    # Qt sends the first events before the constructor is through.
    _docked = False
    _main_window: QWidget | None = None

    def __init__(self, napari_viewer: "napari.viewer.Viewer", engine: "Engine | None" = None):
        super().__init__()
        self.setMinimumWidth(340)
        self.setWindowTitle("HistoBridge")
        self.session = session = Session(engine)
        self.canvas = Canvas(napari_viewer)
        self._pages: dict[str, Page] = {}
        self.project_bar = ProjectBar(session)
        self.step_bar = StepBar(session, self.go)
        self.scroll = PageScroll()
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.disk_banner = DiskBanner(session)
        self.last_view = LastView(session, Standpoint(napari_viewer, self.canvas))
        self.jobs = JobsPanel(session)
        self.follow_ups = FollowUps(session)
        self.docks = SideDocks(self, napari_viewer, session, self.jobs)
        self.kept_forms = KeptForms(session)
        self.compare_bar = CompareBar(session, self.canvas, self.go)
        self.flip_key = FlipKey(self, self.canvas, KeyTable(session.remembered))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.project_bar, self.disk_banner, self.step_bar, line()):
            layout.addWidget(widget)
        layout.addWidget(self.scroll, 1)
        layout.addWidget(line())
        layout.addWidget(self.compare_bar)
        layout.addWidget(Shelf(self.jobs))
        self.welcome = Welcome(session, self.project_bar)
        self._show(self.welcome)
        self.project_bar.create_asked.connect(self.create_project)
        self.project_bar.open_asked.connect(self.open_project)
        self.project_bar.sample_asked.connect(self.create_sample)
        self.project_bar.bring_back_asked.connect(self.disk_banner.ask_file)
        session.project_changed.connect(self._project_changed)
        session.labels_awaited.connect(self._show_saving)
        self.warm_up = WarmUp(session, self)
        self._timer = QTimer(self)
        for look in (session.poll, self.project_bar.watch_lock, self.disk_banner.refresh, self.last_view.look):
            self._timer.timeout.connect(look)
        self._timer.start(POLL_MS)
        self.destroyed.connect(lambda *_: session.close())

    # -- projects --------------------------------------------------------------------------------------------------

    def create_project(self, path: Path) -> None:
        """Make a project and open it."""
        try:
            project = Project.create(Path(path))
        except (HistoBridgeError, OSError) as error:
            self.session.trouble.emit(words(error))
        else:
            self.session.open(project)

    def create_sample(self, path: Path) -> None:
        """Make the sample project in the background and open it."""

        def make() -> Project:
            from histobridge.core.sample import make_sample_project

            return make_sample_project(Path(path))

        self.session.later(make, self.session.open)

    def open_project(self, path: Path) -> None:
        """Open a project where the user left it."""
        try:
            project = Project.open(Path(path))
        except (HistoBridgeError, OSError) as error:
            self.session.trouble.emit(words(error))
        else:
            self.session.open(project)

    def _project_changed(self) -> None:
        project = self.session.project
        if project is None:
            self.step_bar.current = ""
            self.step_bar.refresh()
            self.canvas.clear()
            self._show(self.welcome)
            self.welcome.refresh()
        else:
            self.go(self.session.remembered.place(project.path).get("page", "images"))

    # -- pages -----------------------------------------------------------------------------------------------------

    def page(self, key: str) -> Page:
        """Return a page; made when first asked for, so that the dock opens at once."""
        if key not in self._pages:
            module, name = next(step.page for step in STEPS if step.key == key).split(":")
            self._pages[key] = getattr(import_module(module), name)(self.session, self.canvas, self.go)
            self.docks.page_made(self._pages[key], self.go)
            self.kept_forms.keep(self._pages[key])
        return self._pages[key]

    def go(self, key: str, **place: object) -> None:
        """Open a page, perhaps at a place such as an image."""
        project = self.session.project
        if project is None:
            return
        if self.step_bar.current in self._pages and self.step_bar.current != key:
            self._pages[self.step_bar.current].leave()
        self.session.remembered.stay(project.path, page=key, **place)
        page = self.page(key)
        self.step_bar.current = key
        self.step_bar.refresh()
        self._show(page)
        self.docks.page_shown(key)
        page.refresh()

    def _show(self, widget: QWidget) -> None:
        if self.scroll.widget() is not widget:
            before = self.scroll.takeWidget()
            if before is not None:
                before.setParent(self)
                before.hide()
            self.scroll.setWidget(widget)
            widget.show()

    # -- the life of the dock --------------------------------------------------------------------------------------

    def event(self, event: QEvent | None) -> bool:
        """Notice being docked, and being taken out by the dock's close button, which deletes nothing."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.session.close_project()
            self._docked = self.parent() is not None
        if event is not None and event.type() == QEvent.Type.Show and self._main_window is None:
            self._main_window = self.window()
            self._main_window.installEventFilter(self)
            self.warm_up.start()
        return super().event(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask before the user closes napari while jobs run or edits are not saved."""
        closing = watched is self._main_window and event is not None and event.type() == QEvent.Type.Close
        if closing and (event.spontaneous() or self._asked_by_menu()):
            if not (self.disk_banner.may_close() and self._may_close()):
                event.ignore()
                return True
            self._save_first()
        return super().eventFilter(watched, event)

    def _asked_by_menu(self) -> bool:
        """Whether the user closes by napari's menu or its key; a script's `Viewer.close` puts the canvas away first."""
        viewer = getattr(self._main_window, "_qt_viewer", None)
        return viewer is not None and viewer.isVisible()

    def _save_first(self) -> None:
        """Write all labels while there still is a window to show it; afterwards nothing is left to wait for."""
        self.session.unsaved.bring_up_to_date()
        self._show_saving()

    def _show_saving(self) -> None:
        show_saving(self, self.session.unsaved.kept)

    def _may_close(self) -> bool:
        """Ask whether jobs go on without the window."""
        running = self.session.running()
        if not running:
            return True
        box = QMessageBox(self)
        box.setWindowTitle("HistoBridge")
        many = f"{len(running)} jobs are still running. They" if len(running) > 1 else "A job is still running. It"
        box.setText(f"{many} can go on without napari.")
        keep = box.addButton("Keep running", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop them" if len(running) > 1 else "Stop it", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton("Stay here", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.exec()
        if box.clickedButton() is stop:
            for item in running:
                self.session.cancel(item.run)
        return box.clickedButton() in (keep, stop)
