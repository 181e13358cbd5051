"""The thread that talks to the scheduler goes on, whatever one order meets, and nobody waits for it for ever."""

import errno
import fcntl
import os
import threading
import time
from types import SimpleNamespace

import pytest
from engine_waiting import wait_until

from histobridge.core.config import SelfTestConfig
from histobridge.core.runs import Run, RunState
from histobridge.engine import client as engine_client
from histobridge.engine import cluster, orders
from histobridge.engine.client import Engine
from histobridge.engine.cluster import EngineError, EngineOptions, ensure_engine, runtime_folder
from histobridge.engine.connecting import NoAnswerError

ADDRESS = "tcp://somewhere:8786"


class Future:
    """A task that waits until the test says how it ended."""

    def __init__(self, key):
        self.key, self.status, self._calls = key, "pending", []

    def add_done_callback(self, call):
        self._calls.append(call)

    def end(self, status):
        self.status = status
        for call in self._calls:
            call(self)


class Client:
    """A scheduler without workers, which only takes tasks."""

    def __init__(self):
        self.status, self.scheduler, self.taken = "running", SimpleNamespace(address=ADDRESS), []

    def scheduler_info(self, **_):
        return {"workers": {}}

    def submit(self, *_, key, **__):
        self.taken.append(Future(key))
        return self.taken[-1]

    def close(self):
        self.status = "closed"


@pytest.fixture
def scheduler(monkeypatch):
    """What `connect` does, step by step: an error is raised, a function is called; in the end it returns the client."""
    made = SimpleNamespace(client=Client(), steps=[], tried=0)

    def connect(_where, _record):
        made.tried += 1
        step = made.steps.pop(0) if made.steps else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            step()
        made.client.status = "running"
        return made.client

    monkeypatch.setattr(engine_client, "connect", connect)
    monkeypatch.setattr("distributed.fire_and_forget", lambda _: None)
    return made


@pytest.fixture
def engine(scheduler):
    made = Engine(ADDRESS)
    yield made
    made.close()


@pytest.fixture
def new_run(project):
    return lambda: project.create_run("selftest", SelfTestConfig())


@pytest.mark.parametrize("error", [NoAnswerError("nobody"), MemoryError(), KeyError("x"), AssertionError()])
def test_whatever_goes_wrong_with_one_order_the_next_one_gets_its_turn(engine, scheduler, new_run, error):
    first, second = new_run(), new_run()
    scheduler.steps = [error]
    engine.submit(first)
    wait_until(lambda: first.state().ended)
    assert first.state().message.startswith("the job could not be handed to the engine: ")
    engine.submit(second)
    wait_until(lambda: scheduler.client.taken)


def test_a_failure_that_cannot_be_written_ends_no_thread(engine, scheduler, new_run, monkeypatch):
    tried = threading.Event()

    def full(*_):
        tried.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scheduler.steps = [NoAnswerError("nobody")]
    with monkeypatch.context() as broken:
        broken.setattr(Run, "end", full)
        engine.submit(new_run())
        assert tried.wait(5)
    engine.submit(new_run())
    wait_until(lambda: scheduler.client.taken)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_started_again(engine, scheduler, new_run, monkeypatch):
    with monkeypatch.context() as broken:

        def die(*_):
            raise SystemExit

        broken.setattr(orders.Orders, "get", die)
        engine.start()
        wait_until(lambda: not any(thread.name == "engine" for thread in threading.enumerate()))
    engine.submit(new_run())
    wait_until(lambda: len(scheduler.client.taken) == 2)


def test_a_waiting_run_is_handed_over_again_as_soon_as_the_scheduler_is_back(engine, scheduler, new_run, monkeypatch):
    """After one attempt in vain it was forgotten, and waited as long as the window stayed open."""
    monkeypatch.setattr(orders, "FIRST_SECONDS", 0.01)
    run = new_run()
    engine.submit(run)
    wait_until(lambda: scheduler.client.taken)
    scheduler.client.status = "closed"
    scheduler.steps = [NoAnswerError("away"), NoAnswerError("still away")]
    scheduler.client.taken[0].end("lost")
    wait_until(lambda: len(scheduler.client.taken) == 2)
    assert run.state().status == "queued"
    assert scheduler.tried == 4


def test_a_waiting_run_that_was_cancelled_meanwhile_is_not_handed_over_again(engine, scheduler, new_run, monkeypatch):
    monkeypatch.setattr(orders, "FIRST_SECONDS", 0.01)
    run = new_run()
    engine.submit(run)
    wait_until(lambda: scheduler.client.taken)

    def cancel_and_fail():
        engine.cancel(run)
        raise NoAnswerError("away")

    scheduler.client.status = "closed"
    scheduler.steps = [cancel_and_fail]
    scheduler.client.taken[0].end("lost")
    wait_until(lambda: run.state().ended)
    threading.Event().wait(0.2)
    assert (run.state().status, scheduler.tried, len(scheduler.client.taken)) == ("cancelled", 2, 1)


def test_orders_rest_longer_each_time():
    waiting, order = orders.Orders(), orders.Order(None, "quick", again=True)
    waiting.rest(order)
    began = time.monotonic()
    with pytest.raises(engine_client.queue.Empty):
        waiting.get(0.01)
    assert time.monotonic() - began < orders.FIRST_SECONDS


def test_an_interrupted_run_that_is_resumed_waits_for_a_worker(engine, new_run):
    """It still said that it was interrupted, and whoever watched gave it up."""
    run = new_run()
    run.write_state(RunState(status="interrupted", step=4, total=9, attempt=1))
    engine.resume(run)
    state = run.state()
    assert (state.status, state.step, state.total, state.attempt) == ("queued", 4, 9, 1)
    assert [event["kind"] for event in run.events()].count("crashed") == 1


def test_closing_waits_for_no_thread_that_hangs_and_what_is_ordered_after_it_is_done(
    engine, scheduler, new_run, monkeypatch
):
    monkeypatch.setattr(engine_client, "CLOSE_SECONDS", 0.05)
    may_go = threading.Event()
    scheduler.steps = [lambda: may_go.wait(20)]
    engine.submit(new_run())
    wait_until(lambda: scheduler.tried)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 5
    engine.submit(new_run())
    may_go.set()
    wait_until(lambda: len(scheduler.client.taken) == 2)


def test_only_logs_of_waiting_runs_are_read_to_find_runs_again(engine, project, new_run, monkeypatch):
    """A log of two days took a second of the window's, whatever became of its run."""
    ended, interrupted, waiting = new_run(), new_run(), new_run()
    ended.write_state(RunState(status="finished"))
    interrupted.write_state(RunState(status="interrupted"))
    read, events = [], Run.events
    monkeypatch.setattr(Run, "events", lambda run, *given: read.append((run.id, *given)) or events(run, *given))
    assert {run.id for run in engine.reattach(project)} == {interrupted.id, waiting.id}
    assert read == [(waiting.id, engine_client.TAIL_BYTES)]


def test_nobody_waits_for_ever_for_who_starts_the_engine(fresh_folder, monkeypatch):
    monkeypatch.setattr(cluster, "TURN_SECONDS", 0.05)
    with (fresh_folder / "engine.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="another process has been starting the engine"):
            ensure_engine(EngineOptions(), fresh_folder)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_runtime_folder_without_locks_is_told_with_the_remedy(fresh_folder, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(EngineError, match="has no file locks; name another folder in HISTOBRIDGE_RUNTIME_DIR"):
        ensure_engine(EngineOptions(), fresh_folder)


def test_a_runtime_folder_named_from_here_is_found_from_elsewhere(tmp_path, monkeypatch):
    """The engine's process works in another folder and looked for it there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HISTOBRIDGE_RUNTIME_DIR", "runtime")
    assert runtime_folder() == tmp_path / "runtime"
