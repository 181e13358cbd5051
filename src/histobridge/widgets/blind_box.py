"""Blind checks in the window: slipped in between other tiles, chosen and told in a small box."""

from qtpy.QtWidgets import QCheckBox, QDialog, QFormLayout, QSpinBox, QVBoxLayout, QWidget

from histobridge.core.blind import BlindChecks, answered, due_check, measure_agreement, read_checks, told, write_checks
from histobridge.core.errors import HistoBridgeError
from histobridge.core.heads import Key
from histobridge.core.project import Project
from histobridge.widgets.desk import Place
from histobridge.widgets.page import Lines, button, row
from histobridge.widgets.session import Session, words
from histobridge.widgets.worklist import Worklist


class BlindTurns:
    """Knows which tile is to be shown again now.

    Parameters
    ----------
    session : Session
    worklist : Worklist
    """

    def __init__(self, session: Session, worklist: Worklist):
        self._session, self._worklist = session, worklist
        self.checks = BlindChecks()
        self._given: set[Key] = set()
        session.project_changed.connect(self.reload)
        self.reload()

    def reload(self) -> None:
        """Read what was chosen, and what was answered already."""
        project = self._session.project
        self.checks, self._given = BlindChecks(), set()
        if project is not None:
            self._session.later(lambda: _read(project), self._take)

    def _take(self, found: tuple[BlindChecks, set[Key]]) -> None:
        self.checks, self._given = found[0], self._given | found[1]

    def due(self, project: Project) -> Place | None:
        """Return a tile to be shown again now, once in a session until it is answered."""
        if not (self.checks.on and project.lock.held and self._worklist.domain == "target"):
            return None
        self._worklist.look()
        found = due_check(self.checks, self._worklist.accepted(), self._given)
        if found is None:
            return None
        self._given.add(found.key)
        image, tile_id = found.key
        tiles = project.tiles(project.image(image))
        return next((Place(image, tile, found.check) for tile in tiles if tile.id == tile_id), None)


def _read(project: Project) -> tuple[BlindChecks, set[Key]]:
    return read_checks(project), {(record.id, tile) for record, tile in answered(project)}


class BlindBox(QDialog):
    """Choose blind checks and read what came of them; does not block the window."""

    def __init__(self, session: Session, turns: BlindTurns, parent: QWidget):
        super().__init__(parent)
        self.setWindowTitle("Blind checks")
        self._session, self._turns = session, turns
        self.on = QCheckBox("Show some tiles again, to see how far answers agree")
        self.on.setToolTip("Nothing says which. What you paint there is kept apart from your labels.")
        self.twice = _share("Of the accepted tiles, shown again as they were at first")
        self.without = _share("Of the accepted tiles, shown again without a proposal; those take long")
        self.show_button = button("How far do they agree?", self.tell, "Dice of the first and the second answer")
        self.result = Lines(3)
        self.result.setText("")
        self.result.setMinimumWidth(320)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Shown twice", self.twice)
        form.addRow("Without a proposal", self.without)
        layout = QVBoxLayout(self)
        layout.addWidget(self.on)
        layout.addLayout(form)
        layout.addWidget(row(self.show_button, button("Close", self.close)))
        layout.addWidget(self.result)
        self.on.clicked.connect(lambda _: self._choose())
        for box in (self.twice, self.without):
            box.editingFinished.connect(self._choose)

    def open_box(self) -> None:
        """Show what is chosen in the project."""
        checks = self._turns.checks
        self.on.setChecked(checks.on)
        self.twice.setValue(round(100 * checks.twice))
        self.without.setValue(round(100 * checks.without))
        for widget in (self.on, self.twice, self.without):
            widget.setEnabled(self._session.editable)
        self.result.setText("" if self._session.editable else "Somebody else edits this project.")
        self.show()
        self.raise_()

    def _choose(self) -> None:
        """Keep what was chosen."""
        project, before = self._session.project, self._turns.checks
        if project is None:
            return
        values = {"on": self.on.isChecked(), "twice": self.twice.value() / 100, "without": self.without.value() / 100}
        try:
            checks = BlindChecks.model_validate(before.model_dump() | values)
            if checks != before:
                write_checks(project, checks)
        except (HistoBridgeError, ValueError, OSError) as error:
            self.result.setText(words(error))
            return
        self._turns.checks = checks

    def tell(self) -> None:
        """Compare the answers, in the background."""
        project = self._session.project
        if project is not None:
            for flush in self._session.flushers:
                flush()
            self._session.later(lambda: measure_agreement(project), lambda found: self._say(told(found)))

    def _say(self, lines: list[str]) -> None:
        self.result.setText("\n".join(lines) or "No tile was accepted twice yet.")


def _share(tip: str) -> QSpinBox:
    made = QSpinBox()
    made.setRange(0, 50)
    made.setSuffix(" %")
    made.setToolTip(tip)
    return made
