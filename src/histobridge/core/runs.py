"""One folder a job: what it was asked, where it stands, what it made."""

import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from histobridge.core.config import Config
from histobridge.core.errors import ProjectError
from histobridge.core.files import append_json_lines, read_json_lines
from histobridge.core.processes import process_alive
from histobridge.core.silence import Silence
from histobridge.core.versions import read_form, write_form

Status = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
ENDED: tuple[Status, ...] = ("finished", "failed", "cancelled")
HEARTBEAT_SECONDS = 30.0
LOST_SECONDS = 4 * HEARTBEAT_SECONDS
"""Without a sign of life from another machine, after which its process is taken for gone."""


class RunState(Config):
    """Where a run stands, as its `state.json` says; what a newer version says beside that is left out."""

    model_config = ConfigDict(extra="ignore")

    status: Status = "queued"
    """`interrupted`: it says running, but the process that wrote it is gone."""

    step: int = 0
    """Steps done."""

    total: int = 0
    """Steps to do; 0 when unknown."""

    message: str = ""
    """What it is doing, or why it ended, in the user's words."""

    metrics: dict[str, float] = Field(default_factory=dict)
    """The newest numbers."""

    attempt: int = 0
    """How often it was started."""

    pid: int = 0
    """Process that works on it."""

    pid_started: float = 0.0
    """When that process was born, in seconds since 1970; tells it from a later one of the same number."""

    pid_birth: str = ""
    """The same by a clock that nobody sets, see `histobridge.core.processes.birth_of`."""

    host: str = ""
    """Machine of that process."""

    started: float = 0.0
    """Seconds since 1970 of the newest start."""

    began_at: int = 0
    """Steps that were done before the newest start."""

    updated: float = 0.0
    """Seconds since 1970 of the newest sign of life."""

    error: str = ""
    """Traceback of a failure, for the Details button."""

    result: dict[str, Any] = Field(default_factory=dict)
    """What the job returned."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of this run by itself."""
        return self.status in ENDED


class Run:
    """One job's folder; written by that job alone, read by anyone.

    Parameters
    ----------
    path : Path
        ``<project>/runs/<id>``.
    """

    def __init__(self, path: Path):
        self.path = path
        self.id = path.name
        self._silence = Silence(path / "state.json")

    @classmethod
    def create(cls, runs: Path, verb: str, config: Config) -> "Run":
        """Make the folder of a new, queued run."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        path = runs / f"{stamp}-{verb}-{secrets.token_hex(2)}"
        path.mkdir(parents=True)
        request = {"verb": verb, "config": config.model_dump(mode="json"), "created": time.time()}
        write_form(path / "run.json", request)
        run = cls(path)
        run.write_state(RunState())
        run.log("queued")
        return run

    @property
    def project_path(self) -> Path:
        """The project the run belongs to."""
        return self.path.parent.parent

    def request(self) -> dict[str, Any]:
        """What was asked: verb, config and time of creation.

        Raises
        ------
        ProjectError
            If it is missing, damaged or of a newer version.
        OSError
            If the disk does not answer now.
        """
        try:
            request = read_form(self.path / "run.json")
            if not (isinstance(request["verb"], str) and isinstance(request["config"], dict)):
                raise TypeError("verb and config expected")
        except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
            raise ProjectError(
                f"run {self.id} has no readable run.json ({error}); start the job again, and delete {self.path}"
            ) from error
        return request

    def problem(self) -> str:
        """Say why nothing can be done with its folder, as it is damaged or a newer version's; empty if all is well.

        Raises
        ------
        OSError
            If the disk does not answer now.
        """
        try:
            self.request()
            with suppress(FileNotFoundError, ValueError, TypeError):  # then the log says where it stands
                read_form(self.path / "state.json")
        except ProjectError as error:
            return str(error)
        return ""

    @property
    def verb(self) -> str:
        """The job, such as ``train-segmenter``."""
        return str(self.request()["verb"])

    @property
    def config(self) -> dict[str, Any]:
        """The config as saved."""
        config: dict[str, Any] = self.request()["config"]
        return config

    def settle(self, **choices: str) -> dict[str, str]:
        """Write down what "the latest" means now, such as ``matching``; a resumed job gets what it started with."""
        path = self.path / "inputs.json"
        if not path.exists():
            write_form(path, choices)
        try:
            settled: dict[str, str] = read_form(path)
        except (OSError, ValueError, TypeError) as error:
            raise ProjectError(f"run {self.id} has no readable inputs.json ({error}); start the job again") from error
        return settled

    def state(self) -> RunState:
        """Where the run stands now; a running one whose process is gone is `interrupted`.

        Raises
        ------
        ProjectError
            If a newer version wrote it.
        OSError
            If the disk does not answer now: that says nothing about the run.
        """
        try:
            state = RunState.model_validate(read_form(self.path / "state.json"))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return self._state_by_log()
        if state.status == "running" and not self._alive(state):
            return state.model_copy(update={"status": "interrupted", "message": "the process that ran it is gone"})
        return state

    def _state_by_log(self) -> RunState:
        """Where the run stands by its log, since its state is missing or damaged; what had not ended is interrupted."""
        lost: dict[str, Any] = {"status": "interrupted", "message": "its state.json is missing or damaged"}
        state = RunState(**lost)
        for event in self.events():
            if (kind := event["kind"]) in ENDED:
                update = {"status": kind, "message": event.get("message", ""), "result": event.get("result", {})}
            elif kind in ("submitted", "started", "resumed"):
                update = lost | {"attempt": event.get("attempt", state.attempt)}
            else:
                continue
            state = state.model_copy(update=update)
        return state

    def write_state(self, state: RunState, *, durable: bool = True) -> None:
        """Replace the state; only whoever runs the job calls this."""
        write_form(self.path / "state.json", state.model_dump(mode="json"), durable=durable)

    def end(self, state: RunState, status: Status, message: str, error: str = "") -> None:
        """Write how the run ended: to the log first, so that it is whole for who sees the state."""
        self.write_end(state.model_copy(update={"status": status, "message": message, "error": error}))

    def write_end(self, state: RunState) -> None:
        """Write a state in which the run has ended, as `end` does."""
        self.log(state.status, message=state.message, **({"result": state.result} if state.result else {}))
        self.write_state(state.model_copy(update={"updated": time.time()}))

    def let_go(self, state: RunState) -> bool:
        """Make sure that no run seems to be running that has ended, on a disk where `end` cannot be written.

        Without its state it is interrupted; the room that this makes may do for the state: returns whether it did.
        """
        try:
            (self.path / "state.json").unlink(missing_ok=True)
            self.write_state(state)
        except OSError:
            return False
        return True

    def show_life(self) -> None:
        """Tell other machines, which cannot see the process, that it lives; leaves the content alone.

        A disk that does not answer now may at the next time.
        """
        with suppress(OSError):
            os.utime(self.path / "state.json")  # The disk's time: clocks of machines differ.

    def _alive(self, state: RunState) -> bool:
        """Whether the process behind a running state still lives; on other machines, whether it showed life lately."""
        if state.host != socket.gethostname():
            return self._silence.seconds() < LOST_SECONDS
        return process_alive(state.pid, state.pid_started, state.pid_birth)

    def last_life(self) -> float:
        """When the process that runs it last showed life, in seconds since 1970 by its disk; 0 if never."""
        try:
            return (self.path / "state.json").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def log(self, kind: str, **details: Any) -> None:
        """Append one line to the event log."""
        event = {"time": round(time.time(), 3), "kind": kind, **details}
        append_json_lines(self.path / "events.jsonl", [event], durable=kind != "progress")

    def events(self, last_bytes: int | None = None) -> Iterator[dict[str, Any]]:
        """Read the event log, or its end; a torn last line is left out, and what is no event."""
        for event in read_json_lines(self.path / "events.jsonl", last_bytes):
            if isinstance(event, dict) and isinstance(event.get("kind"), str):
                yield event

    def request_cancel(self) -> None:
        """Ask whoever runs the job to stop at its next step."""
        (self.path / "cancel").touch()

    def cancel_requested(self) -> bool:
        """Whether a stop was asked for."""
        return (self.path / "cancel").exists()

    def acknowledge_cancel(self) -> None:
        """Say that the job is stopping and only writes down what it has learned, which may take longer than a step."""
        (self.path / "stopping").touch()

    def cancel_acknowledged(self) -> bool:
        """Whether the job is stopping."""
        return (self.path / "stopping").exists()

    def clear_cancel(self) -> None:
        """Forget a stop that was asked for; a resumed run starts with this."""
        for name in ("cancel", "stopping"):
            (self.path / name).unlink(missing_ok=True)

    def own(self) -> None:
        """Say that this process exists for such runs, so that it may be killed when one does not stop."""
        (self.path / "worker").write_text(str(os.getpid()))

    def owned_by(self, pid: int) -> bool:
        """Whether a process exists for such runs; another one may be a user's, with more in it."""
        path = self.path / "worker"
        return path.exists() and path.read_text() == str(pid)
