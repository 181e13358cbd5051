"""The second and the third dock: Tiles with the Review page, Monitor on demand; and who counts the effort."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from histobridge.widgets.desk import Place
from histobridge.widgets.job_panel import JobsPanel
from histobridge.widgets.page import Page, button
from histobridge.widgets.session import Session

if TYPE_CHECKING:
    import napari.viewer

    from histobridge.widgets.effort_watch import EffortWatch
    from histobridge.widgets.monitor_dock import MonitorDock
    from histobridge.widgets.tiles_dock import TilesDock

LAYER_LIST = "layer list"


class SideDocks(QObject):
    """Makes the other docks when they are first needed, and puts them back when the user has closed them.

    Parameters
    ----------
    window : QWidget
        The first dock; owns this.
    viewer : napari.viewer.Viewer
    session : Session
    jobs : JobsPanel
        A click there opens the Monitor.
    """

    def __init__(self, window: QWidget, viewer: "napari.viewer.Viewer", session: Session, jobs: JobsPanel):
        super().__init__(window)
        self._window, self._viewer, self._session = window, viewer, session
        self.tiles: TilesDock | None = None
        self.monitor: MonitorDock | None = None
        self.effort: EffortWatch | None = None
        self._shown = False
        jobs.opened.connect(self.show_monitor)
        session.tile_opened.connect(self._watch)

    # -- Tiles -----------------------------------------------------------------------------------------------------

    def page_made(self, page: Page, go: Callable[[str], None]) -> None:
        """Give the Review page its worklist, its blind checks and its watch."""
        if not hasattr(page, "queue"):
            return
        from histobridge.widgets.blind_box import BlindBox, BlindTurns
        from histobridge.widgets.effort_watch import EffortWatch
        from histobridge.widgets.tiles_dock import TilesDock
        from histobridge.widgets.worklist import Worklist

        def jump(place: Place) -> None:
            go("review")
            page.open(place)

        worklist = Worklist(self._session, page.desk)
        turns = BlindTurns(self._session, worklist)
        self.effort = EffortWatch(self._session, page.desk)
        for each in (worklist, self.effort):
            each.setParent(self)
        self.effort.logged.connect(worklist.spend)
        self.tiles = TilesDock(self._session, worklist, jump)
        box = BlindBox(self._session, turns, self.tiles)
        self.tiles.add(button("Blind checks…", box.open_box, "Show some tiles again, to see how far answers agree"))
        page.queue.follow(worklist, turns.due, self.show_tiles)
        worklist.refresh()

    def page_shown(self, key: str) -> None:
        """Open the Tiles dock with the Review page, once; count the effort only there."""
        if self.effort is not None:
            self.effort.reviewing(key == "review")
        if key == "review" and not self._shown:
            self._shown = True
            QTimer.singleShot(0, self.show_tiles)  # the picture comes first

    def show_tiles(self) -> None:
        """Show the Tiles dock, as a tab of the layer list."""
        if self.tiles is None:
            return
        dock = self._docked(self.tiles, "Tiles", "left")
        main = self._window.window()
        layers = main.findChild(QDockWidget, LAYER_LIST) if isinstance(main, QMainWindow) else None
        if layers is not None and dock is not None and dock not in main.tabifiedDockWidgets(layers):
            main.tabifyDockWidget(layers, dock)
        self._raise(dock)

    def _watch(self, _: object) -> None:
        if self.effort is not None:
            self.effort.watch(self._window)

    # -- Monitor ---------------------------------------------------------------------------------------------------

    def show_monitor(self, run_id: str = "") -> None:
        """Show the Monitor dock, perhaps with one job."""
        from histobridge.widgets.monitor_dock import MonitorDock

        if self.monitor is None:
            self.monitor = MonitorDock(self._session)
            self._keep_sides()
        self._raise(self._docked(self.monitor, "Monitor", "bottom"))
        if run_id:
            self.monitor.follow(run_id)

    def _keep_sides(self) -> None:
        """Let the docks at the sides keep their height: the Monitor goes below the canvas only."""
        main = self._window.window()
        if isinstance(main, QMainWindow):
            main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
            main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)

    # -- both ------------------------------------------------------------------------------------------------------

    def _docked(self, widget: QWidget, name: str, area: str) -> QDockWidget | None:
        """Return the dock of a widget; made anew if the user has closed it."""
        if widget.parent() is None:
            self._viewer.window.add_dock_widget(
                widget, name=name, area=area, tabify=area == "left", add_vertical_stretch=False
            )
        around = widget.parentWidget()
        while around is not None and not isinstance(around, QDockWidget):
            around = around.parentWidget()
        return around

    @staticmethod
    def _raise(dock: QDockWidget | None) -> None:
        if dock is not None:
            dock.show()
            # Qt moves a new tab to the front only when the layout has settled.
            QTimer.singleShot(0, dock.raise_)
