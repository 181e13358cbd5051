"""The worklist, its thumbnails, and what the machine has free."""

import os

import numpy as np
import psutil
import pytest

from histobridge.core.config import RankConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.effort import Effort, append_effort
from histobridge.core.files import write_json
from histobridge.core.heads import heads_of, read_heads
from histobridge.core.images.tile_thumbnails import TileThumbnails
from histobridge.core.machine import Gpu, job_memory_gb, read_gpus
from histobridge.core.queue import Queue, QueuedTile
from histobridge.core.runs import RunState
from histobridge.core.worklist import list_tiles


@pytest.fixture
def project(small_project):
    return small_project


def test_heads_tell_where_tiles_stand_from_the_journal(project):
    image = project.images("target")[0]
    (tile,) = project.tiles(image)
    assert read_heads(project, image.id) == {}
    with project.editing():
        store = project.labels(image.id)
        edit = TileEdit(store, tile)
        edit.accept()
        accepted = heads_of(store)[tile.id]
        edit.undo()
        undone = heads_of(store)[tile.id]
        store.close()
    assert (accepted.status, undone.status) == ("accepted", "open")
    assert accepted.accepted > undone.accepted == 0
    assert read_heads(project, image.id) == {tile.id: undone}


def test_every_tile_is_listed_with_status_reason_score_and_seconds(project):
    first, second = project.images("target")
    run = project.create_run("rank", RankConfig())
    queued = QueuedTile(image=second.id, tile="r000c000", score=0.75, reason="routes disagree")
    write_json(run.path / "queue.json", Queue(order="queue", tiles=(queued,)).model_dump(mode="json"))
    run.write_state(RunState(status="finished"))
    with project.editing():
        store = project.labels(first.id)
        TileEdit(store, project.tiles(first)[0]).accept()
        store.close()
        append_effort(project, [Effort(image=first.id, tile="r000c000", seconds=9)])
    done, waiting = list_tiles(project, "target")
    assert (done.key, done.status, done.rank, done.seconds) == ((first.id, "r000c000"), "accepted", None, 9)
    assert (waiting.status, waiting.rank, waiting.score, waiting.reason) == ("open", 0, 0.75, "routes disagree")
    assert [row.score for row in list_tiles(project, "source")] == [None, None]


def test_a_thumbnail_shows_its_tile_in_few_pixels(project):
    image = project.images("target")[0]
    native = project.pixels(image.id).read((slice(0, 64), slice(0, 64)))
    thumbnails = TileThumbnails(project, 32)
    left = thumbnails.read(image.id, (slice(0, 64), slice(0, 32)))
    assert left.shape == (32, 16)
    assert left.dtype == np.uint8
    assert np.corrcoef(left.ravel(), native[::2, :32:2].ravel())[0, 1] > 0.9


def test_memory_of_a_job_is_told_only_while_that_very_process_lives():
    born = psutil.Process().create_time()
    assert job_memory_gb(os.getpid(), born) > 0.01
    assert job_memory_gb(os.getpid(), born - 1000) is None


def test_what_the_driver_says_of_gpus_is_read_line_by_line():
    told = "NVIDIA A100, 87, 20480, 40960\nstrange\n"
    assert read_gpus(told) == [Gpu("NVIDIA A100", 0.87, pytest.approx(21.47, abs=0.01), pytest.approx(42.95, abs=0.01))]
