"""What a trained translator makes of the open tile: has it made once where it is missing, and says how that stands."""

from qtpy.QtCore import QObject, Signal

from histobridge.core.config import TranslateImageConfig
from histobridge.core.errors import HistoBridgeError
from histobridge.core.project import Project
from histobridge.core.runs import RunState
from histobridge.core.tile_views import INSTANT, Translated, trained_tile
from histobridge.core.tiles import Window
from histobridge.widgets.method_box import METHODS
from histobridge.widgets.session import Followed, Session, words
from histobridge.widgets.steps import TRANSLATORS

VERB = "translate-image"


class TrainedLook(QObject):
    """Asks for one job at a time, so that a user who goes from tile to tile does not fill the queue.

    Parameters
    ----------
    session : Session
    """

    moved = Signal()
    """A job that makes it has moved on; what was missing may be there."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self._asked: dict[TranslateImageConfig, str] = {}
        for changed in (session.project_changed, session.manifest_changed):
            changed.connect(self._asked.clear)
        session.run_changed.connect(self._follow)

    def in_use(self) -> str:
        """Run of the trained translator that is chosen by hand, else of the newest; empty if there is none."""
        project = self._session.project
        newest = self._session.newest(*TRANSLATORS, status="finished")
        chosen = project.manifest.active.get("translator", "") if project is not None else ""
        return chosen or (newest.run.id if newest is not None else "")

    def words(self, tile: Translated) -> str:
        """Say what is seen, and have made what is missing."""
        if tile.made_by != INSTANT:
            return f"Seen now: the translated image ({self._name(tile.made_by)})."
        if tile.missing is not None:
            return f"Seen now: the instant look; {self.ask(tile.missing)}."
        if tile.why:
            return f"Seen now: the instant look. {tile.why[0].upper()}{tile.why[1:]}."
        return "Seen now: the translated image (instant)."

    def ask(self, missing: TranslateImageConfig) -> str:
        """Have it made unless that was asked for; say how it stands."""
        wish = _wish(missing)
        if wish not in self._asked:
            live = [item for item in self._session.running() if item.verb == VERB]
            same = [item for item in live if _wish(TranslateImageConfig.model_validate(item.config)) == wish]
            if live and not same:
                return "the trained one is made next"
            run = same[0].run if same else self._session.submit(VERB, missing)
            if run is None:  # the window says why
                return "the trained one cannot be made now"
            self._asked[wish] = run.id
        item = self._session.followed.get(self._asked[wish])
        return _standing(item.state if item is not None else RunState())

    def _name(self, run_id: str) -> str:
        item = self._session.followed.get(run_id)
        method = METHODS.get(str(item.config.get("method", "")), "") if item is not None else ""
        return f"{method.split(':')[0]}, trained" if method else "by an imported translator"

    def _follow(self, item: Followed) -> None:
        if item.verb == VERB:
            self.moved.emit()


def look_again(project: Project, missing: TranslateImageConfig, window: Window) -> Translated | str | None:
    """Read what was missing; none if it still is, or why it cannot be read."""
    try:
        return trained_tile(project, missing, window)
    except (HistoBridgeError, OSError, ValueError) as error:
        return words(error)


def _wish(config: TranslateImageConfig) -> TranslateImageConfig:
    """What is asked for once: whole images wherever they begin."""
    return config.model_copy(update={"window": ()}) if config.whole else config


def _standing(state: RunState) -> str:
    """Say how a job stands whose result is missing."""
    if state.status in ("queued", "running"):
        return "the trained one is being made"
    if state.status == "failed":
        return f"the trained one could not be made: {state.message.rstrip('.')}"
    if state.status == "finished":
        return "the trained one was made, but is not there any more"
    return "the trained one was stopped; Resume, in Jobs, goes on with it"
