"""Take over generators that were trained elsewhere: a form behind a fold, and what became of the newest import."""

from collections.abc import Callable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge.core.translate.import_config import ImportTranslatorConfig
from histobridge.widgets.form import ConfigForm, Fold
from histobridge.widgets.page import ERROR_STYLE, Note, button, row
from histobridge.widgets.session import Followed, Session
from histobridge.widgets.translator_verdict import TranslatorVerdict

FORMAT = "Safetensors files of CycleGAN or CUT generators as published, for one grey channel, at the matched scale."
FILES = {
    "source_to_target": "Source → target (for tutorship)",
    "target_to_source": "Target → source (for adaptation)",
}
NO_FILE = "No file is chosen. Choose the file of one generator, or of both."


class ImportBox(Fold):
    """Choose files, import them in a worker, read what was found.

    Parameters
    ----------
    session : Session
    use : callable
        Called with the id of the run that the user wants to propose labels with.
    """

    def __init__(self, session: Session, use: Callable[[str], object]):
        self._session = session
        self.form = ConfigForm(ImportTranslatorConfig(), main=tuple(FILES), hidden=("matching",), labels=FILES)
        self.trouble, self.told = Note(style=ERROR_STYLE), Note()
        self.import_button = button("Import", self._start, "Reads the generators and looks at what they make")
        self.verdict = TranslatorVerdict(use)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (Note(FORMAT), self.form, self.trouble, row(self.import_button), self.told, self.verdict):
            layout.addWidget(widget)
        super().__init__("Import a trained generator…", inside)
        self.form.changed.connect(lambda: self.trouble.say(""))

    def refresh(self, *, matched: bool) -> None:
        """Show the newest import; let another be started where the domains are matched and none runs."""
        newest = self._session.newest("import-translator")
        live = newest is not None and not newest.state.ended and newest.state.status != "interrupted"
        self.import_button.setEnabled(matched and not live)
        self.verdict.setVisible(newest is not None)
        self.told.say(_words(newest) if newest is not None else "")
        if newest is not None:
            self.trouble.say(newest.state.message if newest.state.status == "failed" else "")
            self.verdict.follow(newest)

    def _start(self) -> None:
        config = self.form.config()
        if config is None:
            return
        if not config.files:
            self.trouble.say(NO_FILE)
            return
        self._session.submit("import-translator", config)
        self.refresh(matched=True)


def _words(item: Followed) -> str:
    """Say how far an import is, and what was imported."""
    state = item.state
    if state.status != "finished":
        return {"queued": "Waiting for its turn.", "running": f"Importing: {state.message}…"}.get(state.status, "")
    ways = " and ".join(str(way).replace("_", " ") for way in state.result.get("directions", ()))
    unseen = "" if "verdict" in state.result else " Nothing was measured, as the images are too small."
    return f"Imported: {ways}.{unseen} It is in the list of translators on the page Labels."
