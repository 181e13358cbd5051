"""Page 5: look at the proposals tile by tile and correct them with napari's own tools."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QLabel, QPushButton, QRadioButton, QWidget

from histobridge.core.config import Domain
from histobridge.core.errors import HistoBridgeError
from histobridge.core.manifest import IGNORE
from histobridge.widgets.class_buttons import ClassButtons
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.form import Fold
from histobridge.widgets.page import ERROR_STYLE, Lines, Note, Page, button, row
from histobridge.widgets.queue_box import QueueBox
from histobridge.widgets.session import words

CHIPS = {
    "open": ("open", "#5a5f66"),
    "proposed": ("proposed", "#0f6ab4"),
    "corrected": ("corrected", "#8a5a00"),
    "accepted": ("accepted", "#1d7a3a"),
    "skipped": ("skipped", "#5a5f66"),
}
KEYS = """1 … 9  class        I  ignore (paint what shall not be learned)
[  ]  brush size      E  hold: eraser      H  hold: hide labels
A  accept and next    X  skip    N  next    B  back
Tab  the other of two models (page Learn)
Ctrl+Z  undo    Ctrl+Shift+Z  redo
napari's own: hold Space to pan, P brush, right-drag to encircle and fill"""


class ReviewPage(Page):
    """Pages of tiles; every finished stroke goes to disk by itself."""

    title = "Review"
    sentence = "Correct the labels with napari's brush, fill, polygon and eraser. Every stroke is saved at once."

    def build(self) -> None:
        self.desk = Desk(self.canvas)
        self.queue = QueueBox(self.session)
        self.queue.by_queue.clicked.connect(lambda _: self._describe())
        self._unread = ""
        self.session.closers.append(self.desk.close)
        self.session.flushers.append(self.desk.flush)
        self._commit_soon = QTimer(self)
        self._commit_soon.setSingleShot(True)
        self._commit_soon.timeout.connect(self._commit)
        self.domains = {name: QRadioButton(name.capitalize()) for name in ("target", "source")}
        group = QButtonGroup(self)
        for name, radio in self.domains.items():
            group.addButton(radio)
            radio.clicked.connect(lambda _=False, name=name: self.open_domain(name))
        self.images = QComboBox()
        self.images.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.images.setToolTip("Jump to an image")
        self.images.activated.connect(lambda _: self._jump())
        self.body.addWidget(row(*self.domains.values()))
        self.body.addWidget(self.images)
        self.where, self.chip = Lines(2), QLabel()
        line = QHBoxLayout()
        line.addWidget(self.where, 1)
        line.addWidget(self.chip, 0, Qt.AlignmentFlag.AlignVCenter)
        self.body.addLayout(line)
        self.body.addWidget(self.queue)
        self.trouble = Note(style=ERROR_STYLE)
        self.body.addWidget(self.trouble)
        self.classes = ClassButtons(self.choose_class)
        self.body.addWidget(self.classes)
        self.accept_button = button("Accept (A)", self.accept, "All of this tile is right now; go on", primary=True)
        self.skip_button = button("Skip (X)", self.skip, "Leave this tile undecided and go on")
        self.back_button = button("Back (B)", lambda: self.step(-1))
        self.next_button = button("Next (N)", lambda: self.step(1))
        self.undo_button = button("Undo", self.undo, "Ctrl+Z")
        self.redo_button = button("Redo", self.redo, "Ctrl+Shift+Z")
        self.body.addWidget(self.accept_button)
        for pair in (
            (self.back_button, self.skip_button, self.next_button),
            (self.undo_button, self.redo_button),
        ):
            self.body.addWidget(_spread(*pair))
        self.body.addWidget(self.queue.stop)
        self.body.addWidget(Fold("Keys", Note(KEYS)))

    # -- keys ------------------------------------------------------------------------------------------------------

    def _presses(self) -> Mapping[str, Callable[[], object]]:
        presses: dict[str, Callable[[], object]] = {
            "A": self.accept,
            "X": self.skip,
            "N": lambda: self.step(1),
            "B": lambda: self.step(-1),
            "I": lambda: self.choose_class(IGNORE),
            "[": lambda: self.canvas.resize_brush(larger=False),
            "]": lambda: self.canvas.resize_brush(larger=True),
            "Control-Z": self.undo,
            "Control-Shift-Z": self.redo,
        }
        for number in range(1, 10):
            presses[str(number)] = lambda number=number: self._choose_nth(number)
        return presses

    def _choose_nth(self, number: int) -> None:
        project = self.session.project
        if project is not None and number <= len(project.classes):
            self.choose_class(project.classes[number - 1].value)

    # -- tiles -----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        place = self.session.remembered.place(project.path)
        domain = place.get("domain", "target")
        self.domains[domain].setChecked(True)
        self.classes.refresh(project.classes)
        self._unread = self.queue.refresh()
        if self.desk.lies_open and self.desk.place is not None and place.get("image") == self.desk.place.image:
            self.canvas.color_labels(project.classes)
            self._describe()
            return
        self.open_domain(domain, place.get("image", ""), place.get("tile", ""))

    def open_domain(self, domain: Domain, image: str = "", tile: str = "") -> None:
        """Open a tile of a domain: the one named, else the first of the image, else the first of all."""
        project = self.session.project
        if project is None:
            return
        self.session.remembered.stay(project.path, domain=domain)
        self.images.clear()
        for record in project.images(domain):
            self.images.addItem(f"{record.id}  ({record.subject})", record.id)
        here = self.queue.order.start(project, domain, by_queue=self.queue.leads)
        self.missing.say("" if here else f"There are no {domain} images yet. Add some on the Images page.")
        if not here:
            self.desk.close()
            self.canvas.clear()
            self.session.tile_opened.emit(None)
            self._describe()
            return
        named = [each for each in here if each.image == image and each.tile.id == tile]
        of_image = [each for each in here if each.image == image]
        self.open((named or of_image or here)[0])

    def open(self, place: Place) -> None:
        """Put a tile on the canvas."""
        project = self.session.project
        if project is None:
            return
        try:
            fresh = self.desk.put(project, place)
        except (HistoBridgeError, OSError, ValueError) as error:
            self.trouble.say(words(error))
            return
        if fresh:
            holds = {"E": self.canvas.erase, "H": self.canvas.hide_labels}
            self.canvas.bind(self._presses(), holds)
            self.canvas.when_painted(self._commit_soon.start, self.classes.mark)
            self.choose_class(project.classes[0].value)
        self.session.remembered.stay(project.path, image=place.image, tile=place.tile.id)
        self.images.setCurrentIndex(self.images.findData(place.image))
        self._reviewed = self.desk.reviewed()
        self._describe()
        self.session.tile_opened.emit(place)

    def step(self, by: int) -> None:
        """Go to the next or previous tile."""
        project, place = self.session.project, self.desk.place
        if project is None or place is None:
            return
        there = self.queue.order.after(project, place, by, by_queue=self.queue.leads)
        if there is not None:
            self.open(there)
        else:
            self._commit()
            self._reviewed = self.desk.reviewed()
            self._describe("This is the last tile." if by > 0 else "This is the first tile.")

    def _jump(self) -> None:
        project = self.session.project
        if project is not None:
            domain = project.image(self.images.currentData()).domain
            self.open_domain(domain, self.images.currentData())

    # -- edits -----------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        self.desk.commit()
        self._describe()

    def choose_class(self, value: int) -> None:
        """Paint this class."""
        self.canvas.choose_class(value)
        self.classes.mark(value)

    def accept(self) -> None:
        """Take the tile as right and go on."""
        if self.canvas.flip.hides_labels:
            self.where.setText("These are labels of another model. Flip back to yours first.")
        elif self.desk.editable:
            self.desk.accept()
            self.step(1)

    def skip(self) -> None:
        """Go on without deciding."""
        if self.desk.editable:
            self.desk.skip()
            self.step(1)

    def undo(self) -> None:
        """Take the last edit of this tile back."""
        self.desk.undo()
        self._describe()

    def redo(self) -> None:
        """Do it again."""
        self.desk.redo()
        self._describe()

    def _describe(self, extra: str = "") -> None:
        """Say where the user is and how the tile stands."""
        edit, place, project = self.desk.edit, self.desk.place, self.session.project
        opened = edit is not None and place is not None and project is not None
        for widget in (self.accept_button, self.skip_button, self.classes):
            widget.setEnabled(opened and self.desk.editable)
        for widget in (self.back_button, self.next_button):
            widget.setEnabled(opened)
        self.undo_button.setEnabled(opened and self.desk.editable and edit.can_undo)
        self.redo_button.setEnabled(opened and self.desk.editable and edit.can_redo)
        self.chip.setVisible(opened)
        self.trouble.say(self.desk.trouble() or self._unread)
        self.queue.describe(place if opened else None)
        if not opened:
            self.where.setText("")
            return
        position = self.queue.order.position(project, place, by_queue=self.queue.leads)
        text = f"{position} {self._reviewed:.0%} of this image reviewed."
        self.where.setText(f"{text} {extra}".strip())
        name, color = CHIPS[edit.status]
        self.chip.setText(name)
        self.chip.setStyleSheet(f"background: {color}; color: white; border-radius: 8px; padding: 3px 8px;")


def _spread(*buttons: QPushButton) -> QWidget:
    """Buttons side by side, all of one width."""
    holder = row(stretch=False)
    for each in buttons:
        holder.layout().addWidget(each, 1)
    return holder
