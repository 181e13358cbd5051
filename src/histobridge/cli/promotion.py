"""The verbs that choose the run to use: promote, rollback; and the scores to choose by."""

import argparse
from typing import Any, get_args

from histobridge.cli.output import Outcome
from histobridge.cli.taking_over import opened, take_over_option
from histobridge.core import gate
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.manifest import RunKind
from histobridge.core.project import KIND_OF_VERB, Project
from histobridge.core.runs import Run


def promote_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `promote`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    parser.add_argument("run", metavar="RUN", nargs="?", default="", help="Run to use from now on.")
    parser.add_argument("--latest", choices=get_args(RunKind), help="Instead: go back to the latest run of this kind.")
    take_over_option(parser)


def promote(namespace: argparse.Namespace) -> Outcome:
    """Choose the run of its kind that is used from now on."""
    project = opened(namespace)
    if bool(namespace.run) == bool(namespace.latest):
        raise InputError("promote needs either a run or --latest KIND")
    kind: RunKind = namespace.latest or _kind(project.run(namespace.run))
    with project.editing("histobridge promote"):
        if kind == gate.KIND:
            gate.promote(project, namespace.run)
        else:
            project.pin(kind, namespace.run)
    used = project.active(kind)
    words = kind.replace("_", " ")
    values = {"verb": "promote", "project": str(project.path), "kind": kind, "run": used.id if used else None}
    return Outcome(values, [f"{words} in use: {used.id}" if used else f"no {words} is finished yet"])


def _kind(run: Run) -> RunKind:
    """What a finished run made."""
    status = run.state().status
    if status != "finished":
        raise InputError(f"run {run.id} is {status}; only a finished run can be promoted")
    kind: RunKind | None = gate.KIND if run.verb == "finetune" else KIND_OF_VERB.get(run.verb)
    if kind is None:
        raise InputError(f"run {run.id} is of the verb {run.verb}, which makes nothing that could be promoted")
    return kind


def rollback_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `rollback`."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    take_over_option(parser)


def rollback(namespace: argparse.Namespace) -> Outcome:
    """Use the fine-tuned model again that was used before."""
    project = opened(namespace)
    with project.editing("histobridge rollback"):
        used = gate.roll_back(project)
    values = {"verb": "rollback", "project": str(project.path), "run": used or None}
    return Outcome(values, [f"model in use: {used}" if used else "no fine-tuned model is in use any more"])


def promote_by_verdict(project: Project, run: Run) -> tuple[bool, str]:
    """Let the verdict on a fine-tuned model decide; return whether it is promoted now, and what became of it."""
    by_hand = f"histobridge promote {project.path} {run.id}"
    try:
        with project.editing("histobridge finetune"):
            promoted = gate.apply_gate(project, run)
    except ProjectError as error:
        return False, f"not put into use: {error}. When that is over: {by_hand}"
    return promoted, "in use from now on" if promoted else f"not put into use; to use it all the same: {by_hand}"


def model_rows(project: Project) -> list[dict[str, Any]]:
    """Scores of all fine-tuned models, the oldest first."""
    used = project.manifest.active.get(gate.KIND, "")
    rows = []
    for run in project.runs("finetune"):
        try:
            verdict = gate.read_gate(run)
        except ProjectError as error:
            verdict = gate.Gate(verdict="keep-aside", reason=str(error))
        if verdict is not None:
            row: dict[str, Any] = {"model": run.id, "score": verdict.score.after, "before": verdict.score.before}
            row |= {"tiles": len(verdict.tiles), "cross-validated": verdict.cross_validated}
            rows.append(row | {"verdict": verdict.verdict, "in use": run.id == used, "reason": verdict.reason})
    return rows
