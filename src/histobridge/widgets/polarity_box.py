"""Ask which polarity is right: one tile of the target under both, to click."""

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from histobridge.core.judge import POLARITIES, Polarity
from histobridge.widgets.page import Note, button
from histobridge.widgets.pictures import Picture

WORDS: dict[Polarity, tuple[str, str]] = {
    "keep": ("Keep", "Bright in the source is bright in the target"),
    "invert": ("Invert", "Bright in the source is dark in the target"),
}
ASK = "Click the picture whose outlines lie right:"
WRONG = "Polarity is wrong?"


class PolarityBox(QWidget):
    """Two buttons, and above them what the source segmenter sees under either polarity while that is not certain."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.question = Note(WRONG)
        layout.addWidget(self.question)
        grid = QGridLayout()
        layout.addLayout(grid)
        self.pictures: dict[Polarity, ClickedPicture] = {}
        for column, polarity in enumerate(POLARITIES):
            text, tip = WORDS[polarity]
            self.pictures[polarity] = made = ClickedPicture(150)
            made.setToolTip(f"{text}: {tip}. Outlines: what is recognised then")
            made.clicked.connect(lambda polarity=polarity: self.chosen.emit(polarity))
            grid.addWidget(made, 0, column)
            grid.addWidget(button(text, lambda polarity=polarity: self.chosen.emit(polarity), tip), 1, column)

    def show_files(self, folder: Path, *, ask: bool) -> None:
        """Show the pictures of a matching if they are there and the user is asked."""
        files = {polarity: folder / f"preview-{polarity}.png" for polarity in POLARITIES}
        asking = ask and all(file.exists() for file in files.values())
        self.question.say(ASK if asking else WRONG)
        for polarity, file in files.items():
            self.pictures[polarity].setVisible(asking)
            if asking:
                self.pictures[polarity].show_file(file)


class ClickedPicture(Picture):
    """A picture that can be clicked."""

    clicked = Signal()

    def __init__(self, height: int):
        super().__init__(height)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tell of a click that ends where it began."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.pos()):
            self.clicked.emit()
