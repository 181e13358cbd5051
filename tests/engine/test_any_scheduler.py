import pytest
from distributed.deploy.subprocess import SubprocessCluster
from engine_waiting import end, wait_until

from histobridge.core.config import SelfTestConfig
from histobridge.engine.client import Engine
from histobridge.engine.connecting import NoAnswerError, connect


def one_worker():
    """A scheduler with one worker, as a cluster has them."""
    return SubprocessCluster(
        n_workers=1,
        threads_per_worker=1,
        worker_kwargs={"resources": {"CPU": 1}, "dashboard": False},
        scheduler_kwargs={"dashboard": False},
    )


def job_is_there(engine, run):
    """Whether the scheduler knows the task of a run."""
    with connect(engine.address, None) as client:
        return client.run_on_scheduler(lambda dask_scheduler: any(run.id in str(key) for key in dask_scheduler.tasks))


def job(project, engine, worker, **config):
    run = project.create_run("selftest", SelfTestConfig(**config))
    engine.submit(run, worker)
    return end(engine, run)


@pytest.mark.usefixtures("fresh_folder")
def test_jobs_run_on_any_dask_scheduler(project):
    with one_worker() as cluster:
        engine = Engine(cluster.scheduler_address)
        training = job(project, engine, "train", steps=2)
        quick = job(project, engine, "quick", steps=6, crash_at_step=4)
        status = engine.status()
        engine.close()
        with connect(engine.address, None) as client:
            (worker,) = client.scheduler_info()["workers"]
        with pytest.raises(NoAnswerError, match="is a dask worker, no scheduler"):
            connect(worker, None)
    assert training.status == "finished"
    assert (quick.status, quick.result["resumed_from"]) == ("finished", 3)
    assert (status["running"], status["encrypted"], len(status["workers"])) == (True, False, 1)


def test_scheduler_that_does_not_answer_fails_the_run_with_a_remedy(project, monkeypatch):
    monkeypatch.setattr("histobridge.engine.connecting.CONNECT_SECONDS", 0.5)
    engine = Engine("tcp://127.0.0.1:1")
    state = job(project, engine, "quick")
    engine.close()
    assert state.status == "failed"
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in state.message
    assert "leave it empty" in state.message


@pytest.mark.usefixtures("fresh_folder")
def test_a_job_that_waits_at_a_scheduler_goes_on_waiting_when_the_connection_breaks(project, monkeypatch):
    """The scheduler may still have it when the network is back; it was told to have failed."""
    tried = []

    def nobody(where, record):
        tried.append(where)
        raise NoAnswerError("nobody is there")

    with one_worker() as cluster:
        engine = Engine(cluster.scheduler_address)
        first, second = (project.create_run("selftest", SelfTestConfig(steps=1000)) for _ in range(2))
        engine.submit(first, "train")
        wait_until(lambda: first.state().status == "running")
        engine.submit(second, "train")
        wait_until(lambda: job_is_there(engine, second))
        monkeypatch.setattr("histobridge.engine.client.connect", nobody)
    wait_until(lambda: tried)
    engine.close()
    assert second.state().status == "queued"
