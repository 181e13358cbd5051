"""The job `rank`: which tiles wait, in which order, and why."""

from collections import Counter

import numpy as np
import pytest
from rank_cases import IMAGES, SHAPE, TILE, fibres, propose, rank, tile_window

from histobridge.core.config import RankConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.errors import ProjectError
from histobridge.core.files import read_json, write_json
from histobridge.core.job import finish
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.queue import newest_queue, read_queue
from histobridge.core.rank import rank_tiles


@pytest.fixture
def project(tmp_path, add_arrays):
    """Three images of three subjects, nine tiles each."""
    project = Project.create(tmp_path / "project")
    random = np.random.default_rng(0)
    add_arrays(project, "target", {name: random.integers(0, 255, SHAPE).astype(np.uint8) for name in IMAGES})
    values = read_json(project.path / "project.json")
    write_json(project.path / "project.json", values | {"tile_px": TILE, "tile_overlap_px": 0})
    return Project.open(project.path)


@pytest.fixture
def usual():
    """Fibres that look the same everywhere, proposed with even confidence: nothing is remarkable."""
    return {name: fibres() for name in IMAGES}, {name: np.full(SHAPE, 240, np.uint8) for name in IMAGES}


def keys(queue):
    return [(tile.image, tile.tile) for tile in queue.tiles]


def found(queue, image, tile):
    return next(each for each in queue.tiles if (each.image, each.tile) == (image, tile))


def opened(project, image, tile="r000c000"):
    """Open a tile for editing."""
    record = project.image(image)
    place = next(each for each in project.tiles(record) if each.id == tile)
    return TileEdit(project.labels(image), place, np.zeros(place.shape, np.uint8), "some run")


def decide(project, image, tile, what="accept"):
    with project.editing():
        edit = opened(project, image, tile)
        getattr(edit, what)()
        edit.store.close()


# -- which tiles -------------------------------------------------------------------------------------------------------


def test_every_open_tile_is_queued_once_with_score_and_reason(project, usual):
    base = propose(project, *usual)
    queue = rank(project)
    assert sorted(keys(queue)) == sorted(
        (name, f"r{r:03d}c{c:03d}") for name in IMAGES for r in range(3) for c in range(3)
    )
    assert all(0 <= tile.score <= 1 and tile.reason for tile in queue.tiles)
    assert (queue.order, queue.proposals) == ("queue", base.id)
    assert newest_queue(project) == queue


def test_decided_tiles_are_left_out_and_skipped_ones_come_last(project, usual):
    propose(project, *usual)
    decide(project, "rat1-a", "r000c000")
    decide(project, "rat2-a", "r001c001", "skip")
    queue = rank(project)
    assert ("rat1-a", "r000c000") not in keys(queue)
    assert len(queue.tiles) == 26
    assert keys(queue)[-1] == ("rat2-a", "r001c001")
    assert queue.tiles[-1].reason == "skipped before"


def test_a_tile_whose_every_pixel_is_ignored_is_decided_and_one_with_a_stroke_is_not(project, usual):
    propose(project, *usual)
    with project.editing():
        edit = opened(project, "rat1-a")
        edit.ignore(np.ones((TILE, TILE), bool))
        edit.store.close()
        edit = opened(project, "rat1-a", "r002c002")
        edit.commit(np.eye(TILE, dtype=np.uint8))
        edit.store.close()
    queued = keys(rank(project))
    assert ("rat1-a", "r000c000") not in queued
    assert ("rat1-a", "r002c002") in queued


def test_a_tile_mostly_shown_by_another_waits_behind_the_others(project, usual, add_arrays):
    add_arrays(project, "target", {"wide": np.zeros((64, 80), np.uint8)})
    project.refresh()
    propose(project, *usual)
    queue = rank(project)
    assert queue.tiles[-1].image == "wide"
    assert queue.tiles[-1].reason == "mostly shown by a neighbouring tile"


def test_too_many_tiles_are_thinned_evenly(project, usual):
    propose(project, *usual)
    run = project.create_run("rank", RankConfig(most_tiles=6))
    result = finish(rank_tiles(project, run, RankConfig(most_tiles=6)))
    assert (result["tiles"], result["left_out"]) == (6, 21)
    assert set(Counter(tile.image for tile in read_queue(run).tiles).values()) == {2}


def test_images_without_proposals_are_queued_and_say_so(project, usual):
    propose(project, *usual, wanted=IMAGES[:2])
    queue = rank(project)
    assert found(queue, "rat3-a", "r000c000").reason == "no labels are proposed here yet"
    assert "no labels" not in found(queue, "rat1-a", "r000c000").reason


def test_a_project_in_which_all_is_decided_has_an_empty_queue(project, usual):
    propose(project, *usual)
    for name in IMAGES:
        for tile in project.tiles(project.image(name)):
            decide(project, name, tile.id)
    assert rank(project).tiles == ()


def test_without_proposals_there_is_nothing_to_rank(project):
    with pytest.raises(ProjectError, match="propose labels"):
        finish(rank_tiles(project, project.create_run("rank", RankConfig()), RankConfig()))


# -- in which order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["queue", "random"])
def test_images_take_turns_and_another_seed_gives_another_order(project, usual, order):
    propose(project, *usual)
    orders = [keys(rank(project, order=order, seed=seed)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    for stop in range(3, 28, 3):
        assert set(Counter(image for image, _ in orders[0][:stop]).values()) == {stop // 3}


def test_one_uncertain_image_does_not_fill_the_beginning_of_the_queue_but_of_the_entropy_order(project, usual):
    classes, confidence = usual
    confidence["rat2-a"] = np.full(SHAPE, 128, np.uint8)
    propose(project, classes, confidence)
    assert {tile.image for tile in rank(project).tiles[:3]} == set(IMAGES)
    assert {tile.image for tile in rank(project, order="entropy").tiles[:9]} == {"rat2-a"}


def test_uncertain_tiles_tend_to_come_early_within_their_image(project, usual):
    classes, confidence = usual
    for name in IMAGES:
        confidence[name][tile_window(1, 1)] = 140
    propose(project, classes, confidence)
    orders = [keys(rank(project, seed=seed, looks=1)) for seed in range(4)]
    places = [[tile for image, tile in order if image == name].index("r001c001") for order in orders for name in IMAGES]
    assert np.mean(places) < 2.5
    assert max(places) > 0


def test_a_reviewed_subject_waits_for_the_others(project, usual):
    propose(project, *usual)
    decide(project, "rat1-a", "r000c000")
    for seed in range(3):
        assert {tile.image for tile in rank(project, seed=seed).tiles[:2]} == {"rat2-a", "rat3-a"}


def test_a_resumed_ranking_keeps_to_the_proposals_it_began_with(project, usual):
    base = propose(project, *usual)
    run = project.create_run("rank", RankConfig())
    job = rank_tiles(project, run, RankConfig())
    next(job)
    job.close()
    propose(project, *usual)
    finish(rank_tiles(project, run, RankConfig()))
    assert read_queue(run).proposals == base.id


# -- why ---------------------------------------------------------------------------------------------------------------


def test_tiles_that_are_all_alike_are_picked_at_random_and_say_so(project, usual):
    propose(project, *usual)
    assert {tile.reason for tile in rank(project).tiles} == {"picked at random, to keep the sample fair"}


def test_unsure_tiles_say_where(project, usual):
    classes, confidence = usual
    edges = fibres(inner=10, outer=14) != fibres(inner=7, outer=11)
    confidence["rat1-a"][tile_window(1, 1)][edges[tile_window(1, 1)]] = 100
    confidence["rat1-a"][edges == 0] = 255
    confidence["rat2-a"][tile_window(1, 1)] = 90
    propose(project, classes, confidence)
    queue = rank(project)
    assert found(queue, "rat1-a", "r001c001").reason == "the model is unsure along sheath edges"
    assert found(queue, "rat2-a", "r001c001").reason == "the model is unsure in whole areas"


def test_fibres_on_which_routes_disagree_are_counted(project, usual):
    classes, confidence = usual
    base = propose(project, classes, confidence)
    others = {name: array.copy() for name, array in classes.items()}
    others["rat3-a"][tile_window(0, 2)] = 0
    other = propose(project, others, confidence, route="adaptation")
    with project.editing():
        project.pin("proposals", base.id)
    tile = found(rank(project), "rat3-a", "r000c002")
    assert tile.reason == "routes disagree on 4 fibres"
    assert tile.parts["disagreement"] > 0.9
    assert found(rank(project, other=other.id), "rat3-a", "r000c002") == tile


def test_what_is_ignored_or_reviewed_of_a_tile_makes_it_no_more_worth(project, usual):
    """Half of each tile is unsure, shown otherwise by the other route and has thick sheaths."""
    classes, confidence = usual
    others = {name: array.copy() for name, array in classes.items()}
    half = np.zeros(SHAPE, bool)
    for row, column in ((0, 2), (1, 1), (2, 0)):
        rows, columns = tile_window(row, column)
        half[rows, slice(columns.start, columns.start + TILE // 2)] = True
    for name in IMAGES:
        confidence[name][half] = 60
        others[name][half] = 0
        classes[name][half] = fibres(inner=4, outer=14)[half]
    base = propose(project, classes, confidence)
    propose(project, others, confidence, route="adaptation")
    with project.editing():
        project.pin("proposals", base.id)
        for image, tile, rows, columns in (
            ("rat1-a", "r000c002", *tile_window(0, 2)),
            ("rat2-a", "r001c001", *tile_window(1, 1)),
        ):
            edit = opened(project, image, tile)
            mask = half[rows, columns]
            edit.ignore(mask) if image == "rat1-a" else edit.accept_only(mask)
            edit.store.close()
    queue = rank(project)
    for image, tile in (("rat1-a", "r000c002"), ("rat2-a", "r001c001")):
        done, alike = found(queue, image, tile), found(queue, "rat3-a", tile)
        assert alike.parts["uncertainty"] > 0.8
        assert alike.parts["disagreement"] > 0.8
        assert done.parts["uncertainty"] < 0.5
        assert done.parts["disagreement"] < 0.5
        assert done.parts["morphology"] < 0.1 < alike.parts["morphology"]


def test_another_run_of_the_same_route_is_no_second_opinion(project, usual):
    propose(project, *usual)
    propose(project, *usual)
    assert "disagreement" not in rank(project).tiles[0].parts


def test_the_second_opinion_is_the_run_that_covers_most_images(project, usual):
    propose(project, *usual, route="adaptation")
    propose(project, *usual, route="fused", wanted=IMAGES[:1])
    propose(project, *usual)
    assert all("disagreement" in tile.parts for tile in rank(project).tiles)


def test_thin_sheaths_are_told_with_their_g_ratio(project, usual):
    classes, confidence = usual
    classes["rat2-a"][tile_window(2, 0)] = fibres(inner=10, outer=12)[tile_window(2, 0)]
    propose(project, classes, confidence)
    assert found(rank(project), "rat2-a", "r002c000").reason == "sheaths unusually thin: mean g-ratio 0.84"


def test_a_tile_without_fibres_among_full_ones_is_told(project, usual):
    classes, confidence = usual
    classes["rat2-a"][tile_window(2, 0)] = 0
    propose(project, classes, confidence)
    assert found(rank(project), "rat2-a", "r002c000").reason == "unusually few fibres"


def test_a_tile_unlike_the_reviewed_ones_is_told(project, usual, add_arrays):
    random = np.random.default_rng(0)
    add_arrays(project, "target", {"pale": random.integers(200, 210, SHAPE).astype(np.uint8)})
    project.refresh()
    classes, confidence = usual
    propose(project, classes | {"pale": fibres()}, confidence | {"pale": np.full(SHAPE, 240, np.uint8)})
    decide(project, "rat1-a", "r000c000")
    queue = rank(project)
    assert found(queue, "pale", "r000c000").reason == "looks unlike the tiles reviewed so far"
    assert found(queue, "pale", "r000c000").parts["novelty"] > found(queue, "rat2-a", "r000c000").parts["novelty"]


def test_the_result_tells_how_many_tiles_strata_and_first_reasons(project, usual):
    propose(project, *usual)
    run = project.create_run("rank", RankConfig(looks=1))
    result = perform(run)
    assert (result["tiles"], result["left_out"], result["reviewed"], result["strata"]) == (27, 0, 0, 3)
    assert [each["tile"] for each in result["next"]] == [tile for _, tile in keys(read_queue(run))[:3]]
    assert all(set(each) == {"image", "tile", "reason"} for each in result["next"])
    assert result["stop"].startswith("too early to tell")
