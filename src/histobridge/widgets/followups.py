"""What follows by itself when a job has ended: the verdict on a model is applied, the tiles are put in order."""

from qtpy.QtCore import QObject

from histobridge.core.config import RankConfig
from histobridge.core.gate import KIND, apply_gate
from histobridge.core.runs import Run
from histobridge.widgets.session import Followed, Session


class FollowUps(QObject):
    """Goes on for the user, in the window that may edit."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        session.project_changed.connect(self._catch_up)
        session.run_ended.connect(self._go_on)

    def _catch_up(self) -> None:
        """Apply the verdicts on models that were finished while no window was open."""
        items = self._session.followed.values()
        self._judge([item.run for item in items if item.verb == "finetune" and item.state.status == "finished"])

    def _go_on(self, item: Followed) -> None:
        if item.state.status != "finished" or not self._session.editable:
            return
        if item.verb == "finetune":
            self._judge([item.run])
        if item.verb in ("finetune", "propose") and not item.config.get("for_comparison"):
            order_tiles(self._session)

    def _judge(self, runs: list[Run]) -> None:
        project = self._session.project
        if project is None or not self._session.editable:
            return
        used = project.manifest.active.get(KIND)
        if open_runs := [run for run in runs if run.id != used]:
            self._session.edit(lambda opened: [apply_gate(opened, run) for run in open_runs])


def order_tiles(session: Session) -> None:
    """Put the tiles in the order in which they are best reviewed; a job that waits already will do."""
    for flush in session.flushers:
        flush()
    if not any(item.verb == "rank" and item.state.status == "queued" for item in session.running()):
        session.submit("rank", RankConfig())
