"""One engine for all tests of this folder, in its own runtime folder."""

import pytest
from distributed.system import MEMORY_LIMIT
from engine_waiting import MEMORY_MB, THREADS, processes_of, wait_until

from histobridge.core.project import Project
from histobridge.engine.client import Engine
from histobridge.engine.cluster import EngineOptions, stop_engine


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    folder.chmod(0o700)
    yield folder
    stop_engine(folder)
    wait_until(lambda: not processes_of(folder), 30)


@pytest.fixture
def fresh_folder(tmp_path, monkeypatch):
    folder = tmp_path / "engine"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HISTOBRIDGE_RUNTIME_DIR", str(folder))
    yield folder
    stop_engine(folder)
    wait_until(lambda: not processes_of(folder), 30)


@pytest.fixture
def engine(shared_folder, monkeypatch):
    monkeypatch.setenv("HISTOBRIDGE_RUNTIME_DIR", str(shared_folder))
    share = min(1, MEMORY_MB * 1e6 / MEMORY_LIMIT)
    engine = Engine(options=EngineOptions(load_ahead=(), threads=THREADS, train_memory_share=share))
    yield engine
    engine.close()


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")
