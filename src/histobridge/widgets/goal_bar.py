"""Progress of the reviewing towards a goal: a part of the Review page."""

from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSpinBox, QWidget

from histobridge.widgets.session import Session
from histobridge.widgets.worklist import Worklist

FIRST_GOAL = 20
"""Tiles to aim for unless the user says otherwise; the stop line tells when fewer were enough."""

MOST = 99_999


class GoalBar(QWidget):
    """How many tiles are accepted, and how many shall be.

    Parameters
    ----------
    session : Session
    worklist : Worklist
    """

    def __init__(self, session: Session, worklist: Worklist):
        super().__init__()
        self._session, self._worklist = session, worklist
        self.bar = QProgressBar()
        self.bar.setMaximumHeight(18)
        self.goal = QSpinBox()
        self.goal.setRange(1, MOST)
        self.goal.setToolTip("How many tiles you want to review")
        self.goal.setMaximumWidth(100)
        self.goal.setAccessibleName("Goal in tiles")
        self.goal.editingFinished.connect(self._choose)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar, 1)
        layout.addWidget(QLabel("Goal"))
        layout.addWidget(self.goal)
        worklist.renewed.connect(self.refresh)
        worklist.changed.connect(self.refresh)
        self.refresh()

    def refresh(self, _: object = None) -> None:
        """Count again."""
        project, tiles = self._session.project, len(self._worklist.rows)
        if project is None:
            return
        goal = self._session.remembered.place(project.path).get("goal", min(FIRST_GOAL, max(1, tiles)))
        done = self._worklist.counts()["accepted"]
        if not self.goal.hasFocus():
            self.goal.setValue(goal)
        self.bar.setRange(0, goal)
        self.bar.setValue(min(done, goal))
        left = f"{goal - done} to go" if done < goal else "goal reached"
        self.bar.setFormat(f"{done} reviewed, {left}")
        self.bar.setToolTip(f"{done} of {tiles} {self._worklist.domain} tiles are accepted")

    def _choose(self) -> None:
        project = self._session.project
        if project is not None and self._worklist.read:
            self._session.remembered.stay(project.path, goal=self.goal.value())
            self.refresh()
