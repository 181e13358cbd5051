"""Page 4: propose labels for the target images."""

from datetime import UTC, datetime
from typing import Any

from qtpy.QtWidgets import QComboBox, QLabel

from histobridge.core.choice import Choice, read_choice
from histobridge.core.config import ProposeConfig
from histobridge.core.errors import ProjectError
from histobridge.core.runs import Run
from histobridge.core.translate.quality.gate import UNTRAINED
from histobridge.widgets.cost import estimate, steps_of
from histobridge.widgets.form import ConfigForm, Fold
from histobridge.widgets.method_box import METHODS
from histobridge.widgets.models import ROUTES, proposals_of
from histobridge.widgets.page import ERROR_STYLE, Note, Page, button, heading, row
from histobridge.widgets.routes import EvidenceTable, RouteChoice
from histobridge.widgets.steps import TRANSLATORS

FIRST_ROUTE = "auto"
HIDDEN = ("route", "translator", "matching", "for_comparison")


class LabelsPage(Page):
    """Choose a route and a translator, propose, see the result."""

    title = "Labels"

    def build(self) -> None:
        self.routes = RouteChoice(FIRST_ROUTE)
        self.routes.changed.connect(self._stay)
        self.body.addWidget(self.routes)
        self.translator = QComboBox()
        self.translator.setToolTip("What gives images the look of the other modality (page Translate)")
        self.translator.currentIndexChanged.connect(lambda _: self._remember())
        self.translator_row = row(QLabel("Translator"), self.translator, stretch=False)
        self.translator_row.layout().setStretch(1, 1)
        self.body.addWidget(self.translator_row)
        self.form = ConfigForm(ProposeConfig(), hidden=HIDDEN)
        self.form.changed.connect(self._price)
        self.more = Fold("More", self.form)
        self.body.addWidget(self.more)
        self.cost = Note()
        self.body.addWidget(self.cost)
        self.start_button = button("Propose labels", self.start, primary=True)
        self.body.addWidget(self.start_button)
        self.result_heading, self.result = heading("Newest proposal"), Note()
        self.show_button = button("Show", lambda: self.go("review", domain="target"), "Open the proposal in Review")
        self.chosen, self.evidence, self.trouble = Note(), EvidenceTable(), Note(style=ERROR_STYLE)
        for widget in (self.result_heading, self.result, self.chosen, self.evidence, self.trouble):
            self.body.addWidget(widget)
        self.body.addWidget(row(self.show_button))

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        count = len(project.images("target"))
        self.intro.say(f"Propose labels for {count} target image(s), which you then correct in Review.")
        matched = self.session.newest("match", status="finished") is not None
        self.missing.say("" if matched else "The domains are not matched yet. Do that on the Match page first.")
        proposing = any(item.verb == "propose" for item in self.session.running())
        self.start_button.setEnabled(matched and count > 0 and not proposing)
        self.routes.choose(self.session.remembered.place(project.path).get("route", FIRST_ROUTE))
        self._fill_translators()
        self._price()
        newest = next(reversed(proposals_of(self.session)), None)
        for widget in (self.result_heading, self.show_button):
            widget.setVisible(newest is not None)
        self.result.say(self._words(newest.run.id, newest.state.result) if newest else "")
        self._explain(newest.run if newest else None)

    def _explain(self, run: Run | None) -> None:
        """Say which route was chosen for the user, and why."""
        choice: Choice | None = None
        trouble = ""
        try:
            choice = read_choice(run) if run is not None else None
        except ProjectError as error:
            trouble = str(error)
        self.chosen.say(f"Chosen for you: {ROUTES[choice.chosen]}. {choice.reason}" if choice else "")
        self.evidence.show_choice(choice)
        self.trouble.say(trouble)

    def _fill_translators(self) -> None:
        """Offer what needs no training and every translator that was trained; the one chosen before, or the default."""
        project = self.session.project
        assert project is not None
        trained = [
            item
            for item in self.session.followed.values()
            if item.verb in TRANSLATORS and item.state.status == "finished"
        ]
        wanted = self.session.remembered.place(project.path).get("translator") or ProposeConfig().translator
        self.translator.blockSignals(True)
        self.translator.clear()
        for number, item in reversed(list(enumerate(trained, start=1))):
            name = METHODS.get(item.config.get("method", ""), "Imported").split(":")[0]
            self.translator.addItem(f"{name} {number}: {_begun(item.run.id)}", item.run.id)
        self.translator.addItem("Instant", "instant")
        self.translator.addItem("None (identity)", "identity")
        self.translator.setCurrentIndex(max(0, self.translator.findData(wanted)))
        self.translator.blockSignals(False)

    def _remember(self) -> None:
        self.form.set(insist=False)  # What was insisted on was another one.
        if self.session.project is not None:
            self.session.remembered.stay(self.session.project.path, translator=self.translator.currentData())
        self._price()

    def _stay(self) -> None:
        """Remember the route."""
        if self.session.project is not None:
            self.session.remembered.stay(self.session.project.path, route=self.routes.route)
        self._price()

    def _price(self) -> None:
        route, config = self.routes.route, self.form.config()
        self.translator_row.setVisible(route != "model")
        steps = steps_of(config.model_dump() | {"route": route}) if config is not None else 0
        text = estimate(self.session, "propose", steps) if steps else ""
        more = ""
        if route != "model" and self.translator.currentData() not in UNTRAINED:
            more = "; a trained translator takes longer than Instant"
        self.cost.say((text or "≈ seconds an image (estimate)") + more)

    def _words(self, run_id: str, result: dict[str, Any]) -> str:
        """Say what was proposed, and how sure the model is; confidence is no score."""
        from histobridge.core.proposals import proposal_summary

        project = self.session.project
        assert project is not None
        images = [str(image_id) for image_id in result.get("images", [])]
        sure = [proposal_summary(project, run_id, image_id)["confidence"] for image_id in images]
        translator = str(result.get("translator", ""))
        shown = self.translator.itemText(self.translator.findData(translator)) or translator
        mean = f"; mean confidence {sum(sure) / len(sure):.2f} (the model's own, not a score)" if sure else ""
        route = str(result.get("route", ""))
        by = f" with {shown}" if route != "model" else ""
        return f"{ROUTES.get(route, route).capitalize()}{by}, {len(images)} image(s){mean}."

    def start(self) -> None:
        """Propose as chosen."""
        config = self.form.config()
        if config is None:
            self.more.unfold()
        else:
            chosen = {"route": self.routes.route, "translator": self.translator.currentData()}
            self.session.submit("propose", config.model_copy(update=chosen))
            self.form.set(insist=False)
        self.refresh()


def _begun(run_id: str) -> str:
    """When a run was made, by the clock of this computer; its id begins with date and time in UTC."""
    made = datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return f"{made.astimezone():%m-%d %H:%M}"
