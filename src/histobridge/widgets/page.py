"""What all pages are made of: a title, a sentence, a note, one primary button."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from histobridge.widgets.session import Followed, Session

if TYPE_CHECKING:
    from histobridge.layers import Canvas

ERROR_STYLE = "background: #7a1f1f; color: white; border-radius: 4px; padding: 6px;"
WARNING_STYLE = "background: #5f4700; color: white; border-radius: 4px; padding: 6px;"
PRIMARY_STYLE = (
    "QPushButton { background: #0f6ab4; color: white; font-weight: bold; padding: 8px; border-radius: 4px; }"
    "QPushButton:hover { background: #1a7fd1; } QPushButton:pressed { background: #0b5590; }"
    "QPushButton:focus { border: 2px solid white; padding: 6px; }"
    "QPushButton:disabled { background: #6b6f76; color: #d0d3d8; }"
)
CHOSEN_STYLE = (
    "QPushButton, QToolButton { border: 1px solid #6b6f76; border-radius: 4px; padding: 4px; }"
    "QPushButton:checked, QToolButton:checked { border: 2px solid #3b9ae8; padding: 3px; font-weight: bold; }"
    "QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0px; }"
)


class Note(QLabel):
    """Wrapped text that is not there when empty; can be copied."""

    def __init__(self, text: str = "", style: str = ""):
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setStyleSheet(style)
        self.setText(text)
        if not text:  # never shown from here: without a parent it would be a window of its own
            self.hide()

    def minimumSizeHint(self) -> QSize:
        """One line; Qt's own guess wraps at a narrow width, and so asks for scroll bars that are not needed."""
        return QSize(20, self.fontMetrics().height())

    def say(self, text: str) -> None:
        """Show `text`, or nothing."""
        if text != self.text():
            self.setText(text)
        self.setVisible(bool(text))


class Lines(Note):
    """A note that is always there and at least so many lines high, so that nothing moves when it says less."""

    def __init__(self, count: int):
        super().__init__("-")
        self._measure = Note("\n".join("x" * count))
        self._measure.setParent(self)
        for label in (self, self._measure):
            label.setAlignment(Qt.AlignmentFlag.AlignTop)  # Qt counts the alignment into the height
        self._measure.hide()

    def minimumSizeHint(self) -> QSize:
        """As high as its lines."""
        return QSize(20, self.heightForWidth(self.width()))

    def heightForWidth(self, width: int) -> int:
        """What the text needs, or all lines."""
        self._measure.ensurePolished()
        return max(super().heightForWidth(width), self._measure.heightForWidth(max(width, 100)))


def button(text: str, clicked: Callable[[], object], tip: str = "", *, primary: bool = False) -> QPushButton:
    """Make a push button that calls `clicked`."""
    made = QPushButton(text)
    made.clicked.connect(lambda *_: clicked())
    made.setToolTip(tip)
    if primary:
        made.setStyleSheet(PRIMARY_STYLE)
    return made


def row(*widgets: QWidget, stretch: bool = True) -> QWidget:
    """Put widgets side by side, pushed to the left unless told otherwise."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    if stretch:
        layout.addStretch(1)
    return holder


def spread(*buttons: QPushButton) -> QWidget:
    """Put buttons side by side, all of one width."""
    holder = row(stretch=False)
    for each in buttons:
        holder.layout().addWidget(each, 1)
    return holder


def heading(text: str) -> QLabel:
    """Make a small heading within a page."""
    made = QLabel(text)
    made.setStyleSheet("font-weight: bold; padding-top: 6px;")
    return made


def line() -> QFrame:
    """Make a thin horizontal rule."""
    made = QFrame()
    made.setFrameShape(QFrame.Shape.HLine)
    made.setStyleSheet("color: #6b6f76;")
    return made


class Page(QWidget):
    """Base of the seven pages; `refresh` reads everything it shows from the project."""

    title = ""
    sentence = ""

    def __init__(self, session: Session, canvas: "Canvas", go: Callable[..., None]):
        super().__init__()
        self.session, self.canvas, self.go = session, canvas, go
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(8, 6, 8, 6)
        title = QLabel(self.title)
        title.setStyleSheet("font-size: 15pt; font-weight: bold;")
        self.head = QHBoxLayout()
        self.head.addWidget(title, 1)
        self.body.addLayout(self.head)
        self.intro = Note(self.sentence)
        self.body.addWidget(self.intro)
        self.missing = Note(style=WARNING_STYLE)
        self.body.addWidget(self.missing)
        self.build()
        self.body.addStretch(1)
        session.manifest_changed.connect(self._refresh_if_shown)
        session.status_changed.connect(self._refresh_if_shown)
        session.run_changed.connect(self._follow_if_shown)

    def build(self) -> None:
        """Add the page's widgets to `body`."""

    def refresh(self) -> None:
        """Show the project as it is now; called when the page is opened and when something changed."""

    def follow(self, item: Followed) -> None:
        """Show a run that moved on."""

    def leave(self) -> None:
        """Another page is opened."""

    def _refresh_if_shown(self, *_: object) -> None:
        if not self.isHidden() and self.session.project is not None:
            self.refresh()

    def _follow_if_shown(self, item: Followed) -> None:
        if not self.isHidden():
            self.follow(item)
