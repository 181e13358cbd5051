"""Active seconds, strokes, clicks and changed pixels of every tile: counted, logged, exported."""

import csv

import numpy as np
import pytest

from histobridge.core.corrections import TileEdit
from histobridge.core.effort import (
    Effort,
    Meter,
    append_effort,
    edits_of,
    effort_by_tile,
    effort_rows,
    read_effort,
    write_effort_table,
)
from histobridge.core.errors import LockedError


@pytest.fixture
def project(small_project):
    return small_project


@pytest.fixture
def meter():
    """A meter and the clock it reads."""
    now = [100.0]
    return Meter(lambda: now[0]), now


def test_short_gaps_count_whole_and_of_long_ones_the_first_15_seconds(meter):
    counted, now = meter
    for seconds in (0.0, 2.0, 14.0, 600.0, 1.0):
        now[0] += seconds
        counted.act()
    assert counted.take().seconds == pytest.approx(2 + 14 + 15 + 1)


def test_time_before_the_first_act_and_after_the_last_does_not_count(meter):
    counted, now = meter
    now[0] += 5
    counted.act()
    now[0] += 5
    assert counted.take().seconds == 0
    counted.act()
    assert counted.take().seconds == pytest.approx(5)


def test_a_pause_counts_nothing(meter):
    counted, now = meter
    counted.act(clicks=1)
    counted.pause()
    now[0] += 10
    counted.act(clicks=1, keys=2)
    spell = counted.take()
    assert (spell.seconds, spell.clicks, spell.keys) == (0, 2, 2)
    assert counted.take().clicks == 0


def test_strokes_undos_and_pixels_come_from_the_journal_of_the_tile(project):
    image = project.images("target")[0]
    with project.editing():
        store = project.labels(image.id)
        (tile,) = project.tiles(image)
        edit = TileEdit(store, tile)
        painted = edit.classes
        painted[:2, :5] = 1
        edit.commit(painted)
        painted[10, :3] = 2
        edit.commit(painted)
        edit.undo()
        assert edit.accept_only(np.arange(64)[:, None] * np.ones((1, 64)) > 50)
        edit.accept()
        edit.ignore(painted == 1)
        store.close()
    counted = edits_of(store.journal.entries, tile.id)
    assert counted == {"strokes": 3, "undos": 1, "pixels": 13}
    assert edits_of(store.journal.entries, "r009c009")["strokes"] == 0


def test_spells_are_written_only_under_the_edit_lock_and_read_back(project):
    spells = [Effort(image="a", tile="t", time=5, seconds=1.5, strokes=2), Effort(image="b", tile="t", clicks=1)]
    with pytest.raises(LockedError, match="read-only"):
        append_effort(project, spells)
    with project.editing():
        append_effort(project, spells[:1])
        append_effort(project, spells[1:], durable=True)
    assert list(read_effort(project)) == spells


def test_a_line_torn_by_a_crash_costs_only_itself(project):
    spells = [Effort(image="a", tile=f"t{number}", strokes=number) for number in range(3)]
    log = project.path / "effort.jsonl"
    with project.editing():
        append_effort(project, spells[:1])
        whole = log.read_bytes()
        append_effort(project, spells[1:2])
        log.write_bytes(log.read_bytes()[:-3])
        append_effort(project, spells[2:])
    assert list(read_effort(project)) == [spells[0], spells[2]]
    assert len(whole) < 100


def test_spells_of_a_tile_are_added_up_apart_from_those_of_its_blind_check():
    spells = [
        Effort(image="a", tile="t", time=5, seconds=1, strokes=1, pixels=10),
        Effort(image="a", tile="t", time=9, seconds=7, check="again"),
        Effort(image="a", tile="t", time=8, seconds=2, clicks=3),
    ]
    (total,) = effort_by_tile(spells).values()
    assert (total.seconds, total.strokes, total.clicks, total.pixels, total.time) == (3, 1, 3, 10, 8)
    assert effort_by_tile(spells, checks=True)["a", "t"].seconds == 7


def test_the_table_has_a_row_for_every_target_tile(project, tmp_path):
    done, untouched = project.images("target")
    with project.editing():
        append_effort(project, [Effort(image=done.id, tile="r000c000", time=60, seconds=12.34, pixels=99)])
        store = project.labels(done.id)
        TileEdit(store, project.tiles(done)[0], np.ones((64, 64), np.uint8), "some-run").accept()
        store.close()
    path = tmp_path / "effort.csv"
    write_effort_table(effort_rows(project), path)
    with path.open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["image"], first["status"], first["active_seconds"]) == (done.id, "accepted", "12.3")
    assert (first["changed_pixels"], first["last"]) == ("99", "1970-01-01T00:01:00+00:00")
    assert (second["image"], second["status"], second["active_seconds"]) == (untouched.id, "open", "0.0")
    assert (second["height_px"], second["last"]) == ("64", "")
