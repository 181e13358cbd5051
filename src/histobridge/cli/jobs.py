"""The verbs that run a job, here or in a worker, and those that go on with it or stop it."""

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from histobridge.cli.options import absolute_paths, add_options, given
from histobridge.cli.output import BAD_INPUT, FAILED, OK, PARTLY, STOPPED, Outcome, ProgressLine, facts
from histobridge.cli.promotion import promote_by_verdict
from histobridge.cli.stopping import stops_at_next_step
from histobridge.cli.taking_over import opened, take_over_option
from histobridge.core.config import TrainTranslatorConfig
from histobridge.core.errors import HistoBridgeError, InputError, ProjectError
from histobridge.core.job import Progress
from histobridge.core.jobs import JOBS, parse_config
from histobridge.core.perform import CancelledError, perform, told
from histobridge.core.project import Project
from histobridge.core.runs import Run
from histobridge.core.translate.cost import cost_in_words
from histobridge.engine.client import Engine

POLL_SECONDS = 0.2
LOST_SECONDS = 60.0
"""A run whose worker is gone and that nobody took up again in this time is given up."""

CANCEL_SECONDS = 30.0
"""How long `cancel` waits for the run to end."""


class RunError(HistoBridgeError):
    """A run did not end well; `details` go into the JSON object."""

    def __init__(self, message: str, run: Run, code: int = FAILED):
        super().__init__(message)
        self.code = code
        self.details = {"run": run.id, "folder": str(run.path), "status": run.state().status}
        self.details["resume"] = resume_command(run)


def start_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of a verb that starts a job: one per field of its config."""
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    add_options(parser, JOBS[verb].config, "paths" if verb == "add" else "")
    parser.add_argument("--config", default="", metavar="FILE", help="JSON file with fields; options win over it.")
    if verb == "finetune":
        _promote_option(parser)
    if verb in ("add", "finetune"):
        take_over_option(parser)
    _place_options(parser)


def _place_options(parser: argparse.ArgumentParser) -> None:
    """Where a job runs: in this process unless told otherwise."""
    parser.add_argument("--engine", action="store_true", help="Run in the worker processes of this computer.")
    parser.add_argument("--scheduler", default="", metavar="ADDRESS", help="Run on the dask scheduler at ADDRESS.")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", metavar="PROJECT", help="The project folder.")
    parser.add_argument("run", metavar="RUN", help="Id of the run, as `histobridge status` shows it.")


def _promote_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-promote", action="store_true", help="Do not use a fine-tuned model, whatever its verdict is."
    )


def resume_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `resume`."""
    _run_options(parser)
    _promote_option(parser)
    take_over_option(parser)
    _place_options(parser)


def cancel_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `cancel`."""
    _run_options(parser)


def start(namespace: argparse.Namespace) -> Outcome:
    """Make a run of the verb and carry it out."""
    verb: str = namespace.verb
    values = given(namespace, JOBS[verb].config, namespace.config)
    if JOBS[verb].config is TrainTranslatorConfig and not namespace.config:
        values.setdefault("preset", "cpu")  # as the window does: without any, a method has the settings of another
    config = parse_config(verb, values)
    project = opened(namespace)
    if isinstance(config, TrainTranslatorConfig):
        sys.stderr.write(f"{JOBS[verb].title}: {cost_in_words(config)}\n")
    return _carry_out(project, project.create_run(verb, absolute_paths(config)), namespace)


def resume(namespace: argparse.Namespace) -> Outcome:
    """Go on with a run from its last checkpoint."""
    project = opened(namespace)
    run = project.run(namespace.run)
    state = run.state()
    if state.status == "running":
        raise InputError(f"run {run.id} is running (process {state.pid} on {state.host}); stop it first, or let it run")
    run.clear_cancel()
    return _carry_out(project, run, namespace)


def cancel(namespace: argparse.Namespace) -> Outcome:
    """Ask a run to stop, and wait until it has."""
    run = Project.open(Path(namespace.project)).run(namespace.run)
    Engine().cancel(run)
    deadline = time.monotonic() + CANCEL_SECONDS
    while not (state := run.state()).ended and state.status != "interrupted" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if state.status == "running":
        raise RunError(f"run {run.id} has not stopped within {CANCEL_SECONDS:.0f} s; it stops at its next step", run)
    again = "" if state.status == "finished" else resume_command(run)
    values = {"verb": "cancel", "run": run.id, "status": state.status, "resume": again}
    return Outcome(values, [f"run {run.id} is {state.status}" + (f"; go on with: {again}" if again else "")])


def resume_command(run: Run) -> str:
    """What to type to go on with a run."""
    return shlex.join(["histobridge", "resume", str(run.project_path), run.id])


def _carry_out(project: Project, run: Run, namespace: argparse.Namespace) -> Outcome:
    """Perform a run, show its progress, and finish what needs the edit lock."""
    began = time.monotonic()
    line = ProgressLine(JOBS[run.verb].title)
    # A library that prints must not spoil the one JSON object on stdout.
    with contextlib.redirect_stdout(sys.stderr), contextlib.closing(line):
        result = _result(run, line, namespace)
    values: dict[str, Any] = {"verb": run.verb, "project": str(project.path), "run": run.id, "folder": str(run.path)}
    values |= {"status": "finished", "seconds": round(time.monotonic() - began, 2), "result": result}
    lines = facts({name: value for name, value in result.items() if name != "problems"})
    code = OK
    if run.verb == "add":
        values["adopted"] = _adopt(project, run) if result.get("added") else []
        code = _refused(result)
    if run.verb == "finetune" and not namespace.no_promote:
        values["promoted"], said = promote_by_verdict(project, run)
        lines.append(said)
    if run.verb in ("train-translator", "import-translator"):
        lines.append(
            "use it with: " + shlex.join(["histobridge", "propose", str(project.path), "--translator", run.id])
        )
    lines += [f"refused {p['file']}: {p['problem']}; {p['remedy']}" for p in result.get("problems", ())]
    return Outcome(values, [*lines, f"run {run.id}"], code)


def _refused(result: dict[str, Any]) -> int:
    """Exit code of an import: all, some or none of the files were taken."""
    if not result.get("problems"):
        return OK
    return PARTLY if result.get("added") else BAD_INPUT


def _adopt(project: Project, run: Run) -> list[str]:
    """Take staged images into the project; if somebody else edits, resuming the run does it later."""
    try:
        with project.editing("histobridge add"):
            return [record.id for record in project.adopt(run)]
    except HistoBridgeError as error:
        message = f"{error}. The images are ready; take them in with: {resume_command(run)}"
        raise RunError(message, run, BAD_INPUT) from error


def _result(run: Run, watch: Callable[[Progress], object], namespace: argparse.Namespace) -> dict[str, Any]:
    """Perform the run and return its result, every failure told as one sentence."""
    try:
        if not (namespace.engine or namespace.scheduler):
            with stops_at_next_step(run.request_cancel):
                return perform(run, watch)
        with contextlib.closing(Engine(namespace.scheduler)) as engine, stops_at_next_step(lambda: engine.cancel(run)):
            return follow(run, engine, watch)
    except (CancelledError, KeyboardInterrupt) as error:
        raise RunError(f"stopped; go on with: {resume_command(run)}", run, STOPPED) from error
    except RunError:
        raise
    except (InputError, ProjectError) as error:
        raise RunError(str(error), run, BAD_INPUT) from error
    except HistoBridgeError as error:
        raise RunError(str(error), run) from error
    except BaseException as error:
        message = f"{told(error)}; the traceback is in {run.path / 'state.json'}"
        raise RunError(message, run) from error


def follow(run: Run, engine: Engine, watch: Callable[[Progress], object]) -> dict[str, Any]:
    """Hand the run to the engine and report what its folder says until it has ended."""
    engine.submit(run)
    lost_since = None
    while not (state := run.state()).ended:
        watch(Progress(state.step, state.total, state.message, state.metrics))
        lost_since = (lost_since or time.monotonic()) if state.status == "interrupted" else None
        if lost_since and time.monotonic() - lost_since > LOST_SECONDS:
            raise RunError(f"{state.message}; go on with: {resume_command(run)}", run)
        time.sleep(POLL_SECONDS)
    if state.status == "cancelled":
        raise CancelledError(state.message)
    if state.status == "failed":
        raise RunError(state.message, run)
    return state.result
