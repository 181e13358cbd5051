"""Fine-tuning judges what it made: cross-validated with few tiles, on tiles held out with more."""

import numpy as np
import pytest

from histobridge.core.config import FineTuneConfig, ProposeConfig
from histobridge.core.corrections import TileEdit
from histobridge.core.errors import ProjectError
from histobridge.core.gate import apply_gate, promote, read_gate
from histobridge.core.metrics import mean_dice
from histobridge.core.perform import CancelledError, perform
from histobridge.core.sample import read_truth
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import tile_grid

BRIEF = FineTuneConfig(steps=4, batch_size=2, crop_px=64, checkpoint_every=2, device="cpu")
TILE = "r000c000"


def paint(loop, image_id, classes, *, accept=True):
    """Paint the one tile of an image, and accept it."""
    with loop.project.editing():
        store = loop.project.labels(image_id)
        edit = TileEdit(store, tile_grid(classes.shape)[0])
        edit.commit(classes)
        if accept:
            edit.accept()
        store.close()


def score(loop, run, image_id, truth):
    predicted = TargetModel.load(loop.project, run.path).prediction(image_id, flips=False).labels(loop.whole)[0]
    return mean_dice(predicted, truth, (1, 2))


@pytest.fixture
def truths(loop, add_arrays):
    """Truth of six target images, those of the sample and their mirror images, all painted and accepted but one."""
    truths = {image_id: read_truth(loop.project, image_id) for image_id in loop.targets}
    size_um = loop.project.image(loop.targets[0]).pixel_size_um
    mirrored = {f"mirrored-{name}": loop.project.pixels(name).read(loop.whole)[::-1].copy() for name in loop.targets}
    add_arrays(loop.project, "target", mirrored, size_um)
    truths |= {f"mirrored-{name}": truths[name][::-1].copy() for name in tuple(truths)}
    for image_id in list(truths)[:5]:
        paint(loop, image_id, truths[image_id])
    return truths


def test_few_tiles_all_train_and_each_is_scored_by_a_model_that_has_not_seen_it(loop, taught):
    for image_id in loop.targets:
        paint(loop, image_id, read_truth(loop.project, image_id))
    run = loop.run("finetune", BRIEF)
    gate, result = read_gate(run), run.state().result
    keys = sorted((image_id, TILE) for image_id in loop.targets)
    assert (sorted(gate.trained), gate.held_out, gate.cross_validated) == (keys, (), True)
    assert gate.verdict in ("too-few-to-judge", "keep-aside")
    assert "Too few reviewed tiles to judge" in gate.reason
    assert [(tile.image, tile.tile) for tile in gate.tiles] == keys
    assert gate.compared_with == loop.tutored
    base = loop.project.run(loop.tutored)
    for tile in gate.tiles:
        assert tile.before == pytest.approx(score(loop, base, tile.image, read_truth(loop.project, tile.image)))
    assert (result["verdict"], result["reason"], result["held_out"]) == (gate.verdict, gate.reason, 0)
    # The whole, then without two tiles, then without the third; between them the source.
    assert [len(fields) for fields in taught[::2]] == [3, 1, 2]


def test_of_a_single_tile_each_half_is_scored_by_a_model_of_the_other(loop, taught):
    paint(loop, loop.targets[0], read_truth(loop.project, loop.targets[0]))
    gate = read_gate(loop.run("finetune", BRIEF))
    assert [tile.image for tile in gate.tiles] == [loop.targets[0]]
    assert gate.cross_validated
    whole, first, second = (fields[0].labels for fields in taught[::2])
    middle = len(whole) // 2
    assert np.all(first[: middle - 2] == 255)
    assert np.array_equal(first[middle + 3 :], whole[middle + 3 :])
    assert np.all(second[middle + 3 :] == 255)
    assert np.array_equal(second[: middle - 2], whole[: middle - 2])
    assert np.all((first == 255) | (second == 255))


def test_without_cross_validation_few_tiles_are_not_scored(loop):
    paint(loop, loop.targets[0], read_truth(loop.project, loop.targets[0]))
    gate = read_gate(loop.run("finetune", BRIEF.model_copy(update={"cross_validate": False})))
    assert (gate.verdict, gate.tiles, gate.score.after) == ("too-few-to-judge", (), None)


def test_strokes_alone_train_but_are_no_tile_to_score_on(loop):
    classes = loop.proposed(loop.tutored, loop.targets[0])
    classes[20:40, 20:40] = 1
    paint(loop, loop.targets[0], classes, accept=False)
    gate = read_gate(loop.run("finetune", BRIEF))
    assert (gate.trained, gate.begun, gate.tiles) == ((), ((loop.targets[0], TILE),), ())
    assert gate.verdict == "too-few-to-judge"


def test_of_five_tiles_one_is_never_learned_from_and_judges(loop, truths, taught):
    run = loop.run("finetune", BRIEF)
    gate = read_gate(run)
    ((held, _),) = gate.held_out
    assert len(gate.trained) == len(taught[0]) == 4
    assert held not in run.state().result["images"]
    assert run.state().result["reviewed_pixels"] == 4 * 192 * 192
    assert not gate.cross_validated
    assert gate.compared_with == loop.tutored
    (tile,) = gate.tiles
    assert tile.before == pytest.approx(score(loop, loop.project.run(loop.tutored), held, truths[held]))
    assert tile.after == pytest.approx(score(loop, run, held, truths[held]))
    # The sixth tile trains, the fifth stays held out, and the comparison is with what is in use by then.
    with loop.project.editing():
        promote(loop.project, run.id)
        loop.project.update_images(truths, subject="rat1")
    sixth = list(truths)[5]
    paint(loop, sixth, truths[sixth])
    later = read_gate(loop.run("finetune", BRIEF))
    assert later.held_out == gate.held_out
    assert "1 tile never learned from: " in gate.reason
    assert "1 tile never learned from, of the same animals: " in later.reason
    assert (sixth, TILE) in later.trained
    assert later.compared_with == later.in_use == run.id
    assert later.tiles[0].before == pytest.approx(tile.after)


def test_a_tile_that_taught_only_its_strokes_judges_once_it_is_accepted(loop, add_arrays):
    size_um = loop.project.image(loop.targets[0]).pixel_size_um
    copies = {f"copy{number}": loop.project.pixels(loop.targets[0]).read(loop.whole) for number in range(2)}
    add_arrays(loop.project, "target", copies, size_um)
    stroke = np.zeros((192, 192), np.uint8)
    stroke[:9, :9] = 1
    for image_id in loop.targets:
        paint(loop, image_id, stroke, accept=False)
    first = read_gate(loop.run("finetune", BRIEF))
    assert (len(first.begun), first.trained) == (5, ())
    for image_id in loop.targets:
        paint(loop, image_id, stroke)
    gate = read_gate(loop.run("finetune", BRIEF))
    assert [(tile.image, tile.tile) for tile in gate.tiles] == list(gate.held_out)
    assert len(gate.held_out) == 1


def test_a_model_that_learned_nonsense_is_kept_aside_and_not_promoted(loop, truths):
    first = loop.run("finetune", BRIEF)
    for image_id, _ in read_gate(first).trained:
        paint(loop, image_id, np.zeros_like(truths[image_id]))
    run = loop.run("finetune", BRIEF.model_copy(update={"steps": 40, "batch_size": 4, "source_replay": 0.0}))
    gate = read_gate(run)
    assert gate.verdict == "keep-aside"
    assert gate.difference < -0.1
    assert "kept aside" in gate.reason
    with loop.project.editing():
        assert not apply_gate(loop.project, run)
        assert apply_gate(loop.project, first)
    assert loop.project.active("target_segmenter").id == first.id


def test_when_all_that_is_reviewed_is_held_out_the_user_is_told(loop, truths):
    ((held, _),) = read_gate(loop.run("finetune", BRIEF)).held_out
    for image_id in truths:
        if image_id != held:
            with loop.project.editing():
                store = loop.project.labels(image_id)
                TileEdit(store, tile_grid((192, 192))[0]).ignore(np.ones((192, 192), bool))
                store.close()
    with pytest.raises(ProjectError, match="all that has been reviewed is held out"):
        loop.run("finetune", BRIEF)


def test_stopped_before_the_verdict_and_resumed_the_split_is_the_same(loop, truths):
    run = loop.project.create_run("finetune", BRIEF)
    with pytest.raises(CancelledError):
        perform(run, lambda progress: run.request_cancel() if progress.step > 400 else None)
    assert read_gate(run) is None
    sixth = list(truths)[5]
    paint(loop, sixth, truths[sixth])
    run.clear_cancel()
    perform(run)
    gate = read_gate(run)
    assert (len(gate.held_out), len(gate.trained)) == (1, 4)
    assert (sixth, TILE) not in gate.trained


@pytest.mark.slow
def test_proposals_of_a_tuned_model_do_not_make_it_the_start_of_the_next(loop):
    image_id = loop.targets[0]
    paint(loop, image_id, read_truth(loop.project, image_id))
    tuned = loop.run("finetune", BRIEF)
    with loop.project.editing():
        assert apply_gate(loop.project, tuned) or read_gate(tuned).verdict == "keep-aside"
    proposed = loop.run("propose", ProposeConfig(route="model", segmenter=tuned.id, images=tuple(loop.targets)))
    with loop.project.editing():
        loop.project.pin("proposals", proposed.id)
    again = loop.run("finetune", BRIEF)
    assert again.state().result["model"] == loop.tutored
    # Who names a fine-tuned model to start from gets it, but no score on tiles that it knows.
    named = loop.run("finetune", BRIEF.model_copy(update={"model": proposed.id}))
    assert named.state().result["model"] == proposed.id
    assert read_gate(named).tiles == ()
