"""The models of a project as the window tells of them: names, scores, verdicts, and what each has labelled."""

from collections import Counter
from dataclasses import dataclass

from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json
from histobridge.core.gate import KIND, Gate, read_gate
from histobridge.core.proposals import has_proposal
from histobridge.core.runs import Run
from histobridge.widgets.session import Followed, Session

ROUTES = {
    "auto": "choose for me",
    "tutorship": "tutorship",
    "adaptation": "adaptation",
    "fused": "both, fused",
    "model": "a model you have",
}
"""Routes of the job `propose` in the user's words."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model and how it did on tiles that it has not learned from.

    Parameters
    ----------
    run : Run
        Which made it.
    name : str
    in_use : bool
    verdict : Gate or None
        Of a fine-tuned model.
    score : float or None
        Mean Dice, 0 to 1.
    before : float or None
        Of the model it was compared with, on the same tiles.
    tiles : int
        How many were scored.
    estimated : bool
        Whether the score is of models trained for the purpose, without a part of the tiles each.
    """

    run: Run
    name: str
    in_use: bool
    verdict: Gate | None = None
    score: float | None = None
    before: float | None = None
    tiles: int = 0
    estimated: bool = False

    @property
    def kept_aside(self) -> bool:
        """Whether the verdict speaks against it and nobody uses it all the same."""
        return self.verdict is not None and self.verdict.verdict == "keep-aside" and not self.in_use


def models_of(session: Session) -> list[Model]:
    """All finished models, the oldest first; a proposing one has the score that it was compared at last."""
    project = session.project
    if project is None:
        return []
    used = project.manifest.active.get(KIND, "")
    gates = {item.run.id: _verdict(item.run) for item in _finished(session, "finetune")}
    compared = {gate.compared_with: gate for gate in gates.values() if gate is not None}
    counts: Counter[str] = Counter()
    found = []
    for item in _finished(session, "propose", "finetune"):
        run, gate = item.run, gates.get(item.run.id)
        if item.verb == "propose" and item.config.get("route") == "model":
            continue
        name = "fine-tuned" if item.verb == "finetune" else _route(item)
        counts[name] += 1
        name = f"{name} {counts[name]}" if item.verb == "finetune" or counts[name] > 1 else name
        judged = gate or compared.get(run.id)
        model = Model(run, name, run.id == used, gate)
        if judged is not None:
            score = judged.score.after if gate else judged.score.before
            before = judged.score.before if gate else None
            model = Model(
                run, name, run.id == used, gate, score, before, len(judged.tiles), estimated=judged.cross_validated
            )
        found.append(model)
    return found


def proposals_of(session: Session) -> list[Followed]:
    """Finished proposals, the oldest first, without those that were only made to compare."""
    return [item for item in _finished(session, "propose") if not item.config.get("for_comparison")]


def labelled_by(session: Session, model: str, image: str) -> str:
    """Return the newest run that labelled an image with the model of a run; empty if there is none."""
    project = session.project
    if project is None:
        return ""
    made = (item.run.id for item in reversed(_finished(session, "propose")) if proposer(item) == model)
    return next((run_id for run_id in made if has_proposal(project, run_id, image)), "")


def proposer(item: Followed) -> str:
    """Return the run whose model proposes in a run: itself, or the one it was told to take."""
    if item.config.get("route") != "model":
        return item.run.id
    if item.config.get("segmenter"):
        return str(item.config["segmenter"])
    try:
        return str(read_json(item.run.path / "inputs.json")["segmenter"])
    except (OSError, ValueError, KeyError):
        return ""


def _finished(session: Session, *verbs: str) -> list[Followed]:
    items = session.followed.values()
    return [item for item in items if item.verb in verbs and item.state.status == "finished"]


def _route(item: Followed) -> str:
    """Name the route a proposal came by: the chosen one where it was chosen."""
    route = str(item.state.result.get("route", item.config.get("route", "")))
    return ROUTES.get(route, route)


def _verdict(run: Run) -> Gate | None:
    """Read the verdict on a model; a damaged one says so."""
    try:
        return read_gate(run)
    except ProjectError as error:
        return Gate(verdict="keep-aside", reason=str(error))
