"""Blind checks: which tiles come again, where their answers go, and how agreement is told."""

import numpy as np
import pytest
import zarr

from histobridge.core.blind import (
    BlindChecks,
    Due,
    answers,
    drawn,
    due_check,
    measure_agreement,
    proposal_shown,
    read_checks,
    told,
    write_checks,
)
from histobridge.core.config import ProposeConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.effort import Effort, append_effort
from histobridge.core.errors import ProjectError
from histobridge.core.files import write_json
from histobridge.core.runs import RunState

KEYS = [("image", f"r000c{number:03d}") for number in range(400)]
WHOLE = (slice(0, 64), slice(0, 64))


@pytest.fixture
def project(small_project):
    return small_project


@pytest.fixture
def propose(project):
    """A finished run that proposed one class everywhere."""

    def make(value):
        run = project.create_run("propose", ProposeConfig())
        for record in project.images("target"):
            folder = run.path / "proposals" / record.id
            for name in ("classes", "confidence"):
                zarr.save_array(folder / name, np.full((64, 64), value, np.uint8))
            write_json(folder / "proposal.json", {"fractions": {}, "confidence": 0.5})
        run.write_state(RunState(status="finished"))
        return run

    return make


def answer(store, tile, run_id, rows):
    """Paint some rows as axon over a proposal of myelin, or over nothing, and accept."""
    edit = TileEdit(store, tile, np.full((64, 64), 2, np.uint8) if run_id else None, run_id)
    painted = edit.classes
    painted[rows] = 1
    edit.commit(painted)
    edit.accept()
    store.close()


def test_the_draw_depends_on_the_seed_and_the_tile_alone():
    checks = BlindChecks(on=True, twice=0.2, without=0.1, seed=1)
    kinds = [drawn(checks, key) for key in KEYS]
    assert kinds == [drawn(checks, key) for key in KEYS]
    assert kinds.count("again") == pytest.approx(80, abs=25)
    assert kinds.count("without") == pytest.approx(40, abs=20)
    assert kinds != [drawn(checks.model_copy(update={"seed": 2}), key) for key in KEYS]


def test_nothing_is_drawn_unless_the_checks_are_on():
    assert not any(drawn(BlindChecks(twice=1, without=0), key) for key in KEYS)


def test_a_tile_comes_again_after_enough_others_and_only_once():
    checks = BlindChecks(on=True, twice=1, without=0, after=2)
    accepted = {KEYS[0]: 10.0, KEYS[1]: 20.0}
    assert due_check(checks, accepted, []) is None
    accepted[KEYS[2]] = 30.0
    assert due_check(checks, accepted, []) == Due(KEYS[0], "again")
    assert due_check(checks, accepted, [KEYS[0]]) is None


def test_more_than_all_tiles_cannot_be_checked():
    with pytest.raises(ValueError, match="more than all tiles"):
        BlindChecks(twice=0.7, without=0.7)


def test_the_choice_is_kept_in_the_project(project):
    assert not read_checks(project).on
    write_checks(project, BlindChecks(on=True, seed=7))
    assert read_checks(project) == BlindChecks(on=True, seed=7)
    (project.path / "blind.json").write_text("{")
    with pytest.raises(ProjectError, match="choose the blind checks again"):
        read_checks(project)


def test_a_tile_comes_again_with_the_proposal_it_was_reviewed_with(project, propose):
    old, image = propose(2), project.images("target")[0]
    with project.editing():
        answer(project.labels(image.id), project.tiles(image)[0], old.id, slice(0, 32))
    new = propose(1)
    shown = {check: proposal_shown(project, image, "r000c000", check) for check in ("", "again", "without")}
    assert shown == {"": new.id, "again": old.id, "without": ""}


def test_answers_of_a_check_leave_the_labels_alone_and_agreement_is_their_dice(project):
    image = project.images("target")[0]
    (tile,) = project.tiles(image)
    with project.editing():
        answer(project.labels(image.id), tile, "run", slice(0, 32))
        before = project.labels(image.id).read(WHOLE)
        answer(answers(project, image.id), tile, "run", slice(16, 48))
        spells = [Effort(image=image.id, tile=tile.id, seconds=40)]
        append_effort(project, [*spells, Effort(image=image.id, tile=tile.id, seconds=30, check="again")])
    np.testing.assert_array_equal(project.labels(image.id).read(WHOLE), before)
    (found,) = measure_agreement(project)
    assert (found.check, found.compared, found.seconds) == ("again", 1.0, (40, 30))
    assert found.dice == {"axon": pytest.approx(0.5), "myelin": pytest.approx(0.5)}
    (line,) = told([found])
    assert line == "Shown twice, 1 tile: Dice axon 0.50, myelin 0.50; 40 s the first time, 30 s the second"


def test_answers_with_and_without_a_proposal_are_told_apart_and_ignored_pixels_left_out(project):
    image = project.images("target")[0]
    (tile,) = project.tiles(image)
    with project.editing():
        answer(project.labels(image.id), tile, "run", slice(0, 32))
        store = answers(project, image.id)
        edit = TileEdit(store, tile)
        edit.ignore(np.arange(64)[:, None].repeat(64, 1) >= 32)
        store.close()
        assert measure_agreement(project) == []
        answer(answers(project, image.id), tile, "", slice(0, 16))
    (found,) = measure_agreement(project)
    assert (found.check, found.compared) == ("without", 0.5)
    assert found.dice["axon"] == pytest.approx(2 / 3)
    assert told([found])[0].startswith("With and without a proposal, 1 tile")
