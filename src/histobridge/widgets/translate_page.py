"""Page 3: the translator, as cards from seconds to hours."""

from qtpy.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from histobridge.core.config import TrainTranslatorConfig
from histobridge.widgets.cost import translator_estimate
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.import_box import ImportBox
from histobridge.widgets.method_box import MethodBox, unused_by
from histobridge.widgets.page import Note, Page, button
from histobridge.widgets.session import Followed
from histobridge.widgets.translator_result import TranslatorResult

CARDS = {
    "instant": ("Instant", "Seconds. Polarity and grey values only; needs no training."),
    "quick": ("Quick", "Minutes. A small BridgeCUT learns the texture too, held by your labels."),
    "best": ("Choose a method", "From minutes to days: CUT, SynDiff, CycleGAN and our BridgeCUT."),
}


class TranslatePage(Page):
    """Choose a translator, train it, watch what it makes."""

    title = "Translate"
    sentence = "Give images of one modality the look of the other, so that your labels fit images that have none."

    def build(self) -> None:
        self.cards: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for name, (text, says) in CARDS.items():
            card = QWidget()
            card.setObjectName("card")
            card.setStyleSheet("#card { border: 1px solid #6b6f76; border-radius: 4px; }")
            layout = QVBoxLayout(card)
            layout.setContentsMargins(8, 4, 8, 4)
            radio = QRadioButton(text)
            radio.setStyleSheet("font-weight: bold;")
            group.addButton(radio)
            radio.toggled.connect(lambda _: self._chosen())
            layout.addWidget(radio)
            layout.addWidget(Note(says))
            self.cards[name] = radio
            self.body.addWidget(card)
        quick = TrainTranslatorConfig()
        self.form = ConfigForm(
            quick, main=("steps",), hidden=("method", "preset", "matching", *unused_by(quick.method))
        )
        self.methods = MethodBox()
        self.methods.changed.connect(self._chosen)
        self.cost = Note()
        self.form.changed.connect(self._chosen)
        self.start_button = button("Train translator", self.start, primary=True)
        self.elsewhere = ImportBox(self.session, self._use)
        self.result = TranslatorResult(self.session, self._use)
        for widget in (self.form, self.methods, self.cost, self.start_button, self.elsewhere, self.result):
            self.body.addWidget(widget)
        self.cards["quick"].setChecked(True)

    def _chosen(self) -> None:
        quick, best = (self.cards[name].isChecked() for name in ("quick", "best"))
        self.form.setVisible(quick)
        self.methods.setVisible(best)
        trains = quick or best
        self.start_button.setText("Train translator" if trains else "Use Instant and go on to Labels")
        config = self._config()
        self.cost.say("" if config is None else translator_estimate(self.session, config))

    def _config(self) -> TrainTranslatorConfig | None:
        """What is to be trained; none if nothing is, or something is wrong."""
        if self.cards["instant"].isChecked():
            return None
        config: TrainTranslatorConfig | None = (
            self.methods.config() if self.cards["best"].isChecked() else self.form.config()
        )
        return config

    def refresh(self) -> None:
        matched = self.session.newest("match", status="finished") is not None
        self.missing.say("" if matched else "The domains are not matched yet. Do that on the Match page first.")
        self._allow()
        self._chosen()
        newest = self.session.newest("train-translator")
        self.result.setVisible(newest is not None)
        if newest is not None:
            self.follow(newest)

    def _allow(self) -> None:
        """Let a training be started where none runs and the domains are matched."""
        matched = self.session.newest("match", status="finished") is not None
        training = any(item.verb == "train-translator" for item in self.session.running())
        self.start_button.setEnabled(matched and not training)
        self.elsewhere.refresh(matched=matched)

    def follow(self, item: Followed) -> None:
        """Show the newest training and the newest import; others are in the Monitor."""
        if item.verb == "import-translator":
            self._allow()
        newest = self.session.newest("train-translator")
        if newest is not None and item.run.id == newest.run.id:
            self.result.show()
            self.result.follow(item)
            self._allow()

    def _use(self, run_id: str) -> None:
        self.go("labels", translator=run_id)

    def start(self) -> None:
        """Train, or go on with the instant translator."""
        if self.cards["instant"].isChecked():
            self.go("labels", translator="instant")
            return
        config = self._config()
        if config is not None:
            self.session.submit("train-translator", config)
        self.refresh()
