"""Tell one process from a later one of the same number, whatever happens to the clock."""

import os
from pathlib import Path
from typing import Any

import psutil

CLOCK_SECONDS = 2.0
"""Two births by the clock that are nearer count as one."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity() -> dict[str, Any]:
    """Return `pid`, `pid_started` and `pid_birth` of this process, as records of the project hold them."""
    me = psutil.Process()
    return {"pid": me.pid, "pid_started": me.create_time(), "pid_birth": birth_of(me.pid)}


def birth_of(pid: int) -> str:
    """Say when a process was born by a clock that nobody sets: which start of Linux, ticks since; else empty."""
    try:
        boot = BOOT_ID.read_text().strip()
        told = Path(f"/proc/{pid}/stat").read_bytes()
        # The 22nd field; the second one, a name in brackets, may hold anything.
        return f"{boot} {int(told[told.rindex(b')') + 1 :].split()[19])}"
    except (OSError, ValueError, IndexError):
        return ""


def same_process(process: psutil.Process, started: float, birth: str) -> bool:
    """Whether a process is the one that was born then.

    Parameters
    ----------
    process : psutil.Process
    started : float
        When it was born, in seconds since 1970; moves with the clock.
    birth : str
        What `birth_of` said; counts where both are known.
    """
    now = birth_of(process.pid) if birth else ""
    return now == birth if now else abs(process.create_time() - started) < CLOCK_SECONDS


def process_alive(pid: int, started: float, birth: str = "") -> bool:
    """Whether the process of this number, born then, still lives on this machine; see `same_process`."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        # Where nobody reaps the dead, as in many containers, they stay as zombies.
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return not ended and same_process(process, started, birth)
    except psutil.NoSuchProcess:
        return _of_others(pid)
    except psutil.AccessDenied:
        return True


def _of_others(pid: int) -> bool:
    """Whether a process is there that only its user can see, as with ``hidepid=2``."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False
