"""Whether a translator is any good, in words and pictures, and a button to use it."""

from collections.abc import Callable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.core.errors import ProjectError
from histobridge.core.translate.quality.lines import Line, lines_of
from histobridge.core.translate.quality.report import Quality, read_quality
from histobridge.core.translate.quality.verdict import tiling_words
from histobridge.widgets.form import Fold
from histobridge.widgets.page import ERROR_STYLE, Note, button, row
from histobridge.widgets.session import Followed
from histobridge.widgets.triptych import Triptych

EVIDENCE = {
    "structures": "Source → there and back → red: the segmenter sees something else",
    "tiles": "Tile by tile: before → translated → red: depends on where tiles begin",
}


class TranslatorVerdict(QWidget):
    """What was measured of the translator of one run.

    Parameters
    ----------
    use : callable
        Called with the id of the run that the user wants to propose labels with.
    """

    def __init__(self, use: Callable[[str], object]):
        super().__init__()
        self._use, self._run_id = use, ""
        self.trouble, self.words = Note(style=ERROR_STYLE), Note()
        self.measured, self.tiling, self.numbers = Note(), Note(), Note()
        self.more = Fold("Other numbers", _holding(self.numbers))
        self.more.setToolTip("Distances between looks, and how alike images are there and back")
        self.evidence = Triptych(EVIDENCE)
        self.use_button = button("Use it for labels", self._propose, "Go on to Labels with this translator")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for note in (self.trouble, self.words, self.measured, self.tiling):
            layout.addWidget(note)
        for widget in (self.more, self.evidence, row(self.use_button)):
            layout.addWidget(widget)

    def follow(self, item: Followed) -> None:
        """Say the verdict of a run that is done; nothing of one that is not."""
        trouble, quality = "", None
        done = item.state.status == "finished"
        try:
            quality = read_quality(item.run.path) if done else None
        except ProjectError as error:
            trouble = str(error)
        self._run_id = item.run.id
        self.trouble.say(trouble)
        self.words.say(quality.words() if quality is not None else "")
        lines = lines_of(quality) if quality is not None else []
        self.measured.say(_text([line for line in lines if line.verdict]))
        self.numbers.say(_text([line for line in lines if not line.verdict]))
        self.more.setVisible(bool(self.numbers.text()))
        self.tiling.say(_not_said_yet(quality) if quality is not None else "")
        if done:
            self.evidence.follow(item.run.path)
        self.evidence.setVisible(quality is not None and self.evidence.tiles() > 0)
        self.use_button.setVisible(done and (quality is None or quality.verdict != "failed"))

    def _propose(self) -> None:
        self._use(self._run_id)


def _text(lines: list[Line]) -> str:
    return "\n".join(line.words() for line in lines)


def _holding(note: Note) -> QWidget:
    """Put a note into a widget of its own, which can be folded away; a note shows itself."""
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(10, 0, 0, 0)
    layout.addWidget(note)
    return holder


def _not_said_yet(quality: Quality) -> str:
    """How tiles join, but for what is a reason of the verdict already."""
    return "\n".join(line for line in tiling_words(quality).splitlines() if line not in quality.reasons)
