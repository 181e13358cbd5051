"""Kill what does not stop, and nothing else."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil

from histobridge.core.runs import Run
from histobridge.engine import run as worker_side


def later(seconds: float, function: Callable[..., object], *arguments: object) -> None:
    """Call a function after a while, unless this process has ended by then."""
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()


def kill(run: Run, attempt: int, saves: bool = True) -> None:
    """Kill the worker process of an attempt at a run that still has not stopped, if it is on this machine.

    One that is writing its last checkpoint gets time for it once; a process that is no worker is left alone.
    """
    state = run.state()
    here = state.attempt == attempt and state.host == socket.gethostname()
    if state.status != "running" or not here or not run.cancel_requested():
        return
    if saves and run.cancel_acknowledged():
        later(worker_side.SAVE_SECONDS, kill, run, attempt, False)
    elif run.owned_by(state.pid):
        with suppress(psutil.Error):
            psutil.Process(state.pid).kill()
        with suppress(OSError):  # it is interrupted then
            worker_side.end_killed(run)
