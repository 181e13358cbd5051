"""What is shown above all pages while edits cannot be written, or wait to be brought back."""

import time
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from histobridge.core.errors import HistoBridgeError
from histobridge.core.unsaved import ENDING
from histobridge.widgets.kept_stores import bring_all_back, rescued
from histobridge.widgets.page import ERROR_STYLE, WARNING_STYLE, Note, button, row
from histobridge.widgets.session import Session, words

RETRY_S = 5.0


class DiskBanner(QWidget):
    """Says how many edits are not saved and why, and offers what can be done; not there when all is well.

    Parameters
    ----------
    session : Session
        Its `unsaved` edits are looked at by `refresh`, which the window's timer calls.
    """

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self._tried = 0.0
        self._files: list[Path] = []
        self._saved_to = ""
        self.note = Note(style=ERROR_STYLE)
        self.retry_button = button("Retry", self.retry, "Try again to write to the project")
        self.elsewhere_button = button("Save elsewhere…", self.ask_elsewhere, "Write them to a folder you choose")
        self.doing = row(self.retry_button, self.elsewhere_button)
        self.waiting = Note(style=WARNING_STYLE)
        self.back_button = button("Bring them back", self.bring_back, "Add them to the labels of this project")
        self.back = row(self.back_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 8, 2)
        for widget in (self.note, self.doing, self.waiting, self.back):
            layout.addWidget(widget)
        self.hide()
        session.project_changed.connect(self.look_for_rescued)

    # -- edits that cannot be written ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is not saved now; tries again by itself every few seconds."""
        unsaved = self._session.unsaved
        trouble = unsaved.trouble()
        if trouble and time.monotonic() - self._tried > RETRY_S:
            self._tried = time.monotonic()
            unsaved.retry()
        if not trouble:
            self._saved_to = ""
        unsaved.kept.tidy()
        self.note.say(self._told(trouble))
        self.doing.setVisible(bool(trouble))
        self.setVisible(bool(trouble or self._files))

    def _told(self, trouble: str) -> str:
        if not trouble:
            return ""
        count = self._session.unsaved.count()
        safe = f" The others are in {self._saved_to}." if count else f" They are in {self._saved_to}."
        pending = count or sum(store.journal.pending for store in self._session.unsaved.stores)
        return (
            f"{_edits(pending)} not saved in the project: {trouble}. You can go on painting; HistoBridge keeps trying."
            + (safe if self._saved_to else "")
        )

    def retry(self) -> None:
        """Try again to write."""
        self._session.unsaved.retry()
        self.refresh()

    def ask_elsewhere(self) -> bool:
        """Ask for a folder and write the edits there; returns whether they are safe."""
        name = QFileDialog.getExistingDirectory(self, "Save the edits in this folder", str(Path.home()))
        if not name or self._session.project is None:
            return False
        try:
            self._session.unsaved.save_elsewhere(self._session.project, Path(name))
        except OSError as error:
            self._session.trouble.emit(f"The edits could not be saved in {name}: {words(error)}")
            return False
        self._saved_to = name
        self.refresh()
        return True

    def may_close(self) -> bool:
        """Ask what shall become of edits that are not saved; true if there are none."""
        unsaved = self._session.unsaved
        unsaved.retry()
        count = unsaved.count()
        if not unsaved.trouble() or not count:
            return True
        box = QMessageBox(self)
        box.setWindowTitle("HistoBridge")
        box.setText(f"{_edits(count)} not saved in the project: {unsaved.trouble()}.")
        box.setInformativeText(
            "If you close now, HistoBridge puts them into your own folder and offers them next time."
        )
        stay = box.addButton("Stay and keep trying", QMessageBox.ButtonRole.RejectRole)
        elsewhere = box.addButton("Save elsewhere…", QMessageBox.ButtonRole.AcceptRole)
        close = box.addButton("Close", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(stay)
        box.exec()
        if box.clickedButton() is elsewhere:
            return self.ask_elsewhere()
        return box.clickedButton() is close

    # -- edits that wait to be brought back ------------------------------------------------------------------------

    def look_for_rescued(self) -> None:
        """See whether edits of the open project were left behind when it was closed last."""
        project = self._session.project
        self._files = rescued(project) if project is not None and self._session.editable else []
        self._wait()

    def ask_file(self) -> None:
        """Ask for a file of edits saved elsewhere and bring them back."""
        name, _ = QFileDialog.getOpenFileName(self, "Edits saved elsewhere", str(Path.home()), f"Edits (*{ENDING})")
        if name:
            self._files = [Path(name)]
            self.bring_back()

    def bring_back(self) -> None:
        """Add the waiting edits to the project."""
        project = self._session.project
        if project is None:
            return
        try:
            self._session.put_labels_away()
            bring_all_back(project, self._files)
        except (HistoBridgeError, OSError) as error:
            self._session.trouble.emit(words(error))
        else:
            self._files = []
        self._session.manifest_changed.emit()  # The page Review opens its tile again.
        self._wait()

    def _wait(self) -> None:
        count = len(self._files)
        files = "a file" if count == 1 else f"{count} files"
        told = f"This project could not be written when it was closed; its newest edits are kept in {files}."
        self.waiting.say(told if count else "")
        self.back.setVisible(bool(count))
        self.refresh()


def _edits(count: int) -> str:
    return "1 edit is" if count == 1 else f"{count} edits are"
