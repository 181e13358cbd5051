"""Remembers where the user stands in a tile, and leads back there when the project is opened again."""

from typing import Any

from histobridge.standpoint import Standpoint
from histobridge.widgets.desk import Place
from histobridge.widgets.session import Session


class LastView:
    """Zoom, place, brush and class of the open tile, kept with what else is remembered of a project.

    Parameters
    ----------
    session : Session
    standpoint : Standpoint
    """

    def __init__(self, session: Session, standpoint: Standpoint):
        self._session, self._standpoint = session, standpoint
        self._place: Place | None = None
        self._first = True
        self._seen: dict[str, Any] = {}
        session.project_changed.connect(self._project_changed)
        session.tile_opened.connect(self._opened)

    def look(self) -> None:
        """Remember the view once it rests; the window's timer calls this."""
        project, place = self._session.project, self._place
        if project is None or place is None:
            return
        seen = {"image": place.image, "tile": place.tile.id} | self._standpoint.view()
        if seen == self._seen:
            self._session.remembered.stay(project.path, view=seen)
        self._seen = seen

    def _project_changed(self) -> None:
        self._first, self._place = True, None

    def _opened(self, place: Place | None) -> None:
        self._place = place
        project = self._session.project
        if place is None or project is None or not self._first:
            return
        self._first = False
        view = self._session.remembered.place(project.path).get("view")
        if isinstance(view, dict) and (view.get("image"), view.get("tile")) == (place.image, place.tile.id):
            self._standpoint.restore(view)
