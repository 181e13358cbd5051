"""What the dock shows while no project is open."""

from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.widgets.page import Note, button, heading
from histobridge.widgets.project_bar import ProjectBar
from histobridge.widgets.session import Session


class Welcome(QWidget):
    """The ways in: a new project, an existing one, the sample, one of the last ones."""

    def __init__(self, session: Session, bar: ProjectBar):
        super().__init__()
        self._session, self._bar = session, bar
        layout = QVBoxLayout(self)
        layout.addWidget(heading("Labels in one modality, none in the other?"))
        layout.addWidget(
            Note(
                "HistoBridge learns your labels, translates between the two looks, proposes labels for the images that "
                "have none, and lets you correct them. A project is one folder that holds it all."
            )
        )
        self.new = button("New project…", bar.ask_new, "Choose a name for a new folder", primary=True)
        layout.addWidget(self.new)
        layout.addWidget(button("Open project…", bar.ask_open, "Choose the folder of a project"))
        layout.addWidget(button("Try the sample…", bar.ask_sample, "Made-up nerve fields in two modalities"))
        self._heading = heading("Recent")
        layout.addWidget(self._heading)
        self._recent = QVBoxLayout()
        layout.addLayout(self._recent)
        layout.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """List the projects opened last."""
        while self._recent.count():
            self._recent.takeAt(0).widget().deleteLater()
        recent = self._session.remembered.recent
        self._heading.setVisible(bool(recent))
        for path in recent:
            self._recent.addWidget(button(path.name, lambda path=path: self._bar.open_asked.emit(path), str(path)))
