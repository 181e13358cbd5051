"""Submit runs to workers, stop them, find them again; the truth is in the run's folder, never here."""

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from histobridge.core.errors import ProjectError
from histobridge.core.jobs import JOBS, Worker
from histobridge.core.runs import Run, RunState
from histobridge.engine import run as worker_side
from histobridge.engine.cluster import EngineOptions, find_engine, runtime_folder, stop_engine
from histobridge.engine.connecting import NoAnswerError, connect, gone, local_engine
from histobridge.engine.killing import kill, later
from histobridge.engine.orders import Order, Orders

if TYPE_CHECKING:
    from histobridge.core.project import Project

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.1
KEEP_SECONDS = 20.0
KILL_SECONDS = 0.7
"""After the grace time, for a worker so stuck that it cannot kill itself."""

CLOSE_SECONDS = 10.0
"""So long `close` waits for runs to be handed over; those that were not are when the project is opened again."""

TAIL_BYTES = 65536
"""Of an event log, in which the last time that a waiting run was submitted is looked for."""


class Engine:
    """Runs jobs in worker processes.

    Parameters
    ----------
    address : str
        Of any dask scheduler whose workers see the project folder, such as ``tcp://node7:8786``; empty: worker
        processes of this computer, started on first use, which outlive the window.
    options : EngineOptions, optional
        How a local engine behaves if this starts it.
    grace_seconds : float
        How long a job may take to stop before its process is killed.
    """

    def __init__(self, address: str = "", options: EngineOptions | None = None, grace_seconds: float = 2.0):
        self.address = address
        self.options = options or EngineOptions()
        self.grace_seconds = grace_seconds
        self._orders = Orders()
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._futures: dict[str, Any] = {}
        self._lock, self._closing = threading.Lock(), False

    # -- what the window and the command line call -----------------------------------------------------------------

    def start(self) -> None:
        """Start the engine and its quick worker in the background, ahead of the first job."""
        self._order(Order(None, "quick"))

    def submit(self, run: Run, worker: Worker | None = None) -> None:
        """Hand over a new, stopped, failed or interrupted run; returns at once.

        Parameters
        ----------
        run : Run
            One that is running or finished is left alone. Otherwise it goes on from its last checkpoint.
        worker : {"train", "quick"}, optional
            Which worker; none: the one its job names.
        """
        state = run.state()
        if state.status in ("running", "finished"):
            return
        run.clear_cancel()
        if state.status == "interrupted":
            run.log("crashed", step=state.step, attempt=state.attempt)
        if state.status != "queued":
            run.write_state(RunState(attempt=state.attempt, step=state.step, total=state.total))
        run.log("submitted", engine=self.address, host=socket.gethostname())
        self._order(Order(run, worker or JOBS[run.verb].worker))

    resume = submit

    def cancel(self, run: Run) -> None:
        """Stop a run: a waiting one never starts, a running one stops at its next step or is killed."""
        state = run.state()
        if state.ended:
            return
        run.request_cancel()
        if state.status == "running":
            later(self.grace_seconds + KILL_SECONDS, kill, run, state.attempt)
        else:
            run.end(state, "cancelled", "stopped before it started")

    def reattach(self, project: "Project") -> list[Run]:
        """Find the runs of a project that have not ended.

        Waiting ones that were submitted from here are submitted again, which changes nothing if the scheduler still
        knows them. Interrupted ones are the user's to resume.
        """
        found = [run for run in project.runs() if not run.state().ended]
        here = {"engine": self.address, "host": socket.gethostname()}
        for run in found:
            if run.state().status != "queued":
                continue
            submitted = [event for event in run.events(TAIL_BYTES) if event["kind"] == "submitted"][-1:]
            if any(here.items() <= event.items() for event in submitted):
                self._order(Order(run, JOBS[run.verb].worker))
        return found

    def follow(self, run: Run) -> Iterator[RunState]:
        """Yield the state of a run whenever it changes, until it has ended."""
        before = None
        while True:
            state = run.state()
            if state != before:
                yield state
            if state.ended:
                return
            before = state
            time.sleep(POLL_SECONDS)

    def status(self) -> dict[str, Any]:
        """Look at the engine, without starting it.

        Returns
        -------
        dict
            ``running``, ``address``, ``encrypted`` and ``workers``: name, memory and limit in MB, runs.

        Raises
        ------
        EngineError
            If it is there but does not answer.
        """
        record = None if self.address else find_engine(runtime_folder())
        if not (self.address or record):
            return {"running": False, "address": "", "encrypted": True, "workers": []}
        with connect(record.address if record else self.address, record) as client:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            tasks = client.processing()
            address = client.scheduler.address
        found = [
            {
                "name": str(worker["name"]),
                "memory_mb": round(worker["metrics"]["memory"] / 1e6),
                "limit_mb": round((worker["memory_limit"] or 0) / 1e6),
                "runs": list(tasks.get(where, ())),
            }
            for where, worker in workers.items()
        ]
        return {"running": True, "address": address, "encrypted": address.startswith("tls:"), "workers": found}

    def stop_all(self) -> bool:
        """End the local engine with its workers; what ran is interrupted and can be resumed."""
        return stop_engine(runtime_folder())

    def close(self) -> None:
        """Hand over what is still to be handed over, then let go; running jobs go on."""
        with self._lock:
            self._closing, thread = True, self._thread
        if thread is not None:
            self._orders.put(None)
            thread.join(CLOSE_SECONDS)

    # -- the thread that talks to the scheduler --------------------------------------------------------------------

    def _order(self, order: Order) -> None:
        with self._lock:
            self._closing = self._closing and order.again
            if self._closing:
                return
            self._orders.put(order)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """Hand over orders one by one; the connection is kept a while, so that an idle engine is left to end."""
        while True:
            try:
                order = self._orders.get(KEEP_SECONDS if self._client else None)
            except queue.Empty:
                if not self._futures:
                    self._disconnect()
                continue
            if order is not None:
                self._carry_out(order)
            elif self._may_end():
                return

    def _may_end(self) -> bool:
        """Whether the thread may end, since nothing was ordered after `close`; lets go of the connection then."""
        if self._closing:
            self._disconnect()
        with self._lock:
            if self._closing:
                self._thread = None
            return self._closing

    def _carry_out(self, order: Order) -> None:
        """Hand over one order; whatever goes wrong with it, the next one gets its turn."""
        try:
            if order.again and order.run is not None and order.run.state().status != "queued":
                return
            self._hand_over(self._connected(), order)
        except BaseException as error:
            logger.debug("an order failed", exc_info=True)
            self._disconnect()
            if order.again:
                self._orders.rest(order)
            else:
                _fail(order.run, f"the job could not be handed to the engine: {error or type(error).__name__}")

    def _connected(self) -> Any:
        """Return the connection to the scheduler, made anew if there is none or it has ended."""
        try:
            return self._reached()
        except NoAnswerError:
            if self.address or not gone(find_engine(runtime_folder())):
                raise
        return self._reached()

    def _reached(self) -> Any:
        """Return the connection to the address, or to this computer's engine, which is started if there is none."""
        record = None if self.address else local_engine(self.options)
        where = self.address if record is None else record.address
        if self._client is None or self._client.status != "running" or self._client.scheduler.address != where:
            self._disconnect()
            self._client = connect(where, record)
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(OSError, RuntimeError, ValueError):
                client.close()

    def _hand_over(self, client: Any, order: Order) -> None:
        """Submit one order."""
        from distributed import fire_and_forget

        resources = self._resources(client, order.worker)
        if order.run is None:
            fire_and_forget(client.submit(worker_side.wake, key=f"wake-{time.time()}", resources=resources))
            return
        run = order.run
        request = worker_side.Request(
            path=run.path.absolute(), grace_seconds=self.grace_seconds, local=not self.address
        )
        key = f"{run.id}-{run.state().attempt + 1}"
        future = client.submit(worker_side.main, request.model_dump_json(), key=key, resources=resources)
        fire_and_forget(future)
        self._futures[key] = future
        future.add_done_callback(lambda future: self._ended(order, future))

    def _resources(self, client: Any, worker: Worker) -> dict[str, int]:
        """Which of the resources that the workers declare a job asks for."""
        if not self.address:
            return {worker: 1}
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        declared = {name for found in workers for name in found["resources"]}
        for name in (worker, "GPU", "CPU") if worker == "train" else (worker,):
            if name in declared:
                return {name: 1}
        return {}

    def _ended(self, order: Order, future: Any) -> None:
        """Tell of a task that failed before `main` could write anything, such as for lack of HistoBridge there.

        One that was lost with the connection while its run waited is handed over again.
        """
        self._futures.pop(future.key, None)
        try:
            waits = order.run is not None and order.run.state().status == "queued"
        except (OSError, ProjectError):
            waits = future.status != "error"
        if not waits:
            return
        if future.status == "error":
            error = future.exception()
            _fail(order.run, f"the worker could not start the job: {error}; install the same HistoBridge there")
        elif future.status in ("cancelled", "lost"):
            self._order(replace(order, again=True))


def _fail(run: Run | None, message: str) -> None:
    """Write that a run that still waits has failed; where that cannot be written it goes on waiting."""
    try:
        if run is not None and (state := run.state()).status == "queued":
            run.end(state, "failed", message)
    except (OSError, ProjectError):
        logger.exception("a run could not be told to have failed: %s", message)
