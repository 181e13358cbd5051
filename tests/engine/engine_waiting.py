"""What tests of the engine share."""

import os
import threading
import time

import psutil
from dask.system import CPU_COUNT

MEMORY_MB = 400
THREADS = CPU_COUNT


def wait_until(condition, seconds=60):
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.02)
    return found


def processes_of(folder):
    """Processes that were started with this runtime folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("HISTOBRIDGE_RUNTIME_DIR") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def end(engine, run, seconds=60):
    """Follow a run to its end and return its last state."""
    wait_until(lambda: run.state().ended, seconds)
    return list(engine.follow(run))[-1]
