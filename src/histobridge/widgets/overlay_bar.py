"""What lies over the tile, one thing at a time: translated image, confidence, disagreement, the model before."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from histobridge.core.errors import HistoBridgeError
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.tile_views import Translated, differing, translated_tile
from histobridge.layers import Canvas
from histobridge.overlays import look_of
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.key_table import BY_ACTION, KeyTable, shown
from histobridge.widgets.models import proposals_of
from histobridge.widgets.page import CHOSEN_STYLE, Note, row
from histobridge.widgets.session import Session, words
from histobridge.widgets.trained_look import TrainedLook, look_again

PLAIN = "plain"
TEXTS = {
    "translated": "Translated",
    "confidence": "Unsure",
    "disagreement": "Disagree",
    "previous": "Before",
}
Wanted = tuple[str, Place | None, str]
"""Overlay, place and kind of blind check."""
DRAWN_MS = 20
"""After a tile was opened; of several in a row only the last is completed."""
OUTLINES = ("dark outline", "outline only", "no outline")


@dataclass(frozen=True, slots=True)
class Laid:
    """What was read for a tile, ready to be laid over it."""

    pixels: NDArray[Any]
    says: str
    zoom: float = 1.0
    origin: tuple[float, float] | None = None
    translated: Translated | None = None


class OverlayBar(QWidget):
    """Read in the background, kept from tile to tile, taken away by the same button or key again.

    Parameters
    ----------
    session : Session
    canvas : Canvas
    desk : Desk
    table : KeyTable
    """

    def __init__(self, session: Session, canvas: Canvas, desk: Desk, table: KeyTable):
        super().__init__()
        self._session, self._canvas, self._desk, self._table = session, canvas, desk, table
        self._chosen, self._shows = PLAIN, ""
        self._wanted: Wanted = (PLAIN, None, "")
        self._outline = 0
        self._waits: Translated | None = None
        self.trained = TrainedLook(session)
        self.trained.moved.connect(self._look_again)
        self.buttons: dict[str, QPushButton] = {}
        for kind, text in TEXTS.items():
            made = QPushButton(text)
            made.setCheckable(True)
            made.setStyleSheet(CHOSEN_STYLE)
            made.setMinimumWidth(_bold_width(made))
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the canvas
            made.setToolTip(BY_ACTION[kind].words.capitalize())
            made.clicked.connect(lambda _=False, kind=kind: self.press(kind))
            self.buttons[kind] = made
        self.says = Note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(*self.buttons.values(), stretch=False))
        layout.addWidget(self.says)
        canvas.flip.watchers.append(self._flipped)
        self._complete_soon = QTimer(self)
        self._complete_soon.setSingleShot(True)
        self._complete_soon.timeout.connect(self.complete)

    def presses(self) -> dict[str, Callable[[], object]]:
        """What the keys of the overlays do."""
        return {kind: partial(self.press, kind) for kind in (PLAIN, *TEXTS)} | {"outline": self.next_outline}

    # -- choose ----------------------------------------------------------------------------------------------------

    def press(self, kind: str) -> None:
        """Choose an overlay by its key; the same key again takes it away."""
        self.choose(PLAIN if kind == self._chosen else kind)

    def choose(self, kind: str) -> None:
        """Lay something else over the tile."""
        if kind != PLAIN:
            self._canvas.flip.take(self._lost)
            self._canvas.flip.second = True
        elif self._chosen != PLAIN:
            self._canvas.flip.remove()
        self._mark(kind)
        self.refresh()

    def _lost(self) -> None:
        """Another comparison has begun."""
        self._mark(PLAIN)
        self._wanted = (PLAIN, None, "")
        self.says.say("")

    def _mark(self, kind: str) -> None:
        self._chosen, self._shows = kind, ""
        for each, made in self.buttons.items():
            made.setChecked(each == kind)

    # -- show ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what is chosen for the open tile, in the background; a tile on which it lies already is left alone."""
        project, place = self._session.project, self._desk.place
        wanted = (self._chosen, place, place.check if place is not None else "")
        if self._chosen == PLAIN or project is None or place is None or self._canvas.labels is None:
            self._wanted = wanted
            self.says.say("")
            return
        if wanted == self._wanted and self._canvas.flip.on:
            return
        self._wanted, self._waits = wanted, None
        if place.check:
            self._arrived(wanted, "Not during a blind check: it would tell what the model thinks.")
            return
        runs = self._runs(project, place)
        self.says.say("Reading…")
        read = partial(_read, self._chosen, project, place, runs, self.trained.in_use())
        self._session.later(read, partial(self._arrived, wanted))

    def _runs(self, project: Project, place: Place) -> list[tuple[str, str]]:
        """Runs that labelled the image and their names: the one that is shown first, then the others, newest first."""
        edit = self._desk.edit
        labelled = [
            item for item in reversed(proposals_of(self._session)) if has_proposal(project, item.run.id, place.image)
        ]
        first = edit.proposal_run if edit is not None and edit.proposal_run else ""
        named = [(item.run.id, str(item.state.result.get("route", "") or item.run.id)) for item in labelled]
        return sorted(named, key=lambda run: run[0] != first)

    def _arrived(self, wanted: Wanted, found: Laid | str) -> None:
        """Lay it over the tile, unless the user has gone on meanwhile."""
        labels = self._canvas.labels
        if wanted != self._wanted or labels is None:
            return
        if isinstance(found, str):
            second = self._canvas.flip.second
            self._canvas.flip.remove()
            self._canvas.flip.second = second
            self._shows = ""
            self.says.say(found)
            return
        tile = found.translated
        self._waits = tile if tile is not None and tile.missing is not None else None
        self._shows = self.trained.words(tile) if tile is not None else found.says
        if self._chosen == "previous":
            self._canvas.flip.show(labels, [found.pixels])
        else:
            scale = tuple(float(side) / found.zoom for side in labels.scale)
            look = look_of(self._chosen) | {"scale": scale, "translate": labels.translate, "units": labels.units}
            if found.origin is not None:
                look["translate"] = tuple(at * float(side) for at, side in zip(found.origin, labels.scale, strict=True))
            self._canvas.flip.show_over(labels, self._chosen, found.pixels, look)

    def _look_again(self) -> None:
        """The trained look of the tile may be there now, in place of the instant one."""
        project, place = self._session.project, self._wanted[1]
        if project is not None and place is not None and self._waits is not None and self._waits.missing is not None:
            look = partial(look_again, project, self._waits.missing, place.tile.window)
            self._session.later(look, partial(self._looked, self._wanted))

    def _looked(self, wanted: Wanted, found: Translated | str | None) -> None:
        """Show the trained look, or say how it stands."""
        if wanted != self._wanted or self._chosen != "translated" or self._waits is None:
            return
        if isinstance(found, Translated):
            self._arrived(wanted, _laid(found))
        elif self._canvas.flip.on:
            self._shows = f"Seen now: the instant look. {found}" if found else self.trained.words(self._waits)
            self._flipped()

    def _flipped(self) -> None:
        """Something else is seen: say what, and draw its outline."""
        if self._shows and self._canvas.flip.on:
            key = shown(self._table.key("flip"))
            seen = (
                self._shows if self._canvas.flip.second else f"Seen now: the plain tile. {key} shows the overlay again."
            )
            self.says.say(seen)
        self.draw_outline()

    # -- outline and surroundings ----------------------------------------------------------------------------------

    def complete_soon(self) -> None:
        """Add outline and surroundings when the tile has been drawn, which is what one waits for."""
        self._complete_soon.start(DRAWN_MS)

    def complete(self) -> None:
        """Add the outline of the tile and what lies around it."""
        self._complete_soon.stop()
        self._desk.show_around()
        self.draw_outline()

    def next_outline(self) -> None:
        """Dark outline around filled labels, coloured outlines only, filled labels only."""
        self._outline = (self._outline + 1) % len(OUTLINES)
        self.draw_outline()

    def draw_outline(self) -> None:
        """Outline the labels that are seen."""
        flip, labels = self._canvas.flip, self._canvas.labels
        if labels is None or not self._canvas.has_labels:
            return
        seen = flip.seen if flip.on and flip.layers else labels
        for layer in (labels, *flip.layers):
            contour = 2 if OUTLINES[self._outline] == "outline only" else 0
            if layer.contour != contour:
                layer.contour = contour
        self._canvas.overlays.outline(seen if self._outline == 0 else None)


def _bold_width(made: QPushButton) -> int:
    """Width at which the text of a button is not cut when the chosen one turns bold."""
    font = made.font()
    font.setBold(True)
    return QFontMetrics(font).horizontalAdvance(made.text()) + 16


def _laid(tile: Translated) -> Laid:
    return Laid(tile.pixels, "", tile.zoom, tile.origin, tile)


def _read(kind: str, project: Project, place: Place, runs: list[tuple[str, str]], trained: str) -> Laid | str:
    """Read an overlay, or say in words why there is none."""
    window = place.tile.window
    try:
        if kind == "translated":
            return _laid(translated_tile(project, place.image, window, trained))
        if not runs:
            return "No model has labelled this image yet."
        classes, confidence = read_proposal(project, runs[0][0], place.image, window)
        if kind == "confidence":
            unsure = float((confidence < 128).mean())
            return Laid(confidence, f"Red orange: the model is unsure ({unsure:.1%} of the tile, estimated).")
        if len(runs) < 2:
            return "Only one model has labelled this image; there is none to compare it with."
        other, _ = read_proposal(project, runs[1][0], place.image, window)
    except (HistoBridgeError, OSError, ValueError) as error:
        return words(error)
    if kind == "previous":
        return Laid(other, f"Seen now: labels of the model before ({runs[1][1]}).")
    return Laid(
        differing(classes, other),
        f"Purple: {runs[0][1]} and {runs[1][1]} differ ({float(np.mean(classes != other)):.1%} of the tile).",
    )
