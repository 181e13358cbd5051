"""Page 5: look at the proposals tile by tile and correct them with napari's tools and ours."""

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QLabel, QRadioButton

from histobridge.core.config import Domain
from histobridge.core.errors import HistoBridgeError
from histobridge.core.manifest import IGNORE
from histobridge.widgets.class_buttons import ClassButtons
from histobridge.widgets.contrast import KeptContrast
from histobridge.widgets.desk import Desk, Place
from histobridge.widgets.key_table import KeyTable
from histobridge.widgets.overlay_bar import OverlayBar
from histobridge.widgets.overview import Overview
from histobridge.widgets.page import ERROR_STYLE, Lines, Note, Page, button, row, spread
from histobridge.widgets.queue_box import QueueBox
from histobridge.widgets.review_keys import ReviewKeys
from histobridge.widgets.rule_watch import RuleWatch
from histobridge.widgets.session import words
from histobridge.widgets.tool_bench import ToolBench
from histobridge.widgets.tool_box import ToolBox

CHIPS = {
    "open": ("open", "#5a5f66"),
    "proposed": ("proposed", "#0f6ab4"),
    "corrected": ("corrected", "#8a5a00"),
    "accepted": ("accepted", "#1d7a3a"),
    "skipped": ("skipped", "#5a5f66"),
}


class ReviewPage(Page):
    """Pages of tiles; every finished stroke goes to disk by itself."""

    title = "Review"
    sentence = "Correct the labels; every stroke is saved."

    def build(self) -> None:
        self.desk = Desk(self.canvas, self.session.unsaved)
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
        which = row(*self.domains.values(), self.images, stretch=False)
        which.layout().setStretch(len(self.domains), 1)
        self.body.addWidget(which)
        self.where, self.chip = Lines(2), QLabel()
        line = QHBoxLayout()
        line.addWidget(self.where, 1)
        line.addWidget(self.chip, 0, Qt.AlignmentFlag.AlignVCenter)
        self.body.addLayout(line)
        table = KeyTable(self.session.remembered)
        self.overview = Overview(self.session, self.canvas, self.desk, table)
        self.overview.asked.connect(self.open)
        self.body.addWidget(self.overview)
        self.body.addWidget(self.queue)
        self.trouble = Note(style=ERROR_STYLE)
        self.body.addWidget(self.trouble)
        self.classes = ClassButtons(self.choose_class)
        self.body.addWidget(self.classes)
        bench = ToolBench(self.session, self.canvas, self.desk)
        self.tools = ToolBox(self.canvas, bench, self._edited)
        self.rules = RuleWatch(self.session, self.canvas, self.desk, bench)
        self.overlays = OverlayBar(self.session, self.canvas, self.desk, table)
        self.contrast = KeptContrast(self.session, self.canvas, self)
        self._make_buttons()
        self._bring_keys(table)
        self.session.tile_opened.connect(self._laid)
        self._lay_out_tools()

    def _lay_out_tools(self) -> None:
        """All that is used on every tile lies above the fold of a small screen."""
        self.body.setSpacing(4)
        self.head.addWidget(self.keys_button)
        decide = spread(self.accept_button, self.skip_button)
        decide.layout().setStretch(0, 3)
        move = spread(self.back_button, self.next_button, self.undo_button, self.redo_button)
        for part in (decide, move, self.overlays, self.tools, self.rules, self.queue.stop):
            self.body.addWidget(part)

    def _make_buttons(self) -> None:
        self.accept_button = button("Accept", self.accept, "All of this tile is right now; go on", primary=True)
        self.skip_button = button("Skip", self.skip, "Leave this tile undecided and go on")
        self.back_button = button("Back", lambda: self.step(-1))
        self.next_button = button("Next", lambda: self.step(1))
        self.undo_button = button("Undo", self.undo, "Also by its key, as many steps as you took")
        self.redo_button = button("Redo", self.redo, "Also by its key")
        self.keys_button = button("Keys", lambda: self.keys.toggle_sheet(), "Show all keys, and change them")

    # -- keys ------------------------------------------------------------------------------------------------------

    def _bring_keys(self, table: KeyTable) -> None:
        """Tell the keys what they do."""
        presses = {
            "accept": self.accept,
            "skip": self.skip,
            "next": lambda: self.step(1),
            "back": lambda: self.step(-1),
            "undo": self.undo,
            "redo": self.redo,
            "ignore": lambda: self.choose_class(IGNORE),
            "smaller": lambda: self.canvas.resize_brush(larger=False),
            "larger": lambda: self.canvas.resize_brush(larger=True),
        }
        holds = {
            "erase": self.canvas.erase,
            "hide": self.canvas.hide_labels,
            "pan": lambda on: self.canvas.pointer.pan(self.canvas.labels, on),
        }
        presses |= self.tools.presses() | self.overlays.presses() | self.overview.presses()
        presses |= self.rules.presses()
        self.keys = ReviewKeys(self, self.canvas, table, presses, holds, self._choose_nth)
        for action in ("accept", "skip", "back", "next", "keys"):
            made = getattr(self, f"{action}_button")
            self.keys.name(made, f"{made.text()} ({{}})", "sheet" if action == "keys" else action)
        for action, made in self.tools.buttons.items():
            self.keys.name(made, f"{{}} {made.text()}", action)

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
            self._list_images(domain)
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
        self._list_images(domain)
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

    def _list_images(self, domain: Domain) -> None:
        """Offer the images of a domain to jump to."""
        shown = self.images.currentData()
        self.images.clear()
        for record in self.session.project.images(domain):
            self.images.addItem(f"{record.id}  ({record.subject})", record.id)
        self.images.setCurrentIndex(self.images.findData(shown))

    def open(self, place: Place) -> None:
        """Put a tile on the canvas."""
        project = self.session.project
        if project is None:
            return
        before = self.desk.place if self.desk.lies_open else None
        try:
            fresh = self.desk.put(project, place, around=False)
        except (HistoBridgeError, OSError, ValueError) as error:
            self._describe()
            self.trouble.say(words(error))
            return
        if fresh:
            self.keys.bind()
            self.canvas.when_painted(self._commit_soon.start, self.classes.mark)
            self.choose_class(project.classes[0].value)
        self.session.remembered.stay(project.path, image=place.image, tile=place.tile.id)
        self.images.setCurrentIndex(self.images.findData(place.image))
        self._reviewed = self.desk.reviewed()
        self.contrast.follow(place.image)
        self._describe()
        self.session.tile_opened.emit(place)
        if before is not None and before.image != place.image:
            self.overlays.complete()

    def _laid(self, place: Place | None) -> None:
        """Another tile lies on the canvas, or the window of this one was moved."""
        self.tools.leave()
        self.overlays.refresh()
        if place is not None:
            self.overlays.complete_soon()
            self.rules.refresh()

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
        self._edited()

    def _edited(self) -> None:
        """The labels of the tile have changed."""
        self.overlays.draw_outline()
        self.rules.refresh()
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
        self._edited()

    def redo(self) -> None:
        """Do it again."""
        self.desk.redo()
        self._edited()

    def _describe(self, extra: str = "") -> None:
        """Say where the user is and how the tile stands."""
        edit, place, project = self.desk.edit, self.desk.place, self.session.project
        opened = edit is not None and place is not None and project is not None
        for widget in (self.accept_button, self.skip_button, self.classes):
            widget.setEnabled(opened and self.desk.editable)
        nested = project is not None and project.manifest.nested_pair() is not None
        self.tools.refresh(nested=nested, enabled=opened and self.desk.editable)
        for widget in (self.back_button, self.next_button):
            widget.setEnabled(opened)
        self.undo_button.setEnabled(opened and self.desk.editable and edit.can_undo)
        self.redo_button.setEnabled(opened and self.desk.editable and edit.can_redo)
        self.chip.setVisible(opened)
        self.trouble.say(self.desk.strange or self._unread)
        self.queue.describe(place if opened else None)
        self.overview.refresh()
        if not opened:
            self.where.setText("")
            return
        position = self.queue.order.position(project, place, by_queue=self.queue.leads)
        text = f"{position} {self._reviewed:.0%} of this image reviewed."
        self.where.setText(f"{text} {extra}".strip())
        name, color = CHIPS[edit.status]
        self.chip.setText(name)
        self.chip.setStyleSheet(f"background: {color}; color: white; border-radius: 8px; padding: 3px 8px;")
