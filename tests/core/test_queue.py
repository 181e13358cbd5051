"""Reading the review queue."""

import pytest

from histobridge.core.config import RankConfig
from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.project import Project
from histobridge.core.queue import Queue, QueuedTile, newest_queue, read_queue
from histobridge.core.runs import RunState
from histobridge.core.stopping import Gain


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def ranked(project):
    """Return a function that makes a ranking that ended in some way."""

    def make(queue=None, status="finished"):
        run = project.create_run("rank", RankConfig())
        if queue:
            write_json(run.path / "queue.json", queue.model_dump(mode="json"))
        run.write_state(RunState(status=status))
        return run

    return make


def queue_of(tile):
    told = QueuedTile(image="a", tile=tile, score=0.5, reason="because", parts={"uncertainty": 0.5})
    return Queue(
        order="queue", proposals="some run", tiles=(told,), stop=Gain(mean=0.004, verdict="stop", words="stop")
    )


def test_a_queue_is_read_as_it_was_written(ranked):
    assert read_queue(ranked(queue_of("r000c001"))) == queue_of("r000c001")


def test_the_newest_queue_is_that_of_the_latest_finished_ranking(project, ranked):
    assert newest_queue(project) is None
    ranked(queue_of("r000c000"))
    ranked(queue_of("r000c001"))
    ranked(queue_of("r000c002"), status="failed")
    ranked(status="queued")
    assert newest_queue(project) == queue_of("r000c001")


def test_a_ranking_without_a_queue_is_told(ranked):
    with pytest.raises(ProjectError, match=r"queue\.json cannot be read .* rank the tiles again"):
        read_queue(ranked())


@pytest.mark.parametrize("text", ["{", "[]", '{"order": "best first"}'])
def test_a_damaged_queue_is_told(project, ranked, text):
    run = ranked(queue_of("r000c000"))
    (run.path / "queue.json").write_text(text)
    with pytest.raises(ProjectError, match="rank the tiles again"):
        newest_queue(project)
