"""Page 6: learn from the corrections; keep, compare and promote models."""

from collections.abc import Sequence

from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
)

from histobridge.core.config import FineTuneConfig
from histobridge.core.gate import promote, roll_back
from histobridge.widgets.compare_bar import EDITED
from histobridge.widgets.cost import estimate
from histobridge.widgets.curves import Curves
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.models import Model, models_of, proposals_of
from histobridge.widgets.page import Note, Page, button, heading, row
from histobridge.widgets.score_chart import ScoreChart, told
from histobridge.widgets.session import Followed

COLUMNS = ("Model", "Score", "Judged on", "In use")
SCORE_TIP = "Mean Dice on reviewed tiles that the model has not learned from; ≈ is an estimate"


class LearnPage(Page):
    """One button, and the models made so far; every one is kept."""

    title = "Learn"
    sentence = "Fine-tune the model on what you reviewed. Earlier models stay; you choose which one is used."

    def build(self) -> None:
        self._models: list[Model] = []
        self._aside = ""
        self.form = ConfigForm(FineTuneConfig(), main=("steps",))
        self.cost = Note()
        self.start_button = button("Fine-tune", self.start, primary=True)
        self.curves = Curves()
        for widget in (self.form, self.cost, self.start_button, self.curves):
            self.body.addWidget(widget)
        self.form.changed.connect(self._price)
        self.body.addWidget(heading("Models"))
        self.empty = Note("No models yet. Propose labels first, correct some, then fine-tune.")
        self.used, self.verdict = Note(), Note()
        self.anyway_button = button("Use it anyway", self.promote_aside, "Promote the model against the verdict")
        self.anyway = row(self.anyway_button)
        self.chart = ScoreChart()
        self.chart.chosen.connect(self._select)
        self.models = self._table()
        for widget in (self.empty, self.used, self.verdict, self.anyway, self.chart, self.models):
            self.body.addWidget(widget)
        self.promote_button = button("Use this model", self.promote, "Promote: the chosen model proposes from now on")
        self.back_button = button("Roll back", self.roll_back, "Use the model again that was used before")
        self.propose_button = button("Propose with it", self.propose, "On the page Labels, with the model in use")
        self.body.addWidget(row(self.promote_button, self.back_button, self.propose_button))
        self._build_comparison()

    def _table(self) -> QTableWidget:
        table = QTableWidget(0, len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        table.horizontalHeaderItem(1).setToolTip(SCORE_TIP)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        table.verticalHeader().hide()
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setFixedHeight(160)
        table.itemSelectionChanged.connect(self._selected)
        return table

    def _build_comparison(self) -> None:
        self.compare_heading = heading("Compare two on a tile")
        self.body.addWidget(self.compare_heading)
        self.first, self.second = QComboBox(), QComboBox()
        self.compare_button = button("Compare", self.compare, "Lay both over the open tile; Tab flips between them")
        for combo in (self.first, self.second):
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            combo.currentIndexChanged.connect(lambda _: self._comparable())
        self.comparison = row(self.first, QLabel("with"), self.second, stretch=False)
        for index in (0, 2):
            self.comparison.layout().setStretch(index, 1)
        for widget in (self.comparison, row(self.compare_button)):
            self.body.addWidget(widget)

    # -- show ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        proposed = bool(proposals_of(self.session))
        self.missing.say(
            "" if proposed else "There is nothing to improve yet. Propose labels on the Labels page first."
        )
        busy = any(item.verb == "finetune" for item in self.session.running())
        self.start_button.setEnabled(proposed and not busy)
        self._price()
        newest = self.session.newest("finetune")
        self.curves.setVisible(newest is not None)
        if newest is not None:
            self.curves.follow(newest.run)
        chosen = self._chosen()
        self._models = models_of(self.session)
        self._fill(chosen)
        self._judge()
        self._offer()

    def follow(self, item: Followed) -> None:
        if item.verb == "finetune":
            self.curves.show()
            self.curves.follow(item.run)

    def _fill(self, chosen: str) -> None:
        """Fill the table, the newest model first, and the chart; the run `chosen` stays selected."""
        self.empty.setVisible(not self._models)
        self.models.setRowCount(len(self._models))
        for index, model in enumerate(reversed(self._models)):
            for column, text in enumerate(_texts(model)):
                cell = QTableWidgetItem(text)
                cell.setToolTip(f"<qt>{told(model)}. {model.verdict.reason if model.verdict else ''}</qt>")
                self.models.setItem(index, column, cell)
        self.chart.setVisible(any(model.score is not None for model in self._models))
        self.chart.show_models(self._models)
        self.models.clearSelection()
        self._select(chosen)
        self._selected()

    def _judge(self) -> None:
        """Say which model is in use, and what became of the newest."""
        used = next((model.name for model in self._models if model.in_use), "")
        tuned = [model for model in self._models if model.verdict is not None]
        self.used.say((f"In use: {used}." if used else "No fine-tuned model is in use.") if self._models else "")
        self.verdict.say(_verdict(tuned[-1], editable=self.session.editable) if tuned else "")
        self._aside = tuned[-1].run.id if tuned and tuned[-1].kept_aside else ""
        self.anyway.setVisible(bool(self._aside))
        self.anyway_button.setEnabled(self.session.editable)
        self.back_button.setEnabled(bool(used) and self.session.editable)

    def _offer(self) -> None:
        """Offer all models for the comparison: the newest with the one it was judged against."""
        chosen = [combo.currentData() for combo in (self.first, self.second)]
        newest = self._models[-1] if self._models else None
        against = newest.verdict.compared_with if newest is not None and newest.verdict is not None else ""
        fresh = newest is not None and self.first.findData(newest.run.id) < 0
        wanted = (newest.run.id if newest else "", against) if fresh else chosen
        for combo, run_id in zip((self.first, self.second), wanted, strict=True):
            combo.blockSignals(True)
            combo.clear()
            for model in reversed(self._models):
                combo.addItem(model.name, model.run.id)
            combo.addItem(EDITED, "")
            combo.setCurrentIndex(max(0, combo.findData(run_id)))
            combo.blockSignals(False)
        for widget in (self.compare_heading, self.comparison, self.compare_button):
            widget.setVisible(bool(self._models))
        self._comparable()

    def _comparable(self) -> None:
        self.compare_button.setEnabled(self.first.currentData() != self.second.currentData())

    def _selected(self) -> None:
        self.promote_button.setEnabled(bool(self._chosen()) and self.session.editable)

    def _chosen(self) -> str:
        """Run of the selected model; empty if none is."""
        rows = self.models.selectionModel().selectedRows()
        shown = self._models[::-1]
        return shown[rows[0].row()].run.id if rows and rows[0].row() < len(shown) else ""

    def _select(self, run_id: str) -> None:
        for index, model in enumerate(reversed(self._models)):
            if model.run.id == run_id:
                self.models.selectRow(index)

    def _price(self) -> None:
        config = self.form.config()
        self.cost.say(estimate(self.session, "finetune", config.steps) if config else "")

    # -- do --------------------------------------------------------------------------------------------------------

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
        self._promote(self._chosen())

    def promote_aside(self) -> None:
        """Use the newest model although the verdict speaks against it."""
        self._promote(self._aside)

    def _promote(self, run_id: str) -> None:
        if run_id:
            self.session.edit(lambda project: promote(project, run_id))
            self.refresh()

    def roll_back(self) -> None:
        """Use the model again that was used before."""
        self.session.edit(roll_back)
        self.refresh()

    def propose(self) -> None:
        """Go and label the images with the model in use."""
        self.go("labels", route="model")

    def compare(self) -> None:
        """Lay the two chosen models over the open tile."""
        first, second = self.first.currentData(), self.second.currentData()
        self.session.compare_asked.emit(*((first, second) if second else (second, first)))


def _texts(model: Model) -> Sequence[str]:
    """Cells of one row."""
    score = f"{'≈ ' if model.estimated else ''}{model.score:.2f}" if model.score is not None else "–"
    tiles = "1 tile" if model.tiles == 1 else f"{model.tiles} tiles"
    judged = ("too few" if model.estimated else tiles) if model.tiles else "–"
    state = "● in use" if model.in_use else "kept aside" if model.kept_aside else ""
    return model.name, score, judged, state


def _verdict(model: Model, *, editable: bool) -> str:
    """Say what became of the newest fine-tuned model."""
    assert model.verdict is not None
    if model.in_use:
        return f"Promoted: {model.name}. {model.verdict.reason}"
    if model.kept_aside:
        return f"Kept aside: {model.name}. {model.verdict.reason}"
    why = "another one was chosen" if editable else "this window is read-only"
    return f"Not in use: {model.name}; {why}. {model.verdict.reason}"
