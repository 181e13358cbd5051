"""Compare two models on the open tile by flipping between them: a bar below the page, whichever page is open."""

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.core.config import ProposeConfig
from histobridge.core.errors import HistoBridgeError
from histobridge.core.proposals import read_proposal
from histobridge.layers import Canvas
from histobridge.widgets.desk import Place
from histobridge.widgets.models import labelled_by, models_of, proposer
from histobridge.widgets.page import ERROR_STYLE, Note, button, heading, row
from histobridge.widgets.session import Followed, Session, words

EDITED = "your labels"


class CompareBar(QWidget):
    """Says what is compared and which side is seen; labels the open image with a model that has not done so yet."""

    def __init__(self, session: Session, canvas: Canvas, go: Callable[..., None]):
        super().__init__()
        self._session, self._canvas = session, canvas
        self._place: Place | None = None
        self._models: tuple[str, ...] = ()
        self._names: dict[str, str] = {}
        self._laid: tuple[object, ...] = ()
        self.says = Note()
        self.trouble = Note(style=ERROR_STYLE)
        self.flip_button = button("Flip (Tab)", self.flip, "Show the other of the two")
        self.label_button = button("Label this image", self.label, "Seconds to minutes; nothing of yours is changed")
        self.open_button = button("Open a tile", lambda: go("review"), "On the Review page")
        self.done_button = button("Done", self.end, "Take the layers of the comparison away")
        for each in (self.flip_button, self.label_button, self.open_button, self.done_button):
            each.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the canvas
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 8, 4)
        layout.setSpacing(2)
        actions = row(self.flip_button, self.label_button, self.open_button, self.done_button)
        for widget in (heading("Compare"), self.says, self.trouble, actions):
            layout.addWidget(widget)
        self.hide()
        canvas.flip.watchers.append(self._flipped)
        session.compare_asked.connect(self.begin)
        session.tile_opened.connect(self._opened)
        session.run_changed.connect(self._moved_on)
        session.project_changed.connect(self.end)

    # -- begin and end ---------------------------------------------------------------------------------------------

    def begin(self, first: str, second: str) -> None:
        """Compare the models of two runs; an empty first one: the labels as edited."""
        self._canvas.flip.take(self.end)
        self._models = tuple(run for run in (first, second) if run)
        self._names = {model.run.id: model.name for model in models_of(self._session)}
        self._laid = ()
        self.show()
        self.refresh()

    def end(self) -> None:
        """Stop comparing."""
        self._models, self._laid = (), ()
        self._canvas.flip.remove()
        self.hide()

    # -- show ------------------------------------------------------------------------------------------------------

    def _opened(self, place: Place | None) -> None:
        self._place = place
        if self._models:
            self.refresh()

    def _moved_on(self, item: Followed) -> None:
        if self._models and item.verb == "propose":
            self.refresh()

    def refresh(self) -> None:
        """Lay the labels of the models over the open tile, or say what is missing for it."""
        place = self._place if self._canvas.has_labels else None
        lacking = self._lacking(place)
        busy = bool(lacking) and all(self._under_way(model) for model in lacking)
        self.trouble.say("")
        if place is None or lacking:
            self._canvas.flip.remove()
            self._laid = ()
        else:
            self._lay(place)
        self.flip_button.setVisible(not lacking and place is not None)
        self.flip_button.setEnabled(self._canvas.flip.on)
        self.open_button.setVisible(place is None)
        self.label_button.setVisible(place is not None and bool(lacking))
        self.label_button.setEnabled(not busy)
        self.says.say(self._words(place, lacking, busy=busy))

    def _lay(self, place: Place) -> None:
        """Read what the models made of the tile and show it; does nothing if that is there already."""
        project, labels = self._session.project, self._canvas.labels
        if project is None or labels is None:
            return
        made = tuple(labelled_by(self._session, model, place.image) for model in self._models)
        if self._laid == (place.image, place.tile, made) and self._canvas.flip.on:
            return
        try:
            tiles = [read_proposal(project, run, place.image, place.tile.window)[0] for run in made]
        except (HistoBridgeError, OSError, ValueError) as error:
            self.trouble.say(words(error))
            return
        self._canvas.flip.show(labels, tiles)
        self._laid = (place.image, place.tile, made)

    def _flipped(self) -> None:
        if self._laid and self._canvas.flip.on:
            self.says.say(self._words(self._place, [], busy=False))

    def _words(self, place: Place | None, lacking: list[str], *, busy: bool) -> str:
        sides = [self._name(model) for model in self._models]
        sides = [EDITED, *sides] if len(sides) == 1 else sides
        if place is None:
            return f"{sides[0]} and {sides[1]}: open a tile to see them on."
        if lacking:
            names = " and ".join(map(self._name, lacking))
            if busy:
                return f"{place.image} is being labelled by {names}; see Jobs."
            return f"{place.image} is not labelled yet by {names}."
        second = self._canvas.flip.second
        return f"Seen now: {sides[second]}. The other: {sides[not second]}."

    def _name(self, model: str) -> str:
        return self._names.get(model, model)

    def _lacking(self, place: Place | None) -> list[str]:
        """Models that have not labelled the image of the tile."""
        if place is None:
            return []
        return [model for model in self._models if not labelled_by(self._session, model, place.image)]

    def _under_way(self, model: str) -> bool:
        image = self._place.image if self._place is not None else ""
        proposing = (item for item in self._session.running() if item.verb == "propose")
        return any(proposer(item) == model and image in (item.config["images"] or [image]) for item in proposing)

    # -- do --------------------------------------------------------------------------------------------------------

    def flip(self) -> None:
        """Show the other side."""
        self._canvas.flip.flip()

    def label(self) -> None:
        """Let the models label the open image, for the comparison only."""
        if self._place is None:
            return
        for model in self._lacking(self._place):
            if not self._under_way(model):
                images = (self._place.image,)
                config = ProposeConfig(route="model", segmenter=model, images=images, for_comparison=True)
                self._session.submit("propose", config)
        self.refresh()
