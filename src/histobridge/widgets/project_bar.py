"""The top of the dock: which project is open, and the seven steps."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QGridLayout, QMenu, QMessageBox, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from histobridge.widgets.page import CHOSEN_STYLE, ERROR_STYLE, WARNING_STYLE, Note, button
from histobridge.widgets.session import Session
from histobridge.widgets.steps import SIGNS, STEPS, step_states

COLUMNS = 4


class ProjectBar(QWidget):
    """A menu button with the project's name, and what to know before editing."""

    create_asked = Signal(object)
    open_asked = Signal(object)
    sample_asked = Signal(object)
    bring_back_asked = Signal()

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self.button = QToolButton()
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setStyleSheet(CHOSEN_STYLE)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button.setToolTip("New, open, recent, folder, close")
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.button.setMenu(self.menu)
        self.read_only = Note(style=WARNING_STYLE)
        self.retry = button("Take over", self._take_over, "Edit this project in this window")
        self._gone = True
        self.trouble = Note(style=ERROR_STYLE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 0)
        for widget in (self.button, self.read_only, self.retry, self.trouble):
            layout.addWidget(widget)
        session.project_changed.connect(self.refresh)
        session.trouble.connect(self.trouble.say)
        self.refresh()

    def refresh(self) -> None:
        """Show the open project."""
        project = self._session.project
        self.button.setText(f"{project.name} ▾" if project else "No project open ▾")
        why = self._session.read_only
        self.read_only.say(f"Read-only: {why}." if why else "")
        self.retry.hide()
        self.trouble.say("")
        self.watch_lock()

    def watch_lock(self) -> None:
        """Offer to take over when the other window is gone, or may be; notice when this one was taken over.

        The window's timer calls this.
        """
        project = self._session.project
        if project is None:
            return
        if self._session.editable and project.lock.taken_over:
            self._session.take_lock()
        if self._session.read_only:
            holder = project.lock.holder()
            self._gone = holder is None or holder.stale
            if self._gone and self._session.locked_out:
                self.read_only.say("Read-only: it was open elsewhere when you opened it. Nobody edits it now.")
            again = "Take over" if self._session.locked_out else "Try again"
            self.retry.setText(again if self._gone else "Take over…")
            self.retry.setVisible(holder is None or holder.stale or holder.elsewhere)

    def _take_over(self) -> None:
        """Become the editor; asks first where the other may still be at it."""
        self.watch_lock()
        question = "Whether it is still open on the other machine cannot be seen from here. Edit it here all the same?"
        if self._gone or QMessageBox.question(self, "HistoBridge", question) == QMessageBox.StandardButton.Yes:
            self._session.take_lock(take_over=not self._gone)

    def fill_menu(self) -> None:
        """Rebuild the menu; recent projects change."""
        self.menu.clear()
        self.menu.addAction("New project…", self.ask_new)
        self.menu.addAction("Open project…", self.ask_open)
        recent = self.menu.addMenu("Recent")
        for path in self._session.remembered.recent:
            recent.addAction(f"{path.name}   {path.parent}", lambda path=path: self.open_asked.emit(path))
        recent.setEnabled(not recent.isEmpty())
        project = self._session.project
        self.menu.addSeparator()
        folder = self.menu.addAction("Show folder", self._show_folder)
        back = self.menu.addAction("Bring saved edits back…", self.bring_back_asked.emit)
        back.setEnabled(self._session.editable)
        close = self.menu.addAction("Close project", self._session.close_project)
        folder.setEnabled(project is not None)
        close.setEnabled(project is not None)

    def ask_new(self) -> None:
        """Ask for the folder of a new project."""
        name, _ = QFileDialog.getSaveFileName(self, "New project: name of its folder", str(Path.home() / "project"))
        if name:
            self.create_asked.emit(Path(name))

    def ask_sample(self) -> None:
        """Ask where to make the sample project."""
        start = str(Path.home() / "histobridge-sample")
        name, _ = QFileDialog.getSaveFileName(self, "Sample project: name of its folder", start)
        if name:
            self.sample_asked.emit(Path(name))

    def ask_open(self) -> None:
        """Ask for the folder of an existing project."""
        name = QFileDialog.getExistingDirectory(self, "Open project: choose its folder")
        if name:
            self.open_asked.emit(Path(name))

    def _show_folder(self) -> None:
        if self._session.project is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._session.project.path)))


class StepBar(QWidget):
    """Seven buttons: done ●, current ◉, open ○, needs attention ▲."""

    def __init__(self, session: Session, go: Callable[[str], None]):
        super().__init__()
        self._session = session
        self.current = ""
        self.buttons: dict[str, QToolButton] = {}
        layout = QGridLayout(self)
        layout.setContentsMargins(8, 2, 8, 2)
        layout.setSpacing(2)
        for index, step in enumerate(STEPS):
            made = QToolButton()
            made.setCheckable(True)
            made.setStyleSheet(CHOSEN_STYLE)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            made.clicked.connect(lambda _=False, key=step.key: go(key))
            layout.addWidget(made, index // COLUMNS, index % COLUMNS)
            self.buttons[step.key] = made
        for signal in (session.project_changed, session.manifest_changed, session.status_changed):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show where the user is, and what each step says."""
        project = self._session.project
        runs = {item.run.id: (item.verb, item.state) for item in self._session.followed.values()}
        states = step_states(project, runs) if project else {}
        for step in STEPS:
            state = states.get(step.key, "open")
            shown = "current" if step.key == self.current and state != "attention" else state
            made = self.buttons[step.key]
            made.setText(f"{SIGNS[shown]} {step.title}")
            made.setToolTip({"attention": "needs attention"}.get(state, state))
            made.setChecked(step.key == self.current)
            made.setEnabled(project is not None)
