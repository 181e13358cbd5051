"""What this machine has free, and what a job of it uses: processor, memory, GPUs."""

import shutil
import subprocess
from dataclasses import dataclass

import psutil

from histobridge.core.processes import same_process

GB = 1e9
ASK = "--query-gpu=name,utilization.gpu,memory.used,memory.total"
PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Parameters
    ----------
    name : str
    busy : float
        Share of the time it computes, 0 to 1.
    used_gb, total_gb : float
        Memory in 10^9 bytes.
    """

    name: str
    busy: float
    used_gb: float
    total_gb: float


def job_memory_gb(pid: int, started: float, birth: str = "") -> float | None:
    """Memory that the process of a job holds, in 10^9 bytes; none if it is gone, or of another machine.

    Parameters
    ----------
    pid : int
        Number of the process.
    started : float
        When it was born, in seconds since 1970; tells it from a later one of the same number.
    birth : str
        The same by a clock that nobody sets, if known; see `histobridge.core.processes.birth_of`.
    """
    try:
        process = psutil.Process(pid)
        if not same_process(process, started, birth):
            return None
        return float(process.memory_info().rss / GB)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def memory_words() -> str:
    """Say how busy the processor is since the last call, and how much memory is free."""
    memory = psutil.virtual_memory()
    return (
        f"{psutil.cpu_count()} cores {psutil.cpu_percent():.0f} % busy, "
        f"{memory.available / GB:.1f} of {memory.total / GB:.1f} GB free"
    )


def gpus() -> list[Gpu]:
    """Ask the driver for the NVIDIA GPUs of this machine; none where there is no driver or it does not answer.

    Takes tens of milliseconds, or seconds with a driver that hangs.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run(
            [program, ASK, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return read_gpus(told.stdout) if told.returncode == 0 else []


def read_gpus(text: str) -> list[Gpu]:
    """Read name, busy %, used and total MiB of each GPU, a line each; strange lines are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        try:
            name, busy, used, total = parts
            found.append(Gpu(name, float(busy) / 100, float(used) * 2**20 / GB, float(total) * 2**20 / GB))
        except ValueError:
            continue
    return found
