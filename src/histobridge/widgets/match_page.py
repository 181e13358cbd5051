"""Page 2: learn the source labels, then bring both domains to one scale and one polarity."""

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from histobridge.core.config import Domain, MatchConfig, TrainSegmenterConfig
from histobridge.core.files import read_json
from histobridge.core.known_sizes import changed_size
from histobridge.widgets.form import ConfigForm, Fold
from histobridge.widgets.match_looks import MatchLooks
from histobridge.widgets.open_image import show_on_canvas
from histobridge.widgets.page import WARNING_STYLE, Note, Page, button, heading, spread
from histobridge.widgets.pictures import Picture
from histobridge.widgets.polarity_box import PolarityBox
from histobridge.widgets.scale_table import ScaleTable
from histobridge.widgets.session import Followed

STRIPS = {"source": "Source", "target": "Target", "matched": "Matched"}
ORIGINS = {
    "estimate": "estimated",
    "size": "objects taken to be as large as in the source; a line across one says otherwise",
    "line": "from your line",
    "number": "as you said",
    "nothing": "near that of the source",
}
DRAWN: dict[Domain, str] = {
    "target": "Opens a target image; the length of the line sets the scale",
    "source": "Opens a source image; needed only if the line is not across what your labels mark",
}
UNSEEN = "▲ No object was recognised at any scale. Draw a line across a typical one, and match again."
UNCERTAIN = "▲ The polarity is not certain. Compare the pictures, and say below which is right."


class MatchPage(Page):
    """Show how the target is brought to the source, and let the user overrule it."""

    title = "Match"
    sentence = "Learn your labels (about 2 min), then find the scale and the polarity at which the target looks alike."

    def build(self) -> None:
        self._then_match = ""
        self.start_button = button("Learn my labels and match", self.start, primary=True)
        self.body.addWidget(self.start_button)
        self.body.addWidget(self._strips())
        self.scale, self.polarity = Note(), Note()
        self.doubt = Note(style=WARNING_STYLE)
        for note in (self.scale, self.polarity, self.doubt):
            self.body.addWidget(note)
        self.override = PolarityBox()
        self.override.chosen.connect(self.overrule)
        self.body.addWidget(self.override)
        self.looks = MatchLooks()
        self.body.addWidget(self.looks)
        shown = ("polarity", "target_diameter_um", "source_diameter_um")
        self.form = ConfigForm(MatchConfig(), main=shown, hidden=("segmenter",))
        self.body.addWidget(heading("Settings"))
        self.body.addWidget(self.form)
        self.body.addWidget(QLabel("Draw a line across a typical object in a"))
        self.draw_buttons = {domain: self._draw_button(domain, tip) for domain, tip in DRAWN.items()}
        self.body.addWidget(spread(*self.draw_buttons.values()))
        self.scales = ScaleTable(self.session)
        self.body.addWidget(Fold("Scale of single images", self.scales))
        self.training = ConfigForm(TrainSegmenterConfig())
        self.learn_again = button("Learn my labels again", self.learn, "Train the source segmenter anew")
        self.training.layout().addWidget(self.learn_again)
        self.body.addWidget(Fold("How the labels are learned", self.training))
        self.session.run_ended.connect(self._go_on)

    def _draw_button(self, domain: Domain, tip: str) -> QPushButton:
        return button(f"{domain} image", lambda: self.draw(domain), tip)

    def _strips(self) -> QWidget:
        self.strips = {name: Picture(110) for name in STRIPS}
        self.pictures = QWidget()
        grid = QGridLayout(self.pictures)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, (name, text) in enumerate(STRIPS.items()):
            caption = QLabel(text)
            caption.setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(self.strips[name], 0, column)
            grid.setColumnStretch(column, 1)
            grid.addWidget(caption, 1, column)
            self.strips[name].setToolTip(f"{text}: a crop at the working scale; objects should look equally large")
        return self.pictures

    # -- show ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        self.start_button.setText("Match" if self._learned() else "Learn my labels and match")
        lacking = self._lacking()
        self.missing.say(lacking)
        busy = any(item.verb in ("train-segmenter", "match") for item in self.session.running())
        self.start_button.setEnabled(not lacking and not busy)
        self.learn_again.setEnabled(not lacking and not busy)
        for domain, each in self.draw_buttons.items():
            each.setEnabled(any(record.pixel_size_um for record in project.images(domain)))
        active = project.active("matching")
        result = read_json(active.path / "matching.json") if active else {}
        self.pictures.setVisible(bool(active))
        self.override.setVisible(bool(active))
        if active:
            self.override.show_files(active.path, ask=not result["certain"])
        self.scales.refresh(project, result.get("target_working_um"))
        self._describe(result)
        files = {name: active.path / f"preview-{name}.png" for name in STRIPS} if active else {}
        for name, file in files.items():
            if file.exists():
                self.strips[name].show_file(file)
        self.looks.show_files(files)

    def _learned(self) -> bool:
        """Whether there is a segmenter of the source."""
        project = self.session.project
        return project is not None and project.active("segmenter") is not None

    def _lacking(self) -> str:
        project = self.session.project
        assert project is not None
        sized = [record for record in project.images() if record.pixel_size_um or record.zoom_override]
        unknown = [record.id for record in project.images() if record not in sized]
        if not any(record.has_masks for record in project.images("source")):
            return "There are no source images with labels yet. Add some on the Images page."
        if not project.images("target"):
            return "There are no target images yet. Add some on the Images page."
        return (
            f"The pixel size of {', '.join(unknown[:3])} is unknown. Type it in on the Images page." if unknown else ""
        )

    def _describe(self, result: dict[str, Any]) -> None:
        """Say what was found, in words."""
        if not result:
            for note in (self.scale, self.polarity, self.doubt):
                note.say("")
            return
        factor = result["target_working_um"] / result["source_working_um"]
        origin = ORIGINS[result["scale_from"]]
        self.scale.say(
            f"Scale: {result['source_working_um']:.3g} µm in the source is {result['target_working_um']:.3g} µm in the "
            f"target (factor {factor:.3g}, {origin})."
        )
        how = "inverted" if result["invert"] else "kept"
        certainty = f"{result['certainty']:.0%} certain, estimated"
        self.polarity.say(f"Polarity: {how} ({'as you said' if result['polarity_from'] == 'user' else certainty}).")
        unseen = "" if result["scale_from"] != "nothing" else f"{UNSEEN} "
        self.doubt.say((self._rescaled(result) + unseen + ("" if result["certain"] else UNCERTAIN)).rstrip())

    def _rescaled(self, result: dict[str, Any]) -> str:
        """Say that a pixel size was edited since; empty if none was."""
        project = self.session.project
        changed = changed_size(project, result.get("pixel_sizes_um", {})) if project is not None else ""
        return f"This matching no longer fits: {changed}. Match again. " if changed else ""

    # -- do --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Match; learn the labels first if that was not done."""
        if self._learned():
            self.match()
        else:
            self.learn()

    def learn(self) -> None:
        """Train the source segmenter, then match."""
        config = self.training.config()
        run = self.session.submit("train-segmenter", config) if config is not None else None
        self._then_match = run.id if run else ""
        self.refresh()

    def match(self) -> None:
        """Start the matching as set in the form."""
        config = self.form.config()
        if config is not None:
            self.session.submit("match", config)
        self.refresh()

    def overrule(self, polarity: str) -> None:
        """Set the polarity by hand and match again."""
        self.form.set(polarity=polarity)
        self.match()

    def _go_on(self, item: Followed) -> None:
        if item.run.id == self._then_match:
            self._then_match = ""
            if item.state.status == "finished":
                self.match()

    def draw(self, domain: Domain) -> None:
        """Let the user measure a typical object of a domain."""
        project = self.session.project
        if project is None:
            return
        record = next(record for record in project.images(domain) if record.pixel_size_um)
        show_on_canvas(project, record.id, self.canvas)
        self.canvas.remove("labels")
        self.canvas.measure(lambda length: self._measured(domain, length), record.pixel_size_um)

    def _measured(self, domain: Domain, length: float) -> None:
        self.form.set(**{f"{domain}_diameter_um": float(f"{length:.4g}")})

    def leave(self) -> None:
        self.canvas.remove("ruler")
