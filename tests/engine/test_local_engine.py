import json
import os
import socket
import ssl
import subprocess
import sys
import warnings
from contextlib import suppress

import psutil
import pytest
from engine_waiting import end, wait_until

from histobridge import __version__
from histobridge.core.config import SelfTestConfig
from histobridge.engine.client import Engine
from histobridge.engine.cluster import (
    EngineError,
    EngineOptions,
    ensure_engine,
    find_engine,
    runtime_folder,
    stop_engine,
)

START = """
import sys
from pathlib import Path
from histobridge.engine.cluster import EngineOptions, ensure_engine
print(ensure_engine(EngineOptions.model_validate_json(sys.argv[2]), Path(sys.argv[1])).pid)
"""


def quick(engine, project):
    run = project.create_run("selftest", SelfTestConfig(steps=1))
    engine.submit(run)
    return end(engine, run)


@pytest.mark.slow
def test_many_who_start_it_at_once_get_one_engine_that_retires_its_workers_and_then_itself(fresh_folder, project):
    options = EngineOptions(worker_idle_seconds=1, engine_idle_seconds=6, load_ahead=())
    command = [sys.executable, "-c", START, str(fresh_folder), options.model_dump_json()]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {int(starter.communicate(timeout=60)[0]) for starter in starters}
    assert len(pids) == 1
    scheduler = psutil.Process(pids.pop())

    engine = Engine(options=options)
    first = quick(engine, project)
    wait_until(lambda: not psutil.pid_exists(first.pid))
    assert scheduler.is_running()
    assert engine.status()["workers"] == []
    second = quick(engine, project)
    assert (second.status, second.pid != first.pid) == ("finished", True)
    engine.close()
    wait_until(lambda: not scheduler.is_running())
    assert find_engine(fresh_folder) is None


def listening(record):
    """(address, port) that the engine's processes listen at."""
    scheduler = psutil.Process(record.pid)
    return {
        connection.laddr
        for process in (scheduler, *scheduler.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_engine_listens_on_loopback_only_and_refuses_who_has_no_key(engine, project):
    quick(engine, project)
    record = find_engine(runtime_folder())
    assert {where.ip for where in listening(record)} == {"127.0.0.1"}
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    host, port = record.address.removeprefix("tls://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        stranger.wrap_socket(plain) as channel,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        channel.recv(1)


def test_engine_has_no_web_pages(engine, project):
    quick(engine, project)
    for where in listening(find_engine(runtime_folder())):
        answer = b""
        with socket.create_connection(where, timeout=5) as web, suppress(ConnectionResetError):
            web.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            answer = web.recv(1000)
        assert b" 200 " not in answer


def test_status_tells_address_and_memory_of_the_workers_without_starting_any(engine, project, fresh_folder):
    assert engine.status() == {"running": False, "address": "", "encrypted": True, "workers": []}
    assert find_engine(fresh_folder) is None


def test_status_of_a_running_engine(engine, project):
    quick(engine, project)
    status = engine.status()
    (worker,) = [worker for worker in status["workers"] if worker["name"] == "quick"]
    assert status["encrypted"]
    assert status["address"].startswith("tls://127.0.0.1:")
    assert 20 < worker["memory_mb"] < worker["limit_mb"]


def test_its_record_is_readable_by_its_user_alone(engine, project):
    quick(engine, project)
    record = runtime_folder() / "engine.json"
    assert record.stat().st_mode & 0o077 == 0
    assert {"address", "pid", "key"} <= json.loads(record.read_text()).keys()


def test_runtime_folder_that_others_can_enter_is_refused_with_the_remedy(tmp_path, monkeypatch):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setenv("HISTOBRIDGE_RUNTIME_DIR", str(folder))
    with pytest.raises(EngineError, match="chmod 700"):
        runtime_folder()


def test_user_is_not_warned_of_a_runtime_folder_that_is_checked_anyway(tmp_path, monkeypatch):
    def unsure(_):
        warnings.warn("XDG_RUNTIME_DIR is not set", UserWarning, stacklevel=2)
        return str(tmp_path / "runtime")

    monkeypatch.delenv("HISTOBRIDGE_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_runtime_dir", unsure)
    assert runtime_folder() == tmp_path / "runtime"


def test_engine_that_cannot_start_says_where_its_log_is(fresh_folder, monkeypatch):
    monkeypatch.setattr("histobridge.engine.cluster.MODULE", "histobridge.engine.nothing")
    with pytest.raises(EngineError, match=r"No module named.*engine\.log"):
        ensure_engine(EngineOptions(), fresh_folder)


def test_record_of_a_dead_engine_counts_as_none(tmp_path):
    dead = {"address": "tls://127.0.0.1:1", "pid": os.getpid(), "pid_started": 0, "version": "0"}
    (tmp_path / "engine.json").write_text(json.dumps(dead | {"certificate": "", "key": ""}))
    assert find_engine(tmp_path) is None


def test_an_engine_of_another_version_is_replaced_unless_it_works(fresh_folder, project):
    """It outlives an update of HistoBridge, and its workers would perform what they do not know."""
    engine = Engine(options=EngineOptions(load_ahead=()))
    old = quick(engine, project)
    record = find_engine(fresh_folder)
    (fresh_folder / "engine.json").write_text(record.model_copy(update={"version": "0.0.1"}).model_dump_json())
    engine.close()
    long = project.create_run("selftest", SelfTestConfig(steps=1000))
    running = Engine(options=EngineOptions(load_ahead=()))
    new = quick(running, project)
    assert (old.status, new.status) == ("finished", "finished")
    assert find_engine(fresh_folder).pid != record.pid
    running.submit(long)
    wait_until(lambda: long.state().status == "running")
    record = find_engine(fresh_folder)
    (fresh_folder / "engine.json").write_text(record.model_copy(update={"version": "0.0.1"}).model_dump_json())
    running.close()
    refused = quick(running, project)
    assert refused.status == "failed"
    assert f"is of HistoBridge 0.0.1, this is {__version__}, and it still works on" in refused.message
    assert long.state().status == "running"
    running.close()


def test_a_job_that_waits_when_the_engine_ends_goes_to_the_next_one(fresh_folder, project):
    engine = Engine(options=EngineOptions(load_ahead=()))
    first, second = (project.create_run("selftest", SelfTestConfig(steps=steps)) for steps in (1000, 1))
    engine.submit(first, "train")
    wait_until(lambda: first.state().status == "running")
    engine.submit(second, "train")
    wait_until(lambda: second.id in str(engine.status()["workers"]) or second.state().status == "queued")
    stop_engine(fresh_folder)
    ended = end(engine, second)
    assert (ended.status, ended.message) == ("finished", "done")
    assert first.state().status == "interrupted"
    engine.close()
