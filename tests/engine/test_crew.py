"""The local engine's workers are hired anew when one could not be started again."""

import asyncio
import os
from types import SimpleNamespace

import distributed
import pytest

from histobridge.core.files import write_json
from histobridge.engine import daemon
from histobridge.engine.cluster import EngineOptions


class Nanny:
    """Starts no process."""

    made: list["Nanny"] = []

    def __init__(self, *_, **__):
        self.status, self.worker_address = SimpleNamespace(name="running"), ""
        self.made.append(self)

    def __await__(self):
        yield

    async def close(self, **_):
        self.status.name = "closed"


@pytest.fixture
def waiting_job(monkeypatch):
    """A scheduler with a job that waits for the worker `quick`."""
    monkeypatch.setattr(Nanny, "made", [])
    monkeypatch.setattr(distributed, "Nanny", Nanny)
    monkeypatch.setattr(daemon, "TICK_SECONDS", 0.005)
    monkeypatch.setattr(daemon, "REST_SECONDS", 0.05)
    task = SimpleNamespace(resource_restrictions={"quick": 1})
    return SimpleNamespace(status=SimpleNamespace(name="running"), unrunnable=[task], workers={}, address="")


@pytest.mark.parametrize("how", ["closed", "failed"])
def test_a_worker_that_could_not_be_started_again_is_hired_anew(waiting_job, tmp_path, how):
    """After one failure, such as a full disk, every later job waited for ever."""
    write_json(tmp_path / "engine.json", {"pid": os.getpid()})
    rested = []

    async def work():
        tending = asyncio.create_task(daemon.Crew(waiting_job, None, EngineOptions()).tend(tmp_path))
        while not Nanny.made:
            await asyncio.sleep(0)
        Nanny.made[0].status.name = how
        began = asyncio.get_running_loop().time()
        while len(Nanny.made) < 2 and asyncio.get_running_loop().time() - began < 5:
            await asyncio.sleep(0.005)
        rested.append(asyncio.get_running_loop().time() - began)
        waiting_job.status.name = "closed"
        await tending

    asyncio.run(work())
    assert len(Nanny.made) == 2
    assert rested[0] > 0.04
