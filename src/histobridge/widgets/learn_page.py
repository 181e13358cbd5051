"""Page 6: learn from the corrections; keep, compare and promote models."""

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from histobridge.core.config import FineTuneConfig
from histobridge.widgets.cost import estimate
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.page import Note, Page, button, heading, row
from histobridge.widgets.session import Followed

COLUMNS = ("Model", "Steps", "Loss", "In use")
NAMES = {"propose": "tutorship or adaptation", "finetune": "fine-tuned"}


class LearnPage(Page):
    """One button, and the models made so far; every one is kept."""

    title = "Learn"
    sentence = "Fine-tune the model on what you reviewed. Earlier models stay; you choose which one is used."

    def build(self) -> None:
        self.form = ConfigForm(FineTuneConfig(), main=("steps",))
        self.cost = Note()
        self.start_button = button("Fine-tune", self.start, primary=True)
        for widget in (self.form, self.cost, self.start_button):
            self.body.addWidget(widget)
        self.form.changed.connect(self._price)
        self.body.addWidget(heading("Models"))
        self.models = QTableWidget(0, len(COLUMNS))
        self.models.setHorizontalHeaderLabels(list(COLUMNS))
        self.models.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.models.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.models.verticalHeader().hide()
        self.models.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.models.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.models.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.models.setFixedHeight(160)
        self.models.itemSelectionChanged.connect(self._selected)
        self.empty = Note("No models yet. Propose labels first, correct some, then fine-tune.")
        self.promote_button = button("Use this model", self.promote, "The chosen model proposes from now on")
        self.propose_button = button(
            "Propose with it", lambda: self.go("labels"), "On the page Labels, with the route `model`"
        )
        for widget in (self.empty, self.models, row(self.promote_button, self.propose_button)):
            self.body.addWidget(widget)

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        proposed = self.session.newest("propose", status="finished")
        self.missing.say(
            "" if proposed else "There is nothing to improve yet. Propose labels on the Labels page first."
        )
        busy = any(item.verb == "finetune" for item in self.session.running())
        self.start_button.setEnabled(proposed is not None and not busy)
        self._price()
        self._fill()
        self._selected()

    def _models(self) -> list[Followed]:
        made = [item for item in self.session.followed.values() if item.verb == "finetune"]
        return [item for item in reversed(made) if item.state.status == "finished"]

    def _fill(self) -> None:
        project = self.session.project
        assert project is not None
        used = project.manifest.active.get("target_segmenter", "")
        models = self._models()
        self.empty.setVisible(not models)
        self.models.setRowCount(len(models))
        for index, item in enumerate(models):
            loss = item.state.metrics.get("loss")
            chosen = item.run.id == used
            texts = (
                f"{NAMES[item.verb]} {len(models) - index}",
                str(item.run.config.get("steps", "")),
                f"{loss:.3f}" if loss is not None else "",
                "● in use" if chosen else "",
            )
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                cell.setToolTip(f"{item.run.id}\n{item.state.result}")
                self.models.setItem(index, column, cell)

    def _selected(self) -> None:
        chosen = bool(self.models.selectionModel().selectedRows())
        self.promote_button.setEnabled(chosen and self.session.editable)

    def _price(self) -> None:
        config = self.form.config()
        self.cost.say(estimate(self.session, "finetune", config.steps) if config else "")

    def start(self) -> None:
        """Fine-tune on what is on disk; every finished stroke is."""
        config = self.form.config()
        if config is not None:
            for flush in self.session.flushers:
                flush()
            self.session.submit("finetune", config)
        self.refresh()

    def promote(self) -> None:
        """Use the selected model from now on."""
        rows = self.models.selectionModel().selectedRows()
        if rows:
            chosen = self._models()[rows[0].row()].run.id
            self.session.edit(lambda project: project.pin("target_segmenter", chosen))
            self.refresh()
