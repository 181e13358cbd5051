"""Why this tile, in which order to go on, and whether that is worth the time: a part of the Review page."""

from collections.abc import Callable

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from histobridge.core.project import Project
from histobridge.widgets.desk import Place
from histobridge.widgets.followups import order_tiles
from histobridge.widgets.goal_bar import GoalBar
from histobridge.widgets.models import proposals_of
from histobridge.widgets.page import Lines, button, row
from histobridge.widgets.session import Session
from histobridge.widgets.tile_order import TileOrder
from histobridge.widgets.worklist import Worklist

ENOUGH_STYLE = "border-left: 4px solid #1d7a3a; padding-left: 6px; font-weight: bold;"


class QueueBox(QWidget):
    """Shows what the queue says of the open tile; `stop` is laid out by the page."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self.order = TileOrder(session)
        self.reason = Lines(2)
        self.stop = Lines(2)
        self.stop.setToolTip("An estimate from the scores of the models so far and your pace")
        self.by_queue = QCheckBox("Go by the queue")
        self.by_queue.setToolTip("Next is the tile that teaches most, as far as can be told; off: image by image")
        self.by_queue.clicked.connect(self._choose)
        self.order_button = button("Order tiles", self._order, "Put the tiles in an order again, in the background")
        self.tiles_button = button("Tiles", lambda: None, "The list of all tiles, to sort, filter and jump")
        self.tiles_button.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.reason, row(self.by_queue, self.order_button, self.tiles_button)):
            self._layout.addWidget(widget)

    def follow(
        self, worklist: Worklist, due: Callable[[Project], Place | None], show_tiles: Callable[[], object]
    ) -> None:
        """Show the progress of a worklist, slip in the blind checks that are due, offer the list of tiles."""
        self.order.due = due
        self._layout.insertWidget(0, GoalBar(self._session, worklist))
        self.tiles_button.clicked.connect(lambda *_: show_tiles())
        self.tiles_button.show()

    @property
    def leads(self) -> bool:
        """Whether the user goes by the queue, if there is one."""
        return self.by_queue.isChecked()

    def refresh(self) -> str:
        """Take the newest queue; returns why it cannot be read, or nothing."""
        project = self._session.project
        if project is not None:
            self.by_queue.setChecked(self._session.remembered.place(project.path).get("by_queue", True))
        return self.order.refresh()

    def describe(self, place: Place | None) -> None:
        """Say why a tile is shown; images with labels of their own are in no queue."""
        project, queue = self._session.project, self.order.queue
        target = project is not None and place is not None and project.image(place.image).domain == "target"
        ordering = any(item.verb == "rank" for item in self._session.running())
        why = self.order.reason(place) if place is not None else ""
        absent = "Not in the queue: it is decided, or new." if queue else "The tiles are in no order yet."
        self.setVisible(target)
        self.stop.setVisible(target)
        self.reason.setText(f"Why this tile: {why}" if why else absent)
        self.by_queue.setEnabled(queue is not None)
        self.order_button.setEnabled(bool(proposals_of(self._session)))
        self.order_button.setText("Order tiles")
        if ordering:
            self._say_ordering()
        self.stop.setText(f"Next ten minutes (estimated): {queue.stop.words}." if queue else "")
        enough = queue is not None and queue.stop.verdict == "stop"
        self.stop.setStyleSheet(ENOUGH_STYLE if enough else "")

    def _say_ordering(self) -> None:
        self.order_button.setEnabled(False)
        self.order_button.setText("Ordering…")

    def _choose(self, on: bool) -> None:
        if self._session.project is not None:
            self._session.remembered.stay(self._session.project.path, by_queue=on)

    def _order(self) -> None:
        order_tiles(self._session)
        self._say_ordering()
