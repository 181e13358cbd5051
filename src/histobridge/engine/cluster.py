"""Find, start and stop the local engine: a scheduler process that outlives the window."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TextIO

import platformdirs
import psutil
from pydantic import Field, NonNegativeInt, PositiveFloat

from histobridge.core.config import Config
from histobridge.core.disk import why
from histobridge.core.errors import HistoBridgeError
from histobridge.core.files import read_json
from histobridge.core.processes import process_alive

START_SECONDS = 60.0
STOP_SECONDS = 10.0
TURN_SECONDS = START_SECONDS + 10.0
MODULE = "histobridge.engine.daemon"


class EngineError(HistoBridgeError):
    """The engine could not be started or reached."""


class EngineOptions(Config):
    """How a local engine behaves; those of whoever starts it count."""

    worker_idle_seconds: PositiveFloat = 600
    """Workers without a job for this long end, so that their memory returns."""

    engine_idle_seconds: PositiveFloat = 1800
    """An engine without a job for this long ends."""

    train_memory_share: float = Field(0.6, gt=0, le=1)
    """Share of the machine's memory that the worker `train` may use."""

    quick_memory_share: float = Field(0.3, gt=0, le=1)
    """Share of the machine's memory that the worker `quick` may use."""

    threads: NonNegativeInt = 0
    """Threads a job computes with; 0: all cores but one, which keeps the window smooth."""

    load_ahead: tuple[str, ...] = ("torch", "monai.networks.nets")
    """Modules that the quick worker imports before anyone asks."""


class EngineRecord(Config):
    """What `engine.json` says of a running local engine; readable by its user alone."""

    address: str
    """Where the scheduler listens, on the loopback interface."""

    pid: int
    """The scheduler's process."""

    pid_started: float
    """When it was born, in seconds since 1970."""

    pid_birth: str = ""
    """The same by a clock that nobody sets, see `histobridge.core.processes.birth_of`."""

    version: str
    """Version of HistoBridge that it runs."""

    certificate: str
    """Certificate of both sides (PEM)."""

    key: str
    """Its key (PEM): who holds it may submit."""

    @property
    def alive(self) -> bool:
        """Whether the process still lives."""
        return process_alive(self.pid, self.pid_started, self.pid_birth)


def runtime_folder() -> Path:
    """Return the folder of the local engine's files, made if missing, and nobody else's.

    Raises
    ------
    EngineError
        If it belongs to another user or others can enter it: they could run programs as this user.
    """
    named = os.environ.get("HISTOBRIDGE_RUNTIME_DIR")
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR, as over ssh, it warns of taking another folder; below we check that it is private.
        warnings.simplefilter("ignore", UserWarning)
        folder = Path(named or platformdirs.user_runtime_dir("histobridge")).absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise EngineError(
            f"{folder} is not private to you (owner {status.st_uid}, mode {status.st_mode & 0o777:o}); "
            "remove it or run: chmod 700, or name another folder in HISTOBRIDGE_RUNTIME_DIR"
        )
    return folder


def find_engine(folder: Path) -> EngineRecord | None:
    """Return the running local engine, or none."""
    try:
        record = EngineRecord.model_validate(read_json(folder / "engine.json"))
    except (OSError, ValueError):
        return None
    return record if record.alive else None


def ensure_engine(options: EngineOptions, folder: Path) -> EngineRecord:
    """Return the running local engine, started if there is none; of many who ask at once one starts it.

    Raises
    ------
    EngineError
        If it does not start; names the log file. Also if another process is at it for too long.
    """
    with (folder / "engine.lock").open("w") as guard:
        _wait_for(guard, folder)
        record = find_engine(folder)
        if record is None:
            _launch(options, folder)
            record = find_engine(folder)
    if record is None:
        raise EngineError(f"the engine ended right after its start; {folder / 'engine.log'} says why")
    return record


def _wait_for(guard: TextIO, folder: Path) -> None:
    """Wait until nobody else starts the engine; not for ever, since whoever does may stand still."""
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EngineError(
                    f"another process has been starting the engine for {TURN_SECONDS:.0f} s; end it "
                    f"(`fuser {folder / 'engine.lock'}` names it), then start the job again"
                ) from None
            time.sleep(0.05)
        except OSError as error:
            raise EngineError(
                f"{folder} cannot be locked: {why(error)}; name another folder in HISTOBRIDGE_RUNTIME_DIR"
            ) from error
        else:
            return


def _launch(options: EngineOptions, folder: Path) -> None:
    """Start the scheduler process, detached, and wait until it is ready."""
    log = folder / "engine.log"
    ours, theirs = os.pipe()
    try:
        with log.open("wb") as output:
            # The child forks and ends at once: its own child has no parent here to wait for it.
            command = [sys.executable, "-m", MODULE, str(folder), str(theirs), options.model_dump_json()]
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                pass_fds=(theirs,),
                start_new_session=True,
                check=False,
            )
        os.close(theirs)
        theirs = -1
        heard, _, _ = select.select([ours], [], [], START_SECONDS)
        if not heard or os.read(ours, 5) != b"ready":
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise EngineError(f"the engine did not start ({' '.join(last) or 'no message'}); see {log}")
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)


def stop_engine(folder: Path, only: EngineRecord | None = None) -> bool:
    """End the local engine and its workers; running jobs can be resumed. Returns whether there was one.

    With `only` it is left alone if it is another one by now.
    """
    record = find_engine(folder)
    if record is None or only not in (None, record):
        return False
    scheduler = psutil.Process(record.pid)
    processes = [scheduler, *scheduler.children(recursive=True)]
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while record.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        if process.is_running():
            process.kill()
    return True
