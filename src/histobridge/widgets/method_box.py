"""Choose a translation method and its preset, and edit what they set."""

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.translate.presets import PRESETS
from histobridge.widgets.form import ConfigForm

METHODS = {
    "bridgecut": "BridgeCUT: ours, held by labels",
    "cyclegan": "CycleGAN: there and back again",
    "cut": "CUT: patches stay in place",
    "fastcut": "FastCUT: the same, quicker",
    "syndiff": "SynDiff: diffusion",
}
OWN = {
    "learning_rate": ("cyclegan", "cut", "fastcut", "bridgecut"),
    "decay": ("cyclegan", "cut", "fastcut", "bridgecut"),
    "cycle_weight": ("cyclegan",),
    "identity_weight": ("cyclegan", "syndiff"),
    "contrast": ("cut", "fastcut"),
    "syndiff": ("syndiff",),
    "bridge": ("bridgecut",),
}
"""Settings, and the methods that they are of."""
NAMES = {
    "fast": "Ours, for a GPU",
    "faithful": "As published, for a large GPU",
    "faithful-256": "As published, for a large GPU",
    "cpu": "Small, for two CPU cores",
}
FIRST = "cpu"
"""Where the list begins, as the command line does: without a GPU the others take days."""
PAPERS = {"faithful": " (histology paper, 512 px)", "faithful-256": " (original authors, 256 px)"}
"""What tells the presets of a method apart that was published more than once."""


def unused_by(method: str) -> tuple[str, ...]:
    """Settings that say nothing to a method."""
    return tuple(name for name, methods in OWN.items() if method not in methods)


class MethodBox(QWidget):
    """Two lists and a form that starts from what they say."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.method, self.preset = QComboBox(), QComboBox()
        for box, called in ((self.method, "Method"), (self.preset, "Size")):
            label = QLabel(called)
            label.setBuddy(box)
            box.setAccessibleName(called)
            layout.addWidget(label)
            layout.addWidget(box)
        self._form: ConfigForm | None = None
        for key, text in METHODS.items():
            self.method.addItem(text, key)
        self._offer_presets()
        self.method.currentIndexChanged.connect(lambda _: self._offer_presets())
        self.preset.currentIndexChanged.connect(lambda _: self._start_over())

    def _offer_presets(self) -> None:
        """List the presets of the method, and stay with the one chosen where it has it."""
        chosen = self.preset.currentData()
        with QSignalBlocker(self.preset):
            self.preset.clear()
            offered = PRESETS[self.method.currentData()]
            papers = PAPERS if PAPERS.keys() <= offered.keys() else {}
            for key, text in NAMES.items():
                if key in offered:
                    self.preset.addItem(text + papers.get(key, ""), key)
            self.preset.setCurrentIndex(self.preset.findData(chosen if chosen in offered else FIRST))
        self._start_over()

    def _start_over(self) -> None:
        """Make a form for the method as its preset has it; settings of other methods are not shown."""
        method, preset = self.method.currentData(), self.preset.currentData()
        hidden = ("method", "preset", "matching", *unused_by(method))
        form = ConfigForm(PRESETS[method][preset], main=("steps",), hidden=hidden)
        form.changed.connect(self.changed)
        layout = self.layout()
        if self._form is not None:
            layout.removeWidget(self._form)
            self._form.deleteLater()
        layout.addWidget(form)
        self._form = form
        self.changed.emit()

    def config(self) -> TrainTranslatorConfig | None:
        """Return what is chosen, or none after showing what is wrong."""
        config: TrainTranslatorConfig | None = self._form.config() if self._form is not None else None
        return config
