"""Several worker processes for one training: the first asks dask for the others, and all meet in the run's folder."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from histobridge.core.job import finish
from histobridge.core.runs import Run
from histobridge.engine.cluster import EngineError

logger = logging.getLogger(__name__)


def others_of(name: str) -> bool:
    """Whether a worker of a local engine is one that joins the worker `train`: `train-2`, `train-3` and so on."""
    return name.startswith("train-")


def gpu_of(name: str) -> dict[str, str]:
    """Environment in which a worker that joins `train` sees its own GPU first: the second, the third and so on."""
    if not others_of(name):
        return {}
    number = int(name.removeprefix("train-")) - 1
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = seen.split(",") if seen else [str(index) for index in range(number + 1)]
    return {"CUDA_VISIBLE_DEVICES": devices[number]} if number < len(devices) else {}


@contextmanager
def joined(run: Run, local: bool) -> Iterator[None]:
    """Let as many processes as the config of a run asks for train together while this is open; this is the first.

    Must be called in a dask task. Raises `EngineError` if there are too few workers, RuntimeError if they do not come.
    """
    from distributed import fire_and_forget, get_client

    count = int(run.config.get("processes", 1))
    if count == 1:
        yield
        return
    from histobridge.core.translate.crew import gathered

    client = get_client()
    meeting = run.path / f"meeting-{secrets.token_hex(4)}"
    for rank, place in enumerate(_places(client, count, local), 1):
        key = f"{run.id}-{meeting.name}-{rank}"
        fire_and_forget(client.submit(join, str(run.path), meeting.name, rank, count, key=key, **place))
    try:
        with gathered(meeting, 0, count, run.config.get("device", "auto")):
            yield
    finally:
        meeting.unlink(missing_ok=True)


def join(run_path: str, meeting: str, rank: int, count: int) -> str:
    """Take part in a training as one of the others: compute a share of every batch, and write nothing."""
    from histobridge.core import jobs
    from histobridge.core.project import Project
    from histobridge.core.translate.crew import gathered
    from histobridge.engine.workers import compute_threads, set_threads

    run = Run(Path(run_path))
    set_threads(compute_threads())
    try:
        with gathered(run.path / meeting, rank, count, run.config.get("device", "auto")):
            finish(jobs.start(Project.open(run.project_path), run))
    except BaseException:
        # The first process is told by the broken connection, and the run's state is its to write.
        logger.exception("process %d of run %s ended", rank + 1, run.id)
        return "ended"
    return "done"


def _places(client: Any, count: int, local: bool) -> list[dict[str, Any]]:
    """Where the others run: workers that a local engine starts for it, or others of a cluster like this one."""
    if local:
        return [{"resources": {f"train-{rank + 1}": 1}} for rank in range(1, count)]
    from distributed import get_worker

    workers = client.scheduler_info(n_workers=-1)["workers"]
    here = get_worker().address
    asked = {name: 1 for name in ("train", "GPU", "CPU") if name in workers[here]["resources"]}
    found = [
        address for address, worker in workers.items() if address != here and asked.keys() <= worker["resources"].keys()
    ]
    if len(found) < count - 1:
        raise EngineError(
            f"processes: {count} found, but the scheduler has {len(found) + 1} workers like this one; "
            "ask for fewer, or start more workers"
        )
    return [{"workers": [address], "resources": asked} for address in found[: count - 1]]
