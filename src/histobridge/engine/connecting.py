"""Reach a scheduler: that of an address, or of this computer's engine, which is of our version then."""

import asyncio
import re
import struct
import time
from typing import Any

from histobridge import __version__
from histobridge.engine.cluster import (
    STOP_SECONDS,
    EngineError,
    EngineOptions,
    EngineRecord,
    ensure_engine,
    runtime_folder,
    stop_engine,
)

CONNECT_SECONDS = 10
ANSWER_SECONDS = 2.0
"""More, for a connection that was made in time; then what is there is asked in vain."""

NONSENSE = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)
"""What dask stumbles over when another server answers; it takes the first bytes for a size."""

GONE_SECONDS = 0.1
ADDRESS = re.compile(r"([a-z]+://)?.+:\d+(/.*)?|inproc://.+")
"""With its port: a client that is made without one does not let go for a while."""


class NoAnswerError(EngineError):
    """Nobody answers where a scheduler should be."""


def connect(where: str, record: EngineRecord | None) -> Any:
    """Connect to the scheduler at an address; a local one only talks to who holds its key."""
    from distributed import Client
    from distributed.security import Security

    if not ADDRESS.fullmatch(where):
        raise NoAnswerError(
            f"{where!r} is no address of a dask scheduler, such as tcp://node7:8786; give host and port"
        )
    security = Security()
    if record is not None:
        security = Security(
            require_encryption=True,
            tls_ca_file=record.certificate,
            tls_client_cert=record.certificate,
            tls_client_key=record.key,
        )
    try:
        _need_scheduler(where, security)
        return Client(where, security=security, timeout=CONNECT_SECONDS, set_as_default=False, name="histobridge")
    except (OSError, ValueError) as error:
        raise NoAnswerError(
            f"no dask scheduler answers at {where} ({error}); check the address, or leave it empty for this computer"
        ) from error


def _need_scheduler(where: str, security: Any) -> None:
    """Ask what is there, in bounded time: dask's own client waits for ever for an answer that is none."""
    from distributed.comm.core import CommClosedError
    from distributed.core import rpc

    async def identity() -> Any:
        async with rpc(where, timeout=CONNECT_SECONDS, connection_args=security.get_connection_args("client")) as there:
            return await there.identity()

    async def in_time() -> Any:
        return await asyncio.wait_for(identity(), CONNECT_SECONDS + ANSWER_SECONDS)

    if where.startswith("inproc:"):
        return
    try:
        found = str(asyncio.run(in_time())["type"])
    except (TimeoutError, CommClosedError, *NONSENSE) as error:
        raise NoAnswerError(
            f"what listens at {where} does not answer as a dask scheduler does ({type(error).__name__}); give the "
            "scheduler's port: is that the dashboard's?"
        ) from error
    if found != "Scheduler":
        raise NoAnswerError(f"at {where} is a dask {found.lower()}, no scheduler; give the scheduler's address")


def local_engine(options: EngineOptions) -> EngineRecord:
    """Return the local engine, started if there is none, and anew if it is of another version and has no job.

    Raises
    ------
    EngineError
        If it does not start, or one of another version still works.
    """
    record = ensure_engine(options, runtime_folder())
    if record.version == __version__:
        return record
    with connect(record.address, record) as client:
        busy = _at_work(client)
    if busy:
        raise EngineError(
            f"the engine of this computer is of HistoBridge {record.version}, this is {__version__}, and it still "
            f"works on {', '.join(busy)}; start the job again when that has ended"
        )
    stop_engine(runtime_folder(), record)
    return ensure_engine(options, runtime_folder())


def _at_work(client: Any) -> list[str]:
    """Tasks of a scheduler that have not ended, those that wait for a worker among them."""

    def unfinished(dask_scheduler: Any) -> list[str]:
        ended = ("released", "memory", "erred", "forgotten")
        return sorted(str(task.key) for task in dask_scheduler.tasks.values() if task.state not in ended)

    found: list[str] = client.run_on_scheduler(unfinished)
    return found


def gone(record: EngineRecord | None) -> bool:
    """Whether a local engine that does not answer was about to end, and has."""
    deadline = time.monotonic() + STOP_SECONDS
    while record is not None and record.alive and time.monotonic() < deadline:
        time.sleep(GONE_SECONDS)
    return record is None or not record.alive
