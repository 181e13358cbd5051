"""The local engine's own process: a dask scheduler, and the two workers it starts and retires."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from histobridge import __version__
from histobridge.core.files import read_json, write_json
from histobridge.core.processes import identity
from histobridge.engine.cluster import EngineOptions, EngineRecord
from histobridge.engine.gathering import gpu_of, others_of

logger = logging.getLogger(__name__)
TICK_SECONDS = 0.2
REST_SECONDS = 5.0
"""After a worker that did not start, before another one is tried."""

WORKERS = ("train", "quick")
DASK: dict[str, Any] = {
    "logging": {"distributed": "warning", "bokeh": "error", "tornado": "error"},
    # `perform` counts crashes and gives up with the cause; dask would only say "killed".
    "distributed.scheduler.allowed-failures": 1000,
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    # An idle engine shall cost nothing to speak of; the watchdog of a running job looks more often.
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


class Crew:
    """The workers: started when a job waits for them, ended when idle."""

    def __init__(self, scheduler: Any, security: Any, options: EngineOptions):
        self.scheduler, self.security, self.options = scheduler, security, options
        self._nannies: dict[str, Any] = {}
        self._busy: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._starting: set[asyncio.Task[None]] = set()

    async def tend(self, folder: Path) -> None:
        """Hire and retire until the scheduler ends, or until another engine has taken its place."""
        self._hire("quick")
        while self.scheduler.status.name == "running":
            for name in self._wanted():
                self._hire(name)
            self._forget_ended()
            for name in [name for name in self._nannies if self._idle_seconds(name) > self.options.worker_idle_seconds]:
                await self._nannies.pop(name).close(reason="idle")
            if not self._wanted() and not self._working() and not _is_mine(folder):
                return
            await asyncio.sleep(TICK_SECONDS)

    async def dismiss(self) -> None:
        """End all workers now; what they worked on is interrupted."""
        closing = [asyncio.ensure_future(nanny.close(timeout=1)) for nanny in self._nannies.values()]
        if closing:
            await asyncio.wait(closing, timeout=2)
        for worker in multiprocessing.active_children():
            worker.kill()

    def _wanted(self) -> set[str]:
        """Names of workers that a task waits for."""
        waiting = (task.resource_restrictions or {} for task in self.scheduler.unrunnable)
        named = {name for restrictions in waiting for name in restrictions}
        return {name for name in named if name in WORKERS or others_of(name)} - self._nannies.keys()

    def _working(self) -> bool:
        return any(worker.processing for worker in self.scheduler.workers.values())

    def _hire(self, name: str) -> None:
        """Start a worker; a nanny starts it again if it dies."""
        from distributed import Nanny

        environment = {"HISTOBRIDGE_THREADS": str(self.options.threads)} | gpu_of(name)
        if name == "quick":
            environment["HISTOBRIDGE_LOAD_AHEAD"] = ",".join(self.options.load_ahead)
        self._busy[name] = time.monotonic()
        nanny = self._nannies[name] = Nanny(
            self.scheduler.address,
            name=name,
            nthreads=1,
            resources={name: 1},
            host="127.0.0.1",
            security=self.security,
            memory_limit=memory_limit(name, self.options),
            preload=["histobridge.engine.workers"],
            env=environment,
        )
        task = asyncio.create_task(self._start(name, nanny))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, name: str, nanny: Any) -> None:
        try:
            await nanny
        except (OSError, RuntimeError, TimeoutError):
            logger.exception("worker %s did not start", name)

    def _forget_ended(self) -> None:
        """Forget workers that did not start, first or again, so that the next job hires anew; after a rest."""
        for name, nanny in list(self._nannies.items()):
            if nanny.status.name in ("closed", "failed"):
                ended = self._ended.setdefault(name, time.monotonic())
                if time.monotonic() - ended > REST_SECONDS:
                    del self._nannies[name], self._ended[name]

    def _idle_seconds(self, name: str) -> float:
        """How long a worker has had nothing to do."""
        worker = self.scheduler.workers.get(self._nannies[name].worker_address)
        if worker is None or worker.processing:
            self._busy[name] = time.monotonic()
        return time.monotonic() - self._busy[name]


def memory_limit(name: str, options: EngineOptions) -> int:
    """Bytes a worker may use."""
    from distributed.system import MEMORY_LIMIT

    share = options.train_memory_share if name == "train" or others_of(name) else options.quick_memory_share
    return int(MEMORY_LIMIT * share)


def _is_mine(folder: Path) -> bool:
    """Whether `engine.json` still names this process; logging out may have removed it."""
    try:
        return bool(read_json(folder / "engine.json")["pid"] == os.getpid())
    except (OSError, ValueError, KeyError):
        return False


async def serve(folder: Path, ready: int, options: EngineOptions) -> None:
    """Run the scheduler until it is idle for long enough or told to end."""
    from distributed import Scheduler
    from distributed.security import Security

    security = Security.temporary()
    scheduler = Scheduler(
        host="127.0.0.1",
        port=0,
        protocol="tls",
        security=security,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        idle_timeout=options.engine_idle_seconds,
    )
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: asyncio.ensure_future(scheduler.close(reason="told to end"))
    )
    async with scheduler:
        record = EngineRecord(
            address=scheduler.address,
            version=__version__,
            certificate=security.tls_ca_file,
            key=security.tls_client_key,
            **identity(),
        )
        write_json(folder / "engine.json", record.model_dump(), durable=False, private=True)
        os.write(ready, b"ready")
        os.close(ready)
        crew = Crew(scheduler, security, options)
        try:
            await crew.tend(folder)
        finally:
            if _is_mine(folder):
                (folder / "engine.json").unlink()
            await crew.dismiss()


def main() -> None:
    """Detach from whoever started this, then serve."""
    folder, ready, options = Path(sys.argv[1]), int(sys.argv[2]), EngineOptions.model_validate_json(sys.argv[3])
    if os.fork():
        os._exit(0)
    os.set_inheritable(ready, False)
    import dask

    (folder / "workers").mkdir(exist_ok=True)
    dask.config.set(DASK | {"temporary-directory": str(folder / "workers")})
    asyncio.run(serve(folder, ready, options))


if __name__ == "__main__":
    main()
