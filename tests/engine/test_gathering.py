import os
import socket
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from distributed.deploy.subprocess import SubprocessCluster
from engine_waiting import end

from histobridge.core.config import MatchConfig, TrainTranslatorConfig
from histobridge.core.errors import CrashedError, InputError
from histobridge.core.files import write_json
from histobridge.core.images.pyramid import write_pyramid
from histobridge.core.manifest import ImageRecord
from histobridge.core.perform import perform, performing
from histobridge.core.runs import RunState
from histobridge.core.translate.base import look_of
from histobridge.core.translate.learner import load_trained
from histobridge.engine.client import Engine
from histobridge.engine.gathering import gpu_of
from histobridge.engine.workers import set_threads

CONFIG = TrainTranslatorConfig(
    method="cyclegan",
    steps=3,
    batch_size=2,
    crop_px=32,
    channels=2,
    blocks=1,
    keep_best=False,
    checkpoint_every=2,
    device="cpu",
)


@pytest.fixture
def matched(project, known_matching):
    """A project of one noisy image in each domain, matched as they are."""
    random = np.random.default_rng(0)
    with project.editing():
        staged = project.create_run("add", MatchConfig())
        for domain in ("source", "target"):
            folder = staged.path / "staged" / domain
            folder.mkdir(parents=True)
            pixels = random.integers(0, 256, (64, 64)).astype(np.uint8)
            write_pyramid(folder / "image", pixels, 0.1)
            record = ImageRecord(
                id=domain, domain=domain, subject="a", shape=(64, 64), dtype="uint8", pixel_size_um=0.1
            )
            write_json(folder / "record.json", record.model_dump(mode="json"))
        project.adopt(staged)
    run = project.create_run("match", MatchConfig())
    look = np.linspace(-1, 1, 257)
    matching = known_matching(look, look, run=run.id, invert=False)
    write_json(run.path / "matching.json", matching.model_dump(mode="json"))
    run.end(run.state(), "finished", "done")
    return project


def translated(run):
    image = np.random.default_rng(1).uniform(-1, 1, (64, 64)).astype(np.float32)
    return load_trained(run.path, "cpu").translate(image, "source_to_target", look_of(image))


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_folder")
@pytest.mark.parametrize("local", [True, False])
def test_two_workers_train_one_translator_together(matched, local):
    alone = matched.create_run("train-translator", CONFIG)
    perform(alone)
    together = matched.create_run("train-translator", CONFIG.model_copy(update={"processes": 2}))
    if local:
        engine = Engine()
        engine.submit(together)
        state = end(engine, together, 500)
        engine.close()
    else:
        with SubprocessCluster(
            n_workers=2,
            threads_per_worker=1,
            worker_kwargs={"resources": {"GPU": 1}, "dashboard": False},
            scheduler_kwargs={"dashboard": False},
        ) as cluster:
            engine = Engine(cluster.scheduler_address)
            engine.submit(together)
            state = end(engine, together, 500)
            engine.close()
    assert (state.status, state.message) == ("finished", "done")
    np.testing.assert_allclose(translated(together), translated(alone), atol=1e-3)
    assert not list(together.path.glob("meeting-*"))
    kinds = [event["kind"] for event in together.events()]
    assert (kinds.count("started"), kinds.count("checkpoint")) == (1, 2)


def test_a_training_for_several_processes_is_refused_where_there_is_one(matched):
    run = matched.create_run("train-translator", CONFIG.model_copy(update={"processes": 2}))
    with pytest.raises(InputError, match="run it by the engine"):
        perform(run)


def test_a_training_that_was_killed_for_its_memory_goes_on_with_less(matched):
    run = matched.create_run("train-translator", CONFIG)
    run.log("killed", reason="memory", used_mb=900, limit_mb=1000)
    said = []
    result = perform(run, lambda progress: said.append(progress.message))
    training = [message for message in said if message.startswith("training")]
    assert training
    assert all("each batch of 2 crops is now computed in 2 parts" in message for message in training)
    assert result["changed"] == {"parts": 2}


def test_a_training_answers_every_kill_as_long_as_it_has_an_answer(matched):
    """Then two kills without a checkpoint between them are the end, as of any job."""
    run, said, jobs = matched.create_run("train-translator", CONFIG), [], []

    def attempt():
        jobs.append(performing(run))
        said.append(next(progress.message for progress in jobs[-1] if progress.message.startswith("training")))

    def kill():
        run.log("killed", used_mb=900, limit_mb=1000)
        gone = RunState(status="running", attempt=1, pid=2**22 + 1, pid_started=1.0, host=socket.gethostname())
        run.write_state(gone)

    attempt()
    for _ in range(3):
        kill()
        attempt()
    kill()
    with pytest.raises(CrashedError, match="out of memory"):
        attempt()
    assert ["2 parts" in message for message in said] == [False, True, True, True]
    assert ["computed twice" in message for message in said] == [False, False, True, True]


def test_workers_that_join_see_a_gpu_each(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu_of(name) for name in ("train", "quick", "train-2")] == [{}, {}, {"CUDA_VISIBLE_DEVICES": "1"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert gpu_of("train-2") == {"CUDA_VISIBLE_DEVICES": "7"}


def test_a_job_starts_while_another_thread_still_loads_torch(monkeypatch):
    """Its module is there then, but none of its functions."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    set_threads(3)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    told = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=told.append))
    set_threads(2)
    assert told == [2]
