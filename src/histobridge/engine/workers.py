"""What happens when a worker process starts; the engine names this module as dask's preload."""

import os
import sys
import threading
from typing import Any

from histobridge.core.loading import whole
from histobridge.core.waiting import yield_while_waiting

NICENESS = 10


def dask_setup(_worker: Any) -> None:
    """Step back behind the window and, where asked to, load heavy modules in the background."""
    os.nice(NICENESS)
    yield_while_waiting()
    names = [name for name in os.environ.get("HISTOBRIDGE_LOAD_AHEAD", "").split(",") if name]
    if names:
        threading.Thread(target=_load, args=(names,), name="load-ahead", daemon=True).start()


def _load(names: list[str]) -> None:
    for name in names:
        whole(name)
    set_threads(compute_threads())


def compute_threads() -> int:
    """How many threads a job computes with: what the engine says, or all cores but one."""
    from dask.system import CPU_COUNT

    named = int(os.environ.get("HISTOBRIDGE_THREADS", "0"))
    return named or max(1, CPU_COUNT - 1)


def set_threads(count: int) -> None:
    """Let libraries compute with `count` threads, whether loaded already or later; dask's nannies leave one."""
    yield_while_waiting()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    # While another thread loads it, torch is there without its functions; `_load` tells it when it is whole.
    tell = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if tell is not None:
        tell(count)
