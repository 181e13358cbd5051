"""A run as part of a larger job."""

import pytest

from histobridge.core.config import SelfTestConfig
from histobridge.core.errors import InputError
from histobridge.core.job import Progress, counted, finish
from histobridge.core.perform import performing
from histobridge.core.project import Project


@pytest.fixture
def new_run(tmp_path):
    project = Project.create(tmp_path / "project")
    return lambda **config: project.create_run("selftest", SelfTestConfig(**({"seconds_per_step": 0} | config)))


def test_two_runs_share_one_progress_bar(new_run):
    runs = [new_run(steps=2), new_run(steps=4)]

    def both():
        results = []
        for index, run in enumerate(runs):
            results.append((yield from counted(performing(run), f"part {index}", (index, 2))))
        return results

    seen = []
    assert finish(both(), seen.append) == [run.state().result for run in runs]
    assert [run.state().status for run in runs] == ["finished", "finished"]
    assert [progress.step for progress in seen] == [500, 1000, 1250, 1500, 1750, 2000]
    assert {progress.total for progress in seen} == {2000}
    assert seen[0].message.startswith("part 0: ")


def test_closing_it_cancels_the_run_which_can_be_resumed(new_run):
    run = new_run(steps=5)
    job = counted(performing(run), "part")
    next(job)
    next(job)
    job.close()
    assert run.state().status == "cancelled"
    assert run.state().step == 2
    assert finish(performing(run))["resumed_from"] == 2


def test_an_error_ends_the_run_and_the_larger_job(new_run):
    run = new_run(steps=5, fail_at_step=2)
    with pytest.raises(InputError):
        finish(counted(performing(run), "part"))
    assert run.state().status == "failed"


def test_a_finished_run_is_not_done_again_as_part_of_another(new_run):
    run = new_run()
    result = finish(performing(run))
    seen = []
    assert finish(counted(performing(run), "part"), seen.append) == result
    assert seen == []


def test_counted_copes_with_an_unknown_total():
    def endless():
        yield Progress(7, 0, "looking")
        return None

    (progress,) = list(counted(endless(), "search", (1, 3)))
    assert (progress.step, progress.total, progress.message) == (1000, 3000, "search: looking")


def test_metrics_and_previews_pass_through():
    def job():
        yield Progress(1, 2, metrics={"loss": 0.5}, preview={"fake": 1})
        return None

    (progress,) = list(counted(job(), "part"))
    assert (dict(progress.metrics), dict(progress.preview)) == ({"loss": 0.5}, {"fake": 1})
